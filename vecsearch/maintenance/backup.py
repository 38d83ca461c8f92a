"""Copy a collection to a backup, and restore one.

A backup is a collection of one version. It is written under a temporary name, and renamed when it
is complete.
"""

from __future__ import annotations

import os
from pathlib import Path

from vecsearch.common.accepted import StorageOptions
from vecsearch.common.gate import gated
from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.maintenance.parquet import import_parquet
from vecsearch.storage import disk, log, manifest_json
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.folders import folder_path, new_collection_folder
from vecsearch.storage.objects.mirror import Mirror
from vecsearch.storage.objects.places import collection_path, local_file
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.origins import origin_of, pull
from vecsearch.storage.snapshot import Snapshot, open_snapshot


def write_backup(root: Path, target: Path, version: int | None = None) -> int:
    """Copy one version of a collection to a new folder, while others may write to it.

    Every byte is compared with its checksum. A backup is a collection: `open` searches it, and
    `restore` copies it to another place.

    Args:
        root: The collection.
        target: The folder of the backup; it must not exist, or be empty.
        version: The version to copy; None copies the latest.

    Returns:
        The version copied.

    Raises:
        InvalidInputError: `target` is inside the collection.
        CollectionNotFoundError: There is no collection at `root`.
        VersionNotFoundError: It does not have this version.
        CollectionExistsError: `target` exists.
        CorruptedError: A file is damaged.
        StorageError: Reading or writing failed.
    """
    pull(root)
    snapshot = open_snapshot(root, OpenFiles(root), version)
    there = origin_of(target)
    if isinstance(there, Mirror):
        return _upload(snapshot, there)
    if target.resolve().is_relative_to(root.resolve()):
        raise InvalidInputError(f"{target} is inside the collection: choose a place outside")
    manifest = snapshot.manifest
    refs = {ref.name: ref for ref in manifest.files()}
    with new_collection_folder(target) as part:
        disk.require_space(part, sum(ref.bytes for ref in refs.values()))
        for ref in refs.values():
            _copy(root, ref, part, target)
        disk.write_text(log.path_of(part, manifest.version), manifest_json.to_json(manifest))
    return manifest.version


def _upload(snapshot: Snapshot, target: Mirror) -> int:
    """Copy a version to object storage, after its files are compared with their checksums."""
    manifest = snapshot.manifest
    files = {}
    for ref in manifest.files():
        file = CheckedFile(snapshot.root, ref)
        file.verify_all()
        files[ref.name] = file.path
    target.fill(manifest.version, manifest_json.to_json(manifest), files)
    return manifest.version


def _copy(root: Path, ref: FileRef, part: Path, target: Path) -> None:
    """Copy one file to `part`, the temporary name of `target`; compare both with its checksums."""
    copy = part / ref.name
    with disk.storage_errors("writing", target):
        copy.parent.mkdir(parents=True, exist_ok=True)  # the folder of a model
    source = CheckedFile(root, ref)
    source.verify_all()
    disk.write_bytes(copy, memoryview(source.buffer))
    if disk.describe(part, copy, ref.name).crc32 != source.sums.hex():
        raise CorruptedError(
            f"{target / ref.name} differs from what was written to it: try another disk"
        )


@gated
def restore(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    storage_options: StorageOptions | None = None,
) -> int:
    """Create a collection from a backup, or from a Parquet file that `Collection.export` wrote.

    To go back to an older version of a collection, use `Collection.rollback`.

    Args:
        source: The folder or URL of a backup, or a Parquet file.
        target: The folder of the new collection, which must not exist, or be empty; or its URL.
        storage_options: Of URLs, as in `vecsearch.create`.

    Returns:
        The number of rows in the new collection.

    Raises:
        CollectionNotFoundError: There is no backup at `source`.
        CollectionExistsError: `target` exists.
        InvalidInputError: `source` is a file that `export` did not write.
        CorruptedError: `source` is damaged.
        StorageError: Reading or writing failed.

    Example:
        >>> import tempfile, vecsearch
        >>> folder = tempfile.mkdtemp()
        >>> with vecsearch.create(f"{folder}/papers.vs", dim=2) as papers:
        ...     result = papers.add([{"id": 1, "vector": [1.0, 0.0]}], progress=False)
        ...     version = papers.backup(f"{folder}/monday.vs")
        >>> vecsearch.restore(f"{folder}/monday.vs", f"{folder}/again.vs")
        1
    """
    with local_file(source, storage_options) as file:
        if file is not None:
            return import_parquet(file, folder_path(target))
    origin, root = (
        collection_path(source, storage_options),
        collection_path(target, storage_options),
    )
    version = write_backup(origin, root)
    manifest = log.load(root, version)
    return manifest.rows - manifest.deleted
