"""Commands about the model of a collection: moving to another one, and what fewer dimensions cost."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from vecsearch.cli.options import Debug, Folder, Json, Version, open_for
from vecsearch.cli.terminal import (
    count,
    out,
    print_answer,
    print_json,
    print_table,
    reporting,
    shown_bytes,
)

app = typer.Typer()


class Method(StrEnum):
    """The ways to fewer dimensions."""

    PCA = "pca"
    TRUNCATE = "truncate"


@app.command()
def reembed(
    folder: Folder,
    embedder: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model to move to.", show_default=False)
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Move a collection to another model; until that is done, searches are answered by the old one."""
    with reporting(debug), open_for(folder) as collection:
        had_index = bool(collection.info().indexes)
        done = collection.reembed(embedder)
        embedded = f"{count(done.embedded, 'text')} embedded (version {done.version})"
        print_answer(
            as_json, done, f"{count(done.documents, 'document')} under {embedder}, {embedded}"
        )
        if had_index and done.embedded and not as_json:
            out.print(
                f"the index was that of the old model: vecsearch build {folder} makes a new one",
                style="dim",
            )


@app.command()
def dimensions(
    folder: Folder,
    dims: Annotated[
        list[int] | None, typer.Argument(metavar="DIM", help="Dimensions to measure.")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Questions: BEIR .jsonl, or id, tab, text a line; or a BEIR folder. Else held-out rows."
        ),
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="Judgements: BEIR .tsv, or TREC with four columns.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = 10,
    n_queries: Annotated[int, typer.Option(help="How many rows to hold out.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of what is held out.")] = 0,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what fewer dimensions cost: bytes against recall, and nDCG with judgements."""
    if qrels is not None and queries is None:
        raise typer.BadParameter(
            "judgements need their questions: give --queries too", param_hint="--qrels"
        )
    with reporting(debug), open_for(folder, version) as collection:
        report = collection.dimensions(
            dims or None, k=k, queries=queries, qrels=qrels, n_queries=n_queries, seed=seed
        )
        if as_json:
            print_json(report)
        else:
            print_table(*report.table())
            out.print(report.note(), style="dim", soft_wrap=True)


@app.command()
def reduce(
    folder: Folder,
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", help="Folder of the new collection.", show_default=False),
    ],
    dim: Annotated[
        int, typer.Argument(metavar="DIM", help="Dimensions to keep.", show_default=False)
    ],
    method: Annotated[
        Method, typer.Option(help="Principal components, or the first numbers (Matryoshka models).")
    ] = Method.PCA,
    seed: Annotated[int, typer.Option(help="Seed of the rows that components are fitted on.")] = 0,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a new collection with the same documents in fewer dimensions."""
    with reporting(debug), open_for(folder, version) as collection:
        before = collection.info()
        name: Literal["pca", "truncate"] = "pca" if method is Method.PCA else "truncate"
        with collection.reduce(target, dim, method=name, seed=seed) as made:
            after = made.info()
        sizes = f"{shown_bytes(before.bytes)} → {shown_bytes(after.bytes)}"
        shown = (
            f"{target}: {count(after.documents, 'document')} in {after.dim:,} dimensions, {sizes}"
        )
        print_answer(as_json, after, shown)
