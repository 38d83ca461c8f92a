"""Commands that check, repair, copy, compact and roll back a collection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vecsearch.cli.options import (
    DOCUMENTS,
    SAFETY,
    Columns,
    Debug,
    Folder,
    IdsFile,
    Json,
    OneId,
    Version,
    Where,
    examples,
    ids_of,
    names_in,
    open_for,
    root_of,
)
from vecsearch.cli.terminal import EXIT_ERROR, print_answer, reporting
from vecsearch.types import counted, shown_bytes

app = typer.Typer()
Target = Annotated[
    Path,
    typer.Argument(
        metavar="TARGET", help="Path of the copy. Nothing may exist there yet.", show_default=False
    ),
]


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples("vecsearch reshard notes.vs 16"),
)
def reshard(
    folder: Folder,
    shards: Annotated[
        int, typer.Argument(metavar="SHARDS", help="How many shards.", show_default=False)
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Divide the documents among another number of shards.

    Search results stay the same. Each shard has segments and an index of its own.
    """
    with reporting(debug), open_for(folder) as collection:
        before = collection.info()
        version = collection.reshard(shards)
        print_answer(
            as_json,
            {"before": before.shards, "after": shards, "version": version},
            f"{counted(before.shards, 'shard')} → {shards:,} (version {version})",
        )


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples(
        "vecsearch compact notes.vs",
        "vecsearch compact notes.vs --purge",
    ),
)
def compact(
    folder: Folder,
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Also erase deleted documents from disk, and old versions."),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Merge small segments and drop deleted rows.

    Search results stay the same.
    """
    with reporting(debug), open_for(folder) as collection:
        before = collection.info()
        collection.compact(purge=purge)
        after = collection.info()
        print_answer(
            as_json,
            {"before": before, "after": after},
            f"{counted(before.segments, 'segment')} → {after.segments:,}, "
            f"{counted(before.deleted_rows, 'deleted row')} dropped, "
            f"{shown_bytes(before.bytes)} → {shown_bytes(after.bytes)} (version {after.version})",
        )


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples(
        "vecsearch check notes.vs",
    ),
)
def check(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """Compare every file of every version with its checksum.

    Exit code 1 if a file is damaged.
    """
    with reporting(debug):
        from vecsearch.maintenance.check import find_damage
        from vecsearch.storage import log
        from vecsearch.storage.objects.places import read_again

        root = root_of(folder)
        with read_again(root) as there:
            damages = find_damage(there)
        lines = [str(damage) for damage in damages]
        lines = lines or [f"no damage in {counted(len(log.versions(root)), 'version')} of {folder}"]
        print_answer(as_json, {"damages": damages}, *lines)
        if damages:
            raise typer.Exit(EXIT_ERROR)


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples(
        "vecsearch repair notes.vs",
    ),
)
def repair(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """Rebuild damaged id files and indexes from the documents.

    Exit code 1 if the latest version is still damaged afterwards.
    """
    with reporting(debug):
        from vecsearch.maintenance.repair import repair as repair_collection

        result = repair_collection(folder)
        lines = [
            *(result.done or ["nothing to repair"]),
            *(f"left: {item}" for item in result.left),
        ]
        print_answer(as_json, result, *lines)
        if any(result.version in damage.versions for damage in result.left):
            raise typer.Exit(EXIT_ERROR)


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples(
        "vecsearch backup notes.vs /backups/notes-monday.vs",
    ),
)
def backup(
    folder: Folder,
    target: Target,
    version: Version = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy a collection to a new folder and verify every byte.

    Others may write to the collection meanwhile.
    """
    with reporting(debug):
        from vecsearch.maintenance.backup import write_backup
        from vecsearch.storage.objects.places import collection_path

        copied = write_backup(root_of(folder), collection_path(target), version)
        shown = (
            f"version {copied} of {folder} copied to {target}; "
            "`vecsearch restore` makes a collection of it"
        )
        print_answer(as_json, {"version": copied, "backup": str(target)}, shown)


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples(
        "vecsearch restore /backups/notes-monday.vs notes.vs",
    ),
)
def restore(
    source: Annotated[
        Path,
        typer.Argument(metavar="BACKUP", help="What backup or export wrote.", show_default=False),
    ],
    target: Target,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a new collection from a backup or from an exported file.

    To go back to an older version of a collection, use `vecsearch rollback`.
    """
    with reporting(debug):
        from vecsearch.maintenance.backup import restore as restore_backup

        rows = restore_backup(source, target)
        shown = f"{target} holds the {counted(rows, 'row')} of {source}"
        print_answer(as_json, {"rows": rows, "collection": str(target)}, shown)


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples(
        "vecsearch versions notes.vs",
        "vecsearch rollback notes.vs 7",
    ),
)
def rollback(
    folder: Folder,
    version: Annotated[
        int,
        typer.Argument(
            metavar="VERSION",
            help="A version that `vecsearch versions` lists.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an older version of a collection the latest one.

    The versions in between stay readable.
    """
    with reporting(debug), open_for(folder) as collection:
        latest = collection.rollback(version)
        documents = len(collection)
        print_answer(
            as_json,
            {"version": latest, "documents": documents},
            f"rolled back to version {version}, as version {latest}: "
            f"{counted(documents, 'document')}",
        )


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples(
        "vecsearch export notes.vs notes.parquet",
        'vecsearch export notes.vs old.csv --where "year < 2000" --columns id,text',
    ),
)
def export(
    folder: Folder,
    target: Target,
    where: Where = None,
    columns: Columns = None,
    version: Version = None,
    one_id: OneId = None,
    ids: IdsFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a collection, or a part of it, to one file: .parquet, .csv, .jsonl or .arrow.

    The ending of its name says how. `vecsearch ingest` reads all four; `vecsearch restore` makes a
    collection of a Parquet file with all columns.
    """
    with reporting(debug), open_for(folder, version) as collection:
        chosen = ids_of(collection, one_id, ids)
        rows = collection.export(target, where=where, columns=names_in(columns), ids=chosen)
        shown = f"{counted(rows, 'row')} of {folder} written to {target}"
        print_answer(as_json, {"rows": rows, "file": str(target)}, shown)
