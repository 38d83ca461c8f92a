"""The command that keeps a collection as a folder of files is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vecsearch.cli.language import fitting_model
from vecsearch.cli.opening import (
    ChunkerOption,
    EmbedderOption,
    Exclude,
    advising_anew,
    open_or_create,
)
from vecsearch.cli.options import (
    DOCUMENTS,
    Debug,
    DryRun,
    Folder,
    Json,
    examples,
    open_for,
)
from vecsearch.cli.terminal import EXIT_ERROR, out, print_answer, reporting
from vecsearch.types import SyncResult, counted

app = typer.Typer()


@app.command(
    rich_help_panel=DOCUMENTS,
    epilog=examples("vecsearch sync ~/notes notes.vs", "vecsearch sync ~/notes notes.vs --watch"),
)
def sync(
    files: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="The folder of files.", show_default=False),
    ],
    folder: Folder,
    embedder: EmbedderOption = None,
    chunker: ChunkerOption = None,
    exclude: Exclude = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files, such as latin-1.")
    ] = None,
    delete_all: Annotated[
        bool,
        typer.Option("--delete-all", help="Delete even more than half of what it brought in."),
    ] = False,
    dry_run: DryRun = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on, whenever a file changes, until Ctrl-C."),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring a collection to what a folder of files holds now; create it if need be.

    New files are added, changed ones read again, and what is gone is deleted: only documents that
    came from this folder.
    """
    options: dict[str, Any] = {"exclude": exclude or (), "encoding": encoding}
    with reporting(debug):
        from vecsearch.common.optional import require
        from vecsearch.errors import InvalidInputError
        from vecsearch.storage.folders import removed_on_error
        from vecsearch.storage.objects.places import collection_path

        watcher = watch and require(
            "watchfiles", "watchfiles", "documents", "Watching a folder (--watch)"
        )
        if dry_run:
            with open_for(folder) as collection:
                _print(as_json, folder, collection.sync(files, dry_run=True, **options))
            return
        is_new = False
        with removed_on_error(collection_path(folder), [1], lambda: is_new):
            collection, is_new = open_or_create(
                folder,
                embedder,
                None,
                None,
                chunker,
                None,
                {},
                None,
                None,
                default=lambda: fitting_model([files], **options),
            )
            with collection, advising_anew(folder):
                result = collection.sync(files, delete_all=delete_all, **options)
                if is_new and not result.added:
                    left_out = result.report.one_line()
                    raise InvalidInputError(
                        "there is no document to add, so no collection was made"
                        + f"; {left_out}" * bool(left_out)
                    )
                _print(as_json, folder, result)
        if watcher:
            own = f"{folder.resolve()}/"
            changes = watcher.watch(
                files.resolve(),
                watch_filter=lambda _, path: not path.startswith(own),
                raise_interrupt=True,
                yield_on_timeout=True,
            )
            is_first = True  # what changed during the first sync was not watched yet
            for changed in changes:
                if changed or is_first:
                    _sync_again(files, folder, options, as_json, debug)
                is_first = False


def _sync_again(
    files: Path, folder: Path, options: dict[str, Any], as_json: bool, debug: bool
) -> None:
    """Sync after a change, and say so if it was one; an error is shown, and watching goes on."""
    try:
        with reporting(debug), open_for(folder) as collection:
            result = collection.sync(files, **options)
            if result.added or result.replaced or result.deleted:
                _print(as_json, folder, result)
    except typer.Exit as stop:
        if stop.exit_code != EXIT_ERROR:
            raise


def _print(as_json: bool, folder: Path, result: SyncResult) -> None:
    lists = (
        ("new", result.new_files),
        ("changed", result.changed_files),
        ("gone", result.gone_files),
    )
    lines = [f"{what}: {name}" for what, names in lists for name in names]
    if any(names for _, names in lists):
        done = (
            f"{counted(result.added, 'file')} would be added, {result.replaced:,} read again, and "
            f"{counted(result.deleted, 'document')} deleted"
        )
    else:
        done = (
            f"{counted(result.added, 'document')} added, {result.replaced:,} replaced, "
            f"{result.deleted:,} deleted, {result.unchanged:,} unchanged"
        )
    print_answer(
        as_json,
        result,
        f"{done}; {folder} (version {result.version})",
        *lines,
        *result.report.lines(),
    )
    out.file.flush()
