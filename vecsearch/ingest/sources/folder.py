"""The files below a folder, less those that are left out, each with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.document import address_of
from vecsearch.ingest.sources.ignore import Ignored
from vecsearch.ingest.sources.reading import Reading
from vecsearch.ingest.sources.registry import ARCHIVES, DOCUMENTS, PICTURES, TABLES, suffix_of

MAX_FILE = 100 * 2**20  # bytes; larger ones are given by themselves


def files_to_read(folder: Path, reading: Reading) -> list[tuple[str, Path]]:
    """The files of a folder that are read, by their paths from it, in that order.

    Others are noted in the report.

    Raises:
        InvalidInputError: A folder, or a file of patterns, cannot be read.
    """
    found = []
    for relative, path in _files(folder, reading):
        suffix = suffix_of(path)
        is_picture = suffix in PICTURES
        if is_picture or suffix in DOCUMENTS or suffix in TABLES:
            reason = _unfit(path, is_picture, reading)
            if reason is None:
                found.append((relative, path))
            else:
                reading.files[f"{address_of(folder)}/{relative}"] = None
                reading.note_skipped(relative, reason)
        elif suffix in ARCHIVES:
            reading.note_skipped(relative, "archive")
        else:
            reading.note_unread(suffix or path.name)
    return sorted(found)


def _unfit(path: Path, is_picture: bool, reading: Reading) -> str | None:
    """Why a file of a kind that is known is not read."""
    if is_picture and not reading.pictures:
        return "picture"
    if reading.pictures and not is_picture:
        return "no picture"
    try:
        size = path.stat().st_size
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if not path.is_file():
        return "a pipe or a device"
    if size > MAX_FILE:
        return f"{size / 2**20:,.0f} MB, more than {MAX_FILE // 2**20}: give it by itself"
    return None


def _files(folder: Path, reading: Reading) -> Iterator[tuple[str, Path]]:
    """All files below the folder that no pattern leaves out.

    Real folders come before linked ones, so that a new link does not change the paths of files
    that were found without it. A link to a folder around one of these is left out: it would bring
    all that lies beside the folder, up to the whole disk.
    """
    seen: set[str] = set()
    ignored = Ignored(reading.exclude)
    starts = [folder]
    for start in starts:  # grows on the way
        for base, folders, files in os.walk(start, onerror=_unreadable):
            real = os.path.realpath(base)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            prefix = _relative(Path(base), folder)
            ignored.enter(Path(base), prefix)
            for names, is_folder in ((folders, True), (files, False)):
                kept = []
                for name in sorted(names):
                    relative = f"{prefix}/{name}" if prefix else name
                    reason = "hidden" if name.startswith((".", "~$")) else None  # ~$: of Office
                    if is_folder and is_collection(Path(base, name)):
                        reason = "a collection"
                    excluded = reason or ignored.reason(relative, is_folder=is_folder)
                    if excluded is None:
                        kept.append(name)
                    elif name not in _OWN_HIDDEN:
                        shown = f"{relative}/" if is_folder else relative
                        reading.note_skipped(shown, reason or f"excluded by {excluded}")
                names[:] = kept
            for name in folders:
                path = Path(base, name)
                if not path.is_symlink():
                    continue
                target = path.resolve()
                if str(target) not in seen and any(target in s.resolve().parents for s in starts):
                    shown = f"{prefix}/{name}/" if prefix else f"{name}/"
                    reading.note_skipped(shown, "a link to a folder around this one")
                else:
                    starts.append(path)
            yield from (
                (f"{prefix}/{name}" if prefix else name, Path(base, name)) for name in files
            )


def is_collection(folder: Path) -> bool:
    """Whether a folder is a collection of vecsearch, which is no data."""
    return (folder / "manifests").is_dir() and (folder / "segments").is_dir()


_OWN_HIDDEN = (".gitignore", ".vecsearchignore", ".DS_Store")  # nobody misses them


def _relative(path: Path, folder: Path) -> str:
    relative = path.relative_to(folder).as_posix()
    return "" if relative == "." else relative


def _unreadable(error: OSError) -> None:
    raise InvalidInputError(
        f"the folder {error.filename!r} cannot be read: {error.strerror}"
    ) from error
