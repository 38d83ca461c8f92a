"""Commands that fine-tune a model and distill one into a fast static model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from vecsearch.cli.options import (
    MODELS,
    Debug,
    Json,
    examples,
)
from vecsearch.cli.terminal import (
    EXIT_INTERRUPTED,
    print_above_bar,
    print_answer,
    reporting,
)
from vecsearch.common.progress import steps_bar
from vecsearch.types import counted, shown_bytes

app = typer.Typer()
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A sentence-transformers model: its name or folder.",
        show_default=False,
    ),
]


@app.command(
    rich_help_panel=MODELS,
    epilog=examples(
        "vecsearch tune all-MiniLM-L6-v2 clicks.jsonl tuned/",
        "vecsearch reembed notes.vs tuned/",
    ),
)
def tune(
    model: Model,
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            exists=True,
            help="File with columns query, document, and perhaps negative, score or clicks.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="Folder for the tuned model.", show_default=False),
    ],
    epochs: Annotated[int, typer.Option(help="Maximum number of passes over the pairs.")] = 5,
    batch_size: Annotated[
        int, typer.Option(help="Pairs in a step; they serve as negatives to each other.")
    ] = 32,
    learning_rate: Annotated[float, typer.Option(help="Highest step size.")] = 2e-5,
    held_out: Annotated[
        float, typer.Option(help="Share of the queries kept for measuring only.")
    ] = 0.2,
    patience: Annotated[
        int, typer.Option(help="Stop after this many epochs in a row below the best.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the split, the order and the dropout.")] = 0,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace the model in OUTPUT if the new one is better."),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a model on your own pairs or clicks.

    The tuned model is kept only if it does better on held-out queries.
    """
    with reporting(debug):
        from vecsearch.training.finetune import K, Settings
        from vecsearch.training.finetune import tune as tune_model
        from vecsearch.training.pairs import read_pairs

        def show_epoch(epoch: int, score: float) -> None:
            if not as_json:
                stage = f"epoch {epoch}" if epoch else "before"
                print_above_bar(f"{stage}: held-out nDCG@{K} {score:.4f}")
            if not epoch and score >= 1:
                warnings.warn(
                    "the model answers every held-out query already, so none can do better: give "
                    "more or harder queries",
                    stacklevel=1,
                )

        with steps_bar("tuning") as progress:
            report = tune_model(
                model,
                read_pairs(_pair_rows(pairs), pairs.name),
                output,
                settings=Settings(epochs, batch_size, learning_rate, held_out, patience, seed),
                replace=replace,
                progress=progress,
                scored=show_epoch,
            )
        print_answer(
            as_json,
            report,
            f"{output}: nDCG@{K} {report.before:.4f} → {report.after:.4f} on "
            f"{report.held_out_queries:,} held-out queries "
            f"(gain {report.low:+.4f} to {report.high:+.4f} at 95%), epoch {report.best_epoch}",
        )
        if report.interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)


@app.command(
    rich_help_panel=MODELS,
    epilog=examples(
        "vecsearch distill all-MiniLM-L6-v2 fast/ --corpus notes.vs",
        "vecsearch ingest ~/notes fast.vs --embedder model2vec:fast/",
    ),
)
def distill(
    model: Model,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="Folder for the static model.", show_default=False),
    ],
    corpus: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, help="Your own texts: a file, a folder or a collection. Repeatable."
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(help="Column of the files with the text.")] = "text",
    dim: Annotated[int, typer.Option(help="Dimension of the vectors.")] = 256,
    words: Annotated[
        int, typer.Option(help="Maximum number of words of the corpus with their own vector.")
    ] = 20_000,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a fast static model from a slow one.

    The static model is hundreds of times faster and a little worse.
    """
    with reporting(debug):
        from vecsearch.common.optional import find_installed
        from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
        from vecsearch.training.distill import distill as distill_model

        find_installed("model2vec", "model2vec", "model2vec", "A distilled model")

        texts = [text for path in corpus for text in _texts(path, text_column)] if corpus else None
        with steps_bar("embedding tokens") as progress:
            teacher = SentenceTransformerEmbedder(model)
            distill_model(teacher, output, corpus=texts, dim=dim, words=words, progress=progress)
        size = sum(path.stat().st_size for path in output.rglob("*"))
        name = f"model2vec:{output}"
        answer = {
            "embedder": name,
            "teacher": model,
            "texts": len(texts or []),
            "dim": dim,
            "bytes": size,
        }
        shown = (
            f"{name}: {counted(dim, 'dimension')}, {shown_bytes(size)}; use it as --embedder {name}"
        )
        print_answer(as_json, answer, shown)


def _pair_rows(path: Path) -> Iterator[dict[str, Any]]:
    """A file's rows. Queries and documents are read as text, also where they look like numbers."""
    import pyarrow as pa

    from vecsearch.ingest.sources import open_source

    schema = pa.schema([("query", pa.large_string()), ("document", pa.large_string())])
    for batch in open_source(path, text_column="document", schema=schema).batches:
        yield from batch.to_pylist()


def _texts(path: Path, column: str) -> Iterator[str]:
    """The texts of a collection, or of files."""
    from vecsearch.collection import open_collection
    from vecsearch.errors import InvalidInputError
    from vecsearch.ingest.sources import open_source
    from vecsearch.ingest.texts import joined_texts
    from vecsearch.storage.layout import MANIFESTS

    if (path / MANIFESTS).is_dir():
        with open_collection(path) as collection:
            names = collection.info().text_columns or (column,)
            for batch in collection.scan(names):
                texts = joined_texts(batch, names)
                yield from (text for text in texts if isinstance(text, str) and text)
        return
    for batch in open_source(path, text_column=column).batches:
        if column not in batch.schema.names:
            columns = ", ".join(batch.schema.names)
            raise InvalidInputError(
                f"{path} has no column {column!r}; it has {columns} (see --text-column)"
            )
        yield from (
            text for text in batch.column(column).to_pylist() if isinstance(text, str) and text
        )
