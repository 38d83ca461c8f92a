"""Commands about quality: measuring it, fine-tuning a model for it, distilling a fast model."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecsearch.cli.options import Debug, Folder, Json, Version, Where, open_for
from vecsearch.cli.terminal import (
    EXIT_INTERRUPTED,
    out,
    print_json,
    print_table,
    reporting,
    shown_bytes,
)
from vecsearch.common.progress import progress_bar

if TYPE_CHECKING:
    from vecsearch.evaluation.quality import QualityReport

app = typer.Typer()


@app.command()
def evaluate(
    folder: Folder,
    beir: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BEIR]",
            help="Folder with queries.jsonl and qrels/test.tsv.",
            show_default=False,
        ),
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Queries: BEIR .jsonl, or id, tab, text a line.")
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="Judgements: BEIR .tsv, or TREC with four columns.")
    ] = None,
    k: Annotated[
        str, typer.Option("-k", "--k", help="Depths to cut at, separated by commas.")
    ] = "10,100",
    where: Where = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Recall to deliver; without it, the collection's own target."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Score every row: recall 1.")] = False,
    n_queries: Annotated[
        int, typer.Option(help="Without judgements: how many questions to make.")
    ] = 500,
    seed: Annotated[
        int, typer.Option(help="Without judgements: which documents and sentences are drawn.")
    ] = 0,
    per_query: Annotated[
        Path | None, typer.Option(help="Write every query's values: .csv, .tsv or .jsonl.")
    ] = None,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how good the answers are: by judgements, or by questions made out of the documents."""
    if (queries is None) != (qrels is None) or (beir is not None and queries is not None):
        raise typer.BadParameter(
            "give --queries and --qrels, or one folder in the BEIR layout, or neither"
        )
    try:
        depths = [int(part) for part in k.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{k!r} is not whole numbers separated by commas", param_hint="--k"
        ) from None
    with reporting(debug), open_for(folder, version) as collection:
        report = collection.evaluate(
            beir or queries,
            qrels,
            k=depths,
            where=where,
            recall=recall,
            exact=exact,
            n_queries=n_queries,
            seed=seed,
        )
        if per_query is not None:
            _write_per_query(report, per_query)
        if as_json:
            print_json(report)
        else:
            _print_report(report)


@app.command()
def tune(
    model: Annotated[
        str,
        typer.Argument(
            help="A sentence-transformers model: its hub name or folder.", show_default=False
        ),
    ],
    pairs: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="Rows of query, document, and perhaps negative, score or clicks.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder for the tuned model.", show_default=False)],
    epochs: Annotated[int, typer.Option(help="At most so many passes over the pairs.")] = 5,
    batch_size: Annotated[
        int, typer.Option(help="Pairs a step; the others of a batch are each one's negatives.")
    ] = 32,
    learning_rate: Annotated[float, typer.Option(help="The highest step size.")] = 2e-5,
    held_out: Annotated[
        float, typer.Option(help="Share of the queries that is only measured with.")
    ] = 0.2,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs in a row below the best.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Decides the split, the order and the dropout.")] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", help="OUTPUT may hold a model: replace it if it is beaten.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a model on your own pairs or clicks; it is kept only if held-out queries say it is better."""
    with reporting(debug):
        from vecsearch.training import finetune as tuning
        from vecsearch.training.pairs import read_pairs

        def scored(epoch: int, score: float) -> None:
            if not as_json:
                out.print(
                    f"{'before' if epoch == 0 else f'epoch {epoch}'}: held-out nDCG@{tuning.K} {score:.4f}"
                )

        data = read_pairs(_rows(pairs), pairs.name)
        chosen = tuning.Settings(epochs, batch_size, learning_rate, held_out, patience, seed)
        with _counting("tuning") as progress:
            report = tuning.tune(
                model,
                data,
                output,
                settings=chosen,
                replace=replace,
                progress=progress,
                scored=scored,
            )
        if as_json:
            print_json(report)
        else:
            out.print(
                f"{output}: nDCG@{tuning.K} {report.before:.4f} → {report.after:.4f} on "
                f"{report.held_out_queries:,} held-out queries "
                f"(gain {report.low:+.4f} to {report.high:+.4f} at 95%), epoch {report.best_epoch}"
            )
        if report.interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)


