"""The numbered manifests of a collection: list, load and commit versions."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

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
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.manifest_json import from_json, to_json


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
        raise CollectionNotFoundError(
            f"there is no collection at {root}",
            hint="make one with vecsearch.create",
            command_hint="make one with `vecsearch ingest`",
        )
    return present


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
    if not isinstance(version, int) or version not in present:
        raise VersionNotFoundError(
            f"{root} has no version {shown(version)}; "
            f"it keeps versions {present[0]} to {present[-1]}",
            hint="Collection.versions() lists them",
            command_hint="`vecsearch versions` lists them",
        )
    return version


def _read(content: bytes, path: Path, version: int) -> Manifest:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CorruptedError(
            f"{path} is damaged: {error}; open an older version, or restore a backup"
        ) from error
    manifest = from_json(text, str(path))
    if manifest.version != version:
        raise CorruptedError(
            f"{path} says it is version {manifest.version}: it was renamed or replaced"
        )
    return manifest


def _require_readable(text: str, manifest: Manifest) -> None:
    """What is written must pass what a reader checks. Raises InvalidInputError."""
    try:
        from_json(text, f"version {manifest.version}")
    except CorruptedError as error:
        raise InvalidInputError(f"this cannot be stored: {error.message}") from error


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
    text = to_json(manifest)
    _require_readable(text, manifest)
    for folder in changed:
        disk.sync_folder(root / folder)
    temporary = root / MANIFESTS / f".{manifest.version:08d}-{uuid.uuid4().hex}.tmp"
    disk.write_text(temporary, text)
    try:
        disk.publish(temporary, path_of(root, manifest.version))
    except FileExistsError as error:
        raise ConflictError(
            f"another writer committed version {manifest.version} of {root} first: try again"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # garbage collection tries again, and names it
            temporary.unlink(missing_ok=True)
