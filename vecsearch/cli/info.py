"""Commands that describe a collection and list its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import typer

from vecsearch.cli.options import Debug, Folder, Json, Version, open_for
from vecsearch.cli.terminal import (
    out,
    print_fields,
    print_json,
    print_table,
    reporting,
    shown_bytes,
)
from vecsearch.types import CollectionInfo, IndexInfo, counted

PANEL = "Documents"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def info(
    folder: Folder, version: Version = None, as_json: Json = False, debug: Debug = False
) -> None:
    """Show a collection's documents, columns, embedder and indexes."""
    with reporting(debug), open_for(folder, version) as collection:
        info = collection.info()
        if as_json:
            print_json(_short(info))
            return
        _print_info(info)
        if info.indexes and version is None:
            out.print(str(collection.index_advice()), style="dim", soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def versions(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """List the versions of a collection that can still be opened."""
    with reporting(debug), open_for(folder) as collection:
        found = collection.versions()
        if as_json:
            print_json({"versions": found})
        else:
            rows = [(item.version, item.created, item.operation, item.documents) for item in found]
            print_table(["version", "created", "operation", "documents"], rows)


def _print_info(info: CollectionInfo) -> None:
    segments = counted(info.segments, "segment")
    print_fields(
        {
            "collection": info.path,
            "version": info.version,
            "documents": info.documents,
            "rows": f"{info.rows:,} in {segments}, {info.deleted_rows:,} deleted",
            "on disk": shown_bytes(info.bytes),
            "embedder": info.embedder,
            "vectors": f"{info.dim} × {info.dtype}, {info.metric}",
            "chunker": info.chunker,
            "columns": ", ".join(_shown_columns(info)),
            "recall target": info.recall,
            "index": "; ".join(_shown_index(index) for index in info.indexes)
            or "none: every search is exact",
        }
    )


def _short(info: CollectionInfo) -> CollectionInfo:
    """The same without the operating points of each calibration, which are long."""
    return replace(
        info,
        indexes=tuple(
            replace(
                index,
                calibration={
                    name: value
                    for name, value in index.calibration.items()
                    if not isinstance(value, list | tuple | Mapping)
                },
            )
            for index in info.indexes
        ),
    )


def _shown_columns(info: CollectionInfo) -> list[str]:
    """The user's columns with their types, without Arrow's "large_" prefix."""
    return [
        f"{name} ({kind.removeprefix('large_')})"
        for name, kind in info.columns.items()
        if name != "vector" and not name.startswith("_")
    ]


def _shown_index(index: IndexInfo) -> str:
    calibration = index.calibration
    measured = f"measured with {calibration['queries']:,} queries ({calibration['calibrated_on']})"
    return (
        f"{index.recipe['name']}, {counted(index.rows, 'row')}, {shown_bytes(index.bytes)}, "
        f"{measured}"
    )
