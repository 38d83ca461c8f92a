"""Commands that look after a collection: finding and mending damage, copies elsewhere, going back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vecsearch.cli.options import Debug, Folder, Json, Version, open_for
from vecsearch.cli.terminal import EXIT_ERROR, count, out, print_answer, print_json, reporting

app = typer.Typer()
Target = Annotated[
    Path,
    typer.Argument(
        metavar="TARGET", help="Where to put it: a name that is free.", show_default=False
    ),
]


@app.command()
def check(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """Read every file of every version and compare it with its checksums. Exit code 1 when something is damaged."""
    with reporting(debug):
        from vecsearch.maintenance.check import find_damage as find
        from vecsearch.storage import log

        damages = find(folder)
        lines = [str(damage) for damage in damages]
        lines = lines or [f"no damage in {count(len(log.versions(folder)), 'version')} of {folder}"]
        print_answer(as_json, {"damages": damages}, *lines)
        if damages:
            raise typer.Exit(EXIT_ERROR)


@app.command()
def repair(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """Make again what is derived from documents (id files, indexes). Exit code 1 when other damage is left."""
    with reporting(debug):
        from vecsearch.maintenance.repair import repair as mend

        done = mend(folder)
        print_answer(
            as_json,
            done,
            *(done.done or ["nothing to mend"]),
            *(f"left: {damage}" for damage in done.left),
        )
        if any(done.version in damage.versions for damage in done.left):
            raise typer.Exit(EXIT_ERROR)


@app.command()
def backup(
    folder: Folder,
    target: Target,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy a collection to a new folder, every byte compared with its checksum, while others go on writing to it."""
    with reporting(debug):
        from vecsearch.maintenance.backup import write_backup as copy

        copied = copy(folder, target, version)
        shown = f"version {copied} of {folder} copied to {target}; vecsearch restore brings it back"
        print_answer(as_json, {"version": copied, "backup": str(target)}, shown)


@app.command()
def restore(
    source: Annotated[
        Path,
        typer.Argument(metavar="BACKUP", help="What backup or export made.", show_default=False),
    ],
    target: Target,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a collection from a backup, or from a file that export wrote; it changes none that is there (rollback does)."""
    with reporting(debug):
        from vecsearch.maintenance.backup import restore as bring_back

        rows = bring_back(source, target)
        shown = f"{target} holds the {count(rows, 'row')} of {source}"
        print_answer(as_json, {"rows": rows, "collection": str(target)}, shown)


@app.command()
def rollback(
    folder: Folder,
    version: Annotated[
        int, typer.Argument(help="A version that `vecsearch versions` lists.", show_default=False)
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an older version of a collection the latest again; what came after it stays as versions, too."""
    with reporting(debug), open_for(folder) as collection:
        latest = collection.rollback(version)
        if as_json:
            print_json({"version": latest, "documents": len(collection)})
        else:
            out.print(
                f"version {version} is the latest again, as version {latest}: {count(len(collection), 'document')}"
            )


@app.command()
def export(
    folder: Folder,
    target: Target,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a collection to one Parquet file, for other tools, and for `vecsearch restore`."""
    with reporting(debug):
        from vecsearch.maintenance.parquet import export_parquet

        rows = export_parquet(folder, target, version)
        shown = f"{count(rows, 'row')} of {folder} written to {target}"
        print_answer(as_json, {"rows": rows, "file": str(target)}, shown)
