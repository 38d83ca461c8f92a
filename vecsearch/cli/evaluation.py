"""Commands that measure quality and recall, and the sampling of queries to measure with."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vecsearch.cli.named import UsingVectors
from vecsearch.cli.options import (
    QUALITY,
    Debug,
    Exact,
    Folder,
    HowFused,
    InMode,
    Json,
    JudgedQueries,
    Passages,
    Qrels,
    Queries,
    Recall,
    Rerank,
    RerankTop,
    RowLimit,
    SearchMode,
    Using,
    Version,
    Where,
    examples,
    open_for,
)
from vecsearch.cli.questions import measuring_queries
from vecsearch.cli.tables import print_table
from vecsearch.cli.terminal import (
    EXIT_ERROR,
    out,
    print_answer,
    print_json,
    reporting,
)
from vecsearch.types import counted

if TYPE_CHECKING:
    from vecsearch.evaluation.quality import QualityReport
    from vecsearch.types import RecallReport

app = typer.Typer()


@app.command(
    rich_help_panel=QUALITY,
    epilog=examples(
        "vecsearch evaluate notes.vs",
        "vecsearch evaluate papers.vs scifact/ -k 10",
        "vecsearch evaluate papers.vs --queries q.jsonl --qrels qrels.tsv --per-query out.csv",
        "vecsearch evaluate papers.vs scifact/ --mode hybrid --rerank maxsim",
    ),
)
def evaluate(
    folder: Folder,
    beir: Annotated[
        Path | None,
        typer.Argument(
            metavar="BEIR",
            help="Folder with queries.jsonl and qrels/test.tsv.",
            show_default=False,
        ),
    ] = None,
    queries: JudgedQueries = None,
    qrels: Qrels = None,
    k: Annotated[
        str | None,
        typer.Option(
            "-k",
            "--limit",
            "--k",
            metavar="NUMBER,...",
            help="Depths to cut at, separated by commas. Default: 10,100; with --rerank 10.",
            show_default=False,
        ),
    ] = None,
    mode: InMode = SearchMode.VECTOR,
    using: Using = None,
    fusion: HowFused = None,
    rerank: Rerank = None,
    rerank_top: RerankTop = None,
    where: Where = None,
    recall: Recall = None,
    exact: Exact = False,
    n_queries: Annotated[
        int, typer.Option(help="Without judgments: how many questions to generate.")
    ] = 500,
    seed: Annotated[
        int, typer.Option(help="Without judgments: seed of the choice of documents.")
    ] = 0,
    per_query: Annotated[
        Path | None, typer.Option(help="Write each query's values: .csv, .tsv or .jsonl.")
    ] = None,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure search quality: nDCG, MRR, recall and MAP.

    Without relevance judgments, it generates questions from the documents.
    """
    if (queries is None) != (qrels is None) or (beir is not None and queries is not None):
        raise typer.BadParameter(
            "give --queries and --qrels, or one folder in the BEIR layout, or neither"
        )
    try:
        depths = None if k is None else [int(part) for part in k.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{k!r} is not whole numbers separated by commas", param_hint="-k"
        ) from None
    with reporting(debug), open_for(folder, version) as collection:
        report = collection.evaluate(
            beir or queries,
            qrels,
            k=depths,
            mode=mode.value,
            using=using or None,
            fusion=fusion,
            rerank=rerank,
            rerank_top=rerank_top,
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


@app.command(
    "tune-fusion",
    rich_help_panel=QUALITY,
    epilog=examples(
        "vecsearch tune-fusion papers.vs --queries q.jsonl --qrels qrels.tsv",
        "vecsearch tune-fusion notes.vs",
    ),
)
def tune_fusion(
    folder: Folder,
    beir: Annotated[
        Path | None,
        typer.Argument(
            metavar="BEIR",
            help="Folder with queries.jsonl and qrels/test.tsv.",
            show_default=False,
        ),
    ] = None,
    queries: JudgedQueries = None,
    qrels: Qrels = None,
    recall: Recall = None,
    n_queries: Annotated[
        int, typer.Option(help="Without judgments: how many questions to generate.")
    ] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the halves of the queries.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Choose how hybrid search makes one list of words and vectors.

    The choice is kept only if other queries prove it better.
    """
    if (queries is None) != (qrels is None) or (beir is not None and queries is not None):
        raise typer.BadParameter(
            "give --queries and --qrels, or one folder in the BEIR layout, or neither"
        )
    with reporting(debug), open_for(folder) as collection:
        report = collection.tune_fusion(
            beir or queries, qrels, recall=recall, n_queries=n_queries, seed=seed
        )
        print_answer(as_json, report, str(report))


@app.command(
    rich_help_panel=QUALITY,
    epilog=examples(
        "vecsearch measure notes.vs -k 10",
        "vecsearch measure notes.vs --queries questions.txt",
    ),
)
def measure(
    folder: Folder,
    k: RowLimit = 10,
    n_queries: Annotated[int, typer.Option(help="How many queries to run.")] = 500,
    where: Where = None,
    recall: Recall = None,
    queries: Queries = None,
    using: UsingVectors = None,
    passages: Passages = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure recall: compare searches with exact ones.

    Also says what the worst tenth of the queries and the worst region of the data get.

    Exit code 1 if recall misses the target by more than chance.
    """
    with reporting(debug), open_for(folder) as collection, warnings.catch_warnings():
        from vecsearch.errors import RecallWarning

        warnings.simplefilter("ignore", RecallWarning)  # the exit code says it
        report = collection.measure_recall(
            k,
            n_queries,
            where=where,
            recall=recall,
            queries=measuring_queries(collection, queries, using),
            using=using,
            passages=passages,
        )
        print_answer(
            as_json,
            report,
            f"recall@{report.k} {report.recall:.4f} "
            f"(99% interval {report.low:.4f} to {report.high:.4f}), target {report.target:g}; "
            f"{counted(report.queries, 'query', 'queries')} "
            f"({report.query_source})\n{_spread(report)}",
        )
    if report.high < report.target:
        raise typer.Exit(EXIT_ERROR)


def _spread(report: RecallReport) -> str:
    """How the recall is spread over the queries, in a line."""
    line = (
        f"{report.below_target:.1%} of the queries are below the target; "
        f"the worst tenth has {report.worst_tenth:.4f}"
    )
    if report.regions:
        worst = report.regions[0]
        line += (
            f"; the worst of {counted(len(report.regions), 'region')} has {worst.recall:.4f} "
            f"({counted(worst.queries, 'query', 'queries')})"
        )
    return line


@app.command(
    rich_help_panel=QUALITY,
    epilog=examples(
        "vecsearch sample notes.vs 1000",
        "vecsearch measure notes.vs --queries sampled",
    ),
)
def sample(
    folder: Folder,
    size: Annotated[
        int,
        typer.Argument(
            metavar="COUNT",
            help="How many queries to store; 0 stops sampling and removes them.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Store a sample of future queries, to measure recall with.

    Queries are stored as vectors, not as texts.
    """
    with reporting(debug), open_for(folder) as collection:
        version = collection.sample_queries(size)
        stored = f"at most {counted(size, 'query', 'queries')}" if size else "no queries"
        print_answer(
            as_json,
            {"sample_queries": size, "version": version},
            f"{stored} will be stored (version {version})",
        )


def _print_report(report: QualityReport) -> None:
    rows = [
        (name, f"{score.mean:.4f}", f"{score.low:.4f} to {score.high:.4f}")
        for name, score in report.scores.items()
    ]
    print_table([counted(report.queries, "query", "queries"), "mean", "95% interval"], rows)
    for note in [*report.gain_lines(), *report.notes]:
        out.print(note, style="dim", soft_wrap=True)


def _write_per_query(report: QualityReport, path: Path) -> None:
    """Write one line for each query: its id, its text and each measure."""
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
