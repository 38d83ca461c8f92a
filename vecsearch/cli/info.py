"""Commands that describe a collection and list its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import typer

from vecsearch.cli.options import (
    SAFETY,
    START,
    Debug,
    Folder,
    Json,
    Version,
    examples,
    open_for,
)
from vecsearch.cli.tables import print_fields, print_table
from vecsearch.cli.terminal import out, print_json, reporting
from vecsearch.types import (
    CollectionInfo,
    IndexAdvice,
    IndexInfo,
    VersionInfo,
    counted,
    shown_bytes,
)

app = typer.Typer()


@app.command(
    rich_help_panel=START,
    epilog=examples(
        "vecsearch info notes.vs",
        "vecsearch info notes.vs --json | jq .documents",
    ),
)
def info(
    folder: Folder, version: Version = None, as_json: Json = False, debug: Debug = False
) -> None:
    """Show a collection's documents, columns, embedder and indexes."""
    with reporting(debug), open_for(folder, version) as collection:
        info = collection.info()
        if as_json:
            print_json(_short(info))
            return
        _print_info(info, collection.index_advice() if info.indexes else None)


@app.command(
    rich_help_panel=SAFETY,
    epilog=examples(
        "vecsearch versions notes.vs",
        'vecsearch search notes.vs "budget" --version 7',
    ),
)
def versions(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """List the versions of a collection that can still be opened."""
    with reporting(debug), open_for(folder) as collection:
        found = collection.versions()
        if as_json:
            print_json({"versions": found})
        else:
            head = ["version", "created", "operation", "documents", "change", "size"]
            print_table(head, _version_rows(found))


def _print_info(info: CollectionInfo, advice: IndexAdvice | None) -> None:
    fields = info.fields()
    if advice is not None:
        index = info.indexes[-1]
        size = f"{counted(index.rows, 'row')}, {shown_bytes(index.bytes)}"
        state = str(advice) if advice.action == "none" else "see below"
        fields["index"] = f"{index.recipe['name']}, {size}, {state}"
        fields["recall"] = index.measured
    print_fields(fields)
    if advice is not None and advice.action != "none":
        out.print(str(advice), style="dim", soft_wrap=True)


# What made a version, in words.
_OPERATIONS = {
    "create": "created",
    "add": "documents added",
    "upsert": "documents added or updated",
    "delete": "documents deleted",
    "update": "documents updated",
    "build_index": "index built",
    "compact": "compacted",
    "reembed": "embedded again",
    "add_column": "column added",
    "drop_column": "column removed",
    "alter_column": "column changed",
    "sample_queries": "sampling changed",
    "import": "imported",
}


def _version_rows(found: Sequence[VersionInfo]) -> list[tuple[str, ...]]:
    """Number, local time, operation, documents with their change, and size of each version."""
    rows: list[tuple[str, ...]] = []
    before: int | None = None
    for item in found:
        try:
            moment = datetime.fromisoformat(item.created).astimezone()
            created = f"{moment:%Y-%m-%d %H:%M}"
        except ValueError:
            created = item.created
        change = 0 if before is None else item.documents - before
        before = item.documents
        rows.append(
            (
                str(item.version),
                created,
                _OPERATIONS.get(item.operation, item.operation),
                counted(item.documents, "document"),
                f"{change:+,}".replace("-", "−") if change else "",
                shown_bytes(item.bytes),
            )
        )
    return rows


def _short(info: CollectionInfo) -> CollectionInfo:
    """The same without the operating points of each calibration, which are long."""

    def short(indexes: tuple[IndexInfo, ...]) -> tuple[IndexInfo, ...]:
        return tuple(
            replace(
                index,
                calibration={
                    name: value
                    for name, value in index.calibration.items()
                    if not isinstance(value, list | tuple | Mapping)
                },
            )
            for index in indexes
        )

    named = {name: short(group) for name, group in info.vector_indexes.items()}
    return replace(info, indexes=short(info.indexes), vector_indexes=named)
