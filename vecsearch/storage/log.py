"""The numbered manifests of a collection: list, load and commit versions."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import uuid
from collections.abc import Iterable
from pathlib import Path

from vecsearch.common.arguments import is_whole
from vecsearch.common.show import shown
from vecsearch.errors import (
    CollectionNotFoundError,
    ConflictError,
    CorruptedError,
    InvalidInputError,
    VersionNotFoundError,
)
from vecsearch.storage import disk
from vecsearch.storage.layout import MANIFESTS
from vecsearch.storage.manifest import Manifest, replace
from vecsearch.storage.manifest_json import from_json, to_json
from vecsearch.storage.origins import origin_of
from vecsearch.storage.origins import shown as shown_place
from vecsearch.storage.parsed import PARSED


def path_of(root: Path, version: int) -> Path:
    return root / MANIFESTS / f"{version:08d}.json"


def versions(root: Path) -> list[int]:
    """The versions on disk, oldest first."""
    folder = root / MANIFESTS
    with disk.storage_errors("reading", folder):
        try:
            names = os.listdir(folder)  # noqa: PTH208  faster, and called often
        except (FileNotFoundError, NotADirectoryError):
            return []
    return sorted(int(name[:-5]) for name in names if re.fullmatch(r"[0-9]{8,}\.json", name))


def required_versions(root: Path) -> list[int]:
    """The versions on disk, oldest first. Raises CollectionNotFoundError where there are none."""
    present = versions(root)
    if not present:
        raise _not_found(root)
    return present


def _not_found(root: Path) -> CollectionNotFoundError:
    """The error about a path without a collection, which may be files to make one of."""
    what = ""
    with contextlib.suppress(OSError):
        if root.is_file():
            what = "a file"
        elif root.is_dir() and any(root.iterdir()):
            what = "a folder of files"
    if not what:
        return CollectionNotFoundError(
            f"there is no collection at {root}",
            hint="make one with vecsearch.create",
            command_hint="make one with `vecsearch ingest`",
        )
    near = os.path.relpath(root)
    here = str(root) if near.startswith("..") else near
    name = f"{root.stem or 'collection'}.vs"
    return CollectionNotFoundError(
        f"{here} is {what}, not a collection",
        hint=f"make one of it: vecsearch.create({name!r}, ...).add({here!r})",
        command_hint=f"make one of it: `vecsearch ingest {shlex.quote(here)} {shlex.quote(name)}`",
    )


def load(root: Path, version: int | None = None) -> Manifest:
    """Read one version, or the latest.

    Raises CollectionNotFoundError, VersionNotFoundError, CorruptedError, StorageError.
    """
    for _ in range(100):
        number = _wanted(root, version)
        path = path_of(root, number)
        with disk.storage_errors("reading", path):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # removed since the folder was listed: list it again
        return _read(content, path, number)
    raise CorruptedError(f"{path} is listed but cannot be opened: is it a link to a missing file?")


def _wanted(root: Path, version: int | None) -> int:
    present = required_versions(root)
    if version is None:
        return present[-1]
    if not is_whole(version) or int(version) not in present:
        raise VersionNotFoundError(
            f"{shown_place(root)} has no version {shown(version)}; "
            f"it keeps versions {present[0]} to {present[-1]}",
            hint="Collection.versions() lists them",
            command_hint="`vecsearch versions` lists them",
        )
    return int(version)


def _read(content: bytes, path: Path, version: int) -> Manifest:
    manifest = PARSED.get(content)
    if manifest is None:
        manifest = _parse(content, path)
        PARSED.put(content, manifest)
    if manifest.version != version:
        raise CorruptedError(
            f"{path} says it is version {manifest.version}: it was renamed or replaced"
        )
    return manifest


def _parse(content: bytes, path: Path) -> Manifest:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CorruptedError(
            f"{path} is damaged: {error}; open an older version, or restore a backup"
        ) from error
    return from_json(text, str(path))


def _require_readable(text: str, manifest: Manifest) -> Manifest:
    """What a reader will read, who checks it. Raises InvalidInputError."""
    try:
        return from_json(text, f"version {manifest.version}")
    except CorruptedError as error:
        raise InvalidInputError(f"this cannot be stored: {error.message}") from error


def _outrun(root: Path, version: int) -> ConflictError:
    return ConflictError(
        f"another writer committed version {version} of {shown_place(root)} first: try again"
    )


def commit(root: Path, manifest: Manifest, changed: Iterable[str] = ()) -> None:
    """Make a version the latest, durably.

    The manifest is written under a temporary name and hard-linked to its own. That fails if a rival
    took the number first, whose manifest is therefore never overwritten.

    Args:
        root: The collection.
        manifest: The version. Every file it names is in place.
        changed: Folders with new files.

    Raises:
        ConflictError: Another writer committed the same number first.
    """
    origin = origin_of(root)
    if origin is not None:
        manifest = replace(manifest, commit=uuid.uuid4().hex)
    text = to_json(manifest)
    PARSED.put(text.encode(), _require_readable(text, manifest))
    for folder in changed:
        disk.sync_folder(root / folder)
    if origin is not None:
        there = {ref.name for number in versions(root) for ref in load(root, number).files()}
        new = {ref.name for ref in manifest.files()} - there
        try:
            origin.publish(manifest.version, text, sorted(new))
        except FileExistsError as error:
            raise _outrun(root, manifest.version) from error
        return
    temporary = root / MANIFESTS / f".{manifest.version:08d}-{uuid.uuid4().hex}.tmp"
    disk.write_text(temporary, text)
    try:
        disk.publish(temporary, path_of(root, manifest.version))
    except FileExistsError as error:
        raise _outrun(root, manifest.version) from error
    finally:
        with contextlib.suppress(OSError):  # garbage collection tries again, and names it
            temporary.unlink(missing_ok=True)