@app.command()
def distill(
    model: Annotated[
        str,
        typer.Argument(
            help="A sentence-transformers model: its hub name or folder.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Argument(help="Folder for the static model.", show_default=False)
    ],
    corpus: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, help="Your own texts: a file, a folder, or a collection; may be repeated."
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(help="The files' column with the text.")] = "text",
    dim: Annotated[int, typer.Option(help="Numbers in a vector.")] = 256,
    words: Annotated[
        int, typer.Option(help="At most so many words of the corpus get a vector of their own.")
    ] = 20_000,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a static model out of a slow one: hundreds of times faster, a little worse."""
    with reporting(debug):
        from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
        from vecsearch.training import distill as distilling

        texts = [text for path in corpus for text in _texts(path, text_column)] if corpus else None
        with _counting("embedding tokens") as progress:
            teacher = SentenceTransformerEmbedder(model)
            distilling.distill(
                teacher, output, corpus=texts, dim=dim, words=words, progress=progress
            )
        size = sum(path.stat().st_size for path in output.rglob("*"))
        made = {
            "embedder": f"model2vec:{output}",
            "teacher": model,
            "texts": len(texts or []),
            "dim": dim,
            "bytes": size,
        }
        if as_json:
            print_json(made)
        else:
            out.print(
                f"{made['embedder']}: {dim} dimensions, {shown_bytes(size)}; use it as --embedder {made['embedder']}"
            )


@contextmanager
def _counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for work that says how much is done and how much there is in all."""
    with ExitStack() as stack:
        advance: list[Callable[[int], None]] = []
        before = [0]

        def update(done: int, total: int) -> None:
            if not advance:
                advance.append(stack.enter_context(progress_bar(what, total)))
            advance[0](done - before[0])
            before[0] = done

        yield update


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """A file's rows; what looks like a number in a text column is text."""
    import pyarrow as pa

    from vecsearch.ingest.sources import open_source

    known = pa.schema([("query", pa.large_string()), ("document", pa.large_string())])
    for batch in open_source(path, text_column="document", schema=known).batches:
        yield from batch.to_pylist()


def _texts(path: Path, column: str) -> Iterator[str]:
    """The texts of a collection, or of files."""
    from vecsearch.collection import open_collection
    from vecsearch.errors import InvalidInputError
    from vecsearch.ingest.sources import open_source
    from vecsearch.storage.layout import MANIFESTS

    if (path / MANIFESTS).is_dir():
        with open_collection(path) as collection:
            column = collection.info().text_column or column
            for batch in collection.scan([column]):
                yield from (text for text in batch.column(0).to_pylist() if text)
        return
    for batch in open_source(path, text_column=column).batches:
        if column not in batch.schema.names:
            raise InvalidInputError(
                f"{path} has no column {column!r}; it has {', '.join(batch.schema.names)} (--text-column)"
            )
        yield from (
            text for text in batch.column(column).to_pylist() if isinstance(text, str) and text
        )


def _print_report(report: QualityReport) -> None:
    rows = [
        (name, f"{score.mean:.4f}", f"{score.low:.4f} to {score.high:.4f}")
        for name, score in report.scores.items()
    ]
    print_table([f"{report.queries:,} queries", "mean", "95% interval"], rows)
    for note in report.notes:
        out.print(note, style="dim", soft_wrap=True)


def _write_per_query(report: QualityReport, path: Path) -> None:
    """One line a query: its id, its text, and each measure."""
    rows = [
        {"query_id": key, "query": report.texts[key], **values}
        for key, values in report.per_query.items()
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix in (".csv", ".tsv"):
            writer = csv.DictWriter(
                file,
                list(rows[0]),
                delimiter="\t" if path.suffix == ".tsv" else ",",
                lineterminator="\n",
            )
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
