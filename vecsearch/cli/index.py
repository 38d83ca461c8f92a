"""Commands that build an index and compare index recipes."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vecsearch.cli import complete
from vecsearch.cli.named import UsingVectors
from vecsearch.cli.options import (
    INDEX,
    Debug,
    EngineOption,
    Folder,
    Json,
    Queries,
    Recall,
    RowLimit,
    examples,
    open_for,
)
from vecsearch.cli.questions import measuring_queries
from vecsearch.cli.tables import print_table, shown_build
from vecsearch.cli.terminal import (
    out,
    print_answer,
    print_json,
    reporting,
)

app = typer.Typer()


@app.command(
    rich_help_panel=INDEX,
    epilog=examples(
        "vecsearch build notes.vs",
        "vecsearch build notes.vs --recall 0.99 --memory 2GB",
        "vecsearch build notes.vs --recipe low-memory",
        "vecsearch build notes.vs --using title",
    ),
)
def build(
    folder: Folder,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="RECIPE",
            help="Name of a recipe, a .toml file, or a FAISS factory string.",
            autocompletion=complete.recipes,
        ),
    ] = "auto",
    recall: Recall = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help='Memory the index may take, such as "2GB".')
    ] = None,
    queries: Queries = None,
    using: UsingVectors = None,
    seed: Annotated[int, typer.Option(help="Seed of the held-out rows and the build.")] = 0,
    engine: EngineOption = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Build the index of a collection and measure its recall.

    An interrupted build resumes when the command runs again.
    """
    with reporting(debug), open_for(folder) as collection:
        result = collection.build_index(
            recipe=recipe,
            recall=recall,
            memory=memory,
            queries=measuring_queries(collection, queries, using),
            using=using,
            seed=seed,
            engine=engine,
        )
        print_answer(as_json, result, shown_build(result))


@app.command(
    "build-text",
    rich_help_panel=INDEX,
    epilog=examples(
        "vecsearch build-text notes.vs",
        "vecsearch build-text notes.vs --column title --column text --language german",
    ),
)
def build_text(
    folder: Folder,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help="A column of texts to search by words. Repeatable.",
            show_default="those that are embedded",
        ),
    ] = None,
    language: Annotated[
        str, typer.Option(help='Language whose word endings are cut off; "none" keeps them.')
    ] = "english",
    chinese: Annotated[
        str, typer.Option(help="Read Chinese by pairs of characters, or by words of a dictionary.")
    ] = "pairs",
    pinyin: Annotated[bool, typer.Option(help="Find Chinese by its pinyin, too.")] = False,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="A sparse encoder (SPLADE), or its folder, to weigh words with."
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let documents be found by their words (search --mode text)."""
    with reporting(debug), open_for(folder) as collection:
        analyzer: dict[str, Any] | None = {
            "language": None if language == "none" else language,
            "chinese": chinese,
            "pinyin": pinyin,
        }
        if analyzer == {"language": "english", "chinese": "pairs", "pinyin": False}:
            analyzer = None  # columns of weights take none
        version = collection.build_text_index(columns or None, analyzer, encoder=encoder)
        answer = {"version": version}
        if as_json:
            print_json(answer)
        else:
            out.print(f"documents can be found by their words (version {version})")


@app.command(
    rich_help_panel=INDEX,
    epilog=examples(
        "vecsearch bench notes.vs",
        "vecsearch bench notes.vs auto low-memory IVF1024,SQ8 --output report",
    ),
)
def bench(
    folder: Folder,
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE",
            help="Recipes to compare.",
            show_default="four",
            autocompletion=complete.recipes,
        ),
    ] = None,
    k: RowLimit = 10,
    queries: Queries = None,
    seed: Annotated[int, typer.Option(help="Seed of the held-out rows and the builds.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(metavar="OUTPUT", help="Write the report to OUTPUT.json and OUTPUT.png."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare index recipes: recall, cost, memory and build time."""
    with reporting(debug), open_for(folder) as collection:
        from vecsearch.common.optional import require
        from vecsearch.evaluation.bench import (
            HEAD,
            RECIPES,
            cheapest,
            note,
            table,
            write_json,
            write_plot,
        )

        if output is not None:  # what cannot be written is found out before measuring
            require("matplotlib.figure", "matplotlib", "bench", "The plot")
            output.parent.mkdir(parents=True, exist_ok=True)
            for ending in (".json", ".png"):
                output.with_suffix(ending).touch()
        report = collection.bench(
            recipes or list(RECIPES),
            k=k,
            queries=measuring_queries(collection, queries),
            seed=seed,
        )
        if output is not None:
            write_json(report, output.with_suffix(".json"))
            write_plot(report, output.with_suffix(".png"))
        if as_json:
            print_json(report)
        else:
            print_table(HEAD, table(report), best=cheapest(report, collection.info().recall))
            out.print(note(report), style="dim", soft_wrap=True)


@app.command(rich_help_panel=INDEX, epilog=examples("vecsearch warm"))
def warm(as_json: Json = False, debug: Debug = False) -> None:
    """Compile the search code now, once for this machine.

    Otherwise the first large build does it, or a process after its first questions, in the
    background. The code is kept in a folder, for all processes.
    """
    from vecsearch.index.kernels.loader import SWITCH, warm

    with reporting(debug):
        done = warm()
        verb = "Compiled" if done.compiled else "The search code was compiled before; loaded it"
        line = f"{verb} in {done.seconds:.1f} s. It is kept in {done.folder}"
        if not done.available:
            off = os.environ.get(SWITCH) == "0"
            why = f"{SWITCH}=0 switches it off" if off else "numba is not installed or fails"
            line = f"There is no compiled search, as {why}. Searches work, but take longer."
        print_answer(as_json, asdict(done), line)
