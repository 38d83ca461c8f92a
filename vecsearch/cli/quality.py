"""Commands about quality: measuring it, fine-tuning a model for it, distilling a fast model."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vecsearch.cli.options import Debug, Folder, Json, Version, Where, open_for
from vecsearch.terminal import out, print_json, print_table, reporting

if TYPE_CHECKING:
    from vecsearch.quality import QualityReport

app = typer.Typer()


@app.command()
def evaluate(
    folder: Folder,
    beir: Annotated[
        Path | None, typer.Argument(metavar="[BEIR]", help="Folder with queries.jsonl and qrels/test.tsv.", show_default=False)
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Queries: BEIR .jsonl, or id, tab, text a line.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgements: BEIR .tsv, or TREC with four columns.")] = None,
    k: Annotated[str, typer.Option("-k", "--k", help="Depths to cut at, separated by commas.")] = "10,100",
    where: Where = None,
    recall: Annotated[float | None, typer.Option(help="Recall to deliver; without it, the collection's own target.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Score every row: recall 1.")] = False,
    n_queries: Annotated[int, typer.Option(help="Without judgements: how many questions to make.")] = 500,
    seed: Annotated[int, typer.Option(help="Without judgements: which documents and sentences are drawn.")] = 0,
    per_query: Annotated[Path | None, typer.Option(help="Write every query's values: .csv, .tsv or .jsonl.")] = None,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how good the answers are: by judgements, or by questions made out of the documents."""
    if (queries is None) != (qrels is None) or (beir is not None and queries is not None):
        raise typer.BadParameter("give --queries and --qrels, or one folder in the BEIR layout, or neither")
    try:
        depths = [int(part) for part in k.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{k!r} is not whole numbers separated by commas", param_hint="--k") from None
    with reporting(debug), open_for(folder, version) as collection:
        report = collection.evaluate(
            beir or queries, qrels, k=depths, where=where, recall=recall, exact=exact, n_queries=n_queries, seed=seed
        )
        if per_query is not None:
            _write_per_query(report, per_query)
        if as_json:
            print_json(report)
        else:
            _print_report(report)


def _print_report(report: QualityReport) -> None:
    rows = [(name, f"{score.mean:.4f}", f"{score.low:.4f} to {score.high:.4f}") for name, score in report.scores.items()]
    print_table([f"{report.queries:,} queries", "mean", "95% interval"], rows)
    for note in report.notes:
        out.print(note, style="dim", soft_wrap=True)


def _write_per_query(report: QualityReport, path: Path) -> None:
    """One line a query: its id, its text, and each measure."""
    rows = [{"query_id": key, "query": report.texts[key], **values} for key, values in report.per_query.items()]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix in (".csv", ".tsv"):
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
