"""The file that holds the calibration of an index: JSON that no later commit writes again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from vecsearch.errors import CorruptedError
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.layout import INDEXES
from vecsearch.storage.manifest import IndexEntry, Manifest, replace
from vecsearch.storage.manifest_check import check_calibration

SUFFIX: Final = ".calibration.json"


def write_calibration(path: Path, calibration: Mapping[str, Any]) -> None:
    """Write the calibration of a new index at `path`; the caller syncs and names the file."""
    text = json.dumps(calibration, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")


def read_calibration(root: Path, entry: IndexEntry) -> Mapping[str, Any]:
    """What was measured of an index. Older manifests hold it themselves.

    Raises CorruptedError.
    """
    ref = entry.calibration
    if ref is None:
        return entry.inline_calibration or {}
    file = CheckedFile(root, ref)
    file.verify_all()
    try:
        stored = json.loads(bytes(memoryview(file.buffer)))
        if not isinstance(stored, dict):
            raise TypeError(f"it holds {type(stored).__name__}, not an object")
        check_calibration(stored, entry.rows, "")
    except (ValueError, TypeError, RecursionError) as error:
        raise CorruptedError(
            f"{file.path} is not the calibration of an index: {str(error)[:500]}: "
            "repair builds the index again."
        ) from error
    return stored


def put_calibrations_apart(
    version: Manifest, write: Callable[[str, str, Callable[[Path], None]], FileRef]
) -> Manifest:
    """The version with a file for each calibration that an older manifest held itself.

    Args:
        version: A version that is about to be committed.
        write: `Staging.write`.
    """
    if all(entry.inline_calibration is None for entry in version.indexes):
        return version

    def apart(entry: IndexEntry) -> IndexEntry:
        stored = entry.inline_calibration
        if stored is None:
            return entry
        ref = write(INDEXES, SUFFIX, lambda path: write_calibration(path, stored))
        return replace(entry, calibration=ref, inline_calibration=None)

    return replace(version, indexes=tuple(map(apart, version.indexes)))
