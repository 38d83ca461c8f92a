"""Commands about the recall that is promised: measuring it on the live collection, and sampling the queries to do so with."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

from vecsearch.cli.options import Debug, Folder, Json, Where, open_for
from vecsearch.cli.questions import questions
from vecsearch.cli.terminal import out, print_answer, print_json, reporting

app = typer.Typer()


@app.command()
def measure(
    folder: Folder,
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = 10,
    n_queries: Annotated[int, typer.Option(help="How many queries to ask.")] = 500,
    where: Where = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Recall to ask for; without it, the collection's own target."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help='Questions to ask, as for search, or "sampled"; else rows of the collection.'
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare searches with exact ones: the recall they reach. Exit code 1 when the target is missed by more than chance."""
    with reporting(debug), open_for(folder) as collection, warnings.catch_warnings():
        from vecsearch.errors import RecallWarning

        warnings.simplefilter("ignore", RecallWarning)  # the exit code says it
        asked = questions(collection, queries)
        report = collection.measure_recall(k, n_queries, where=where, recall=recall, queries=asked)
        interval = f"99% interval {report.low:.4f} to {report.high:.4f}"
        query_source = f"asked with {report.queries:,} of {report.query_source}"
        reached = f"recall@{report.k} {report.recall:.4f} ({interval}), target {report.target:g}; {query_source}"
        print_answer(as_json, report, reached)
    if report.high < report.target:
        raise typer.Exit(1)


@app.command()
def sample(
    folder: Folder,
    kept: Annotated[
        int,
        typer.Argument(
            metavar="COUNT", help="How many queries to keep; 0 stops, and removes them."
        ),
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Keep a random sample of the queries asked from now on, as vectors, to measure and build with."""
    with reporting(debug), open_for(folder) as collection:
        version = collection.sample_queries(kept)
        if as_json:
            print_json({"sample_queries": kept, "version": version})
        else:
            what = f"at most {kept:,} queries are kept" if kept else "no queries are kept"
            out.print(f"{what} (version {version})")
