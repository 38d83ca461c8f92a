"""Take a collection elsewhere: as a backup, which is a collection itself, or as one Parquet file that anything reads.

Both work on one version, held against removal, while others write. What is being made has another name until it is whole, so
nothing half done is ever taken for a backup.
"""

from __future__ import annotations

import os
from pathlib import Path

from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.maintenance.parquet import import_parquet
from vecsearch.storage import disk, log, manifest_json
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.folders import folder_path, new_collection_folder
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.snapshot import open_snapshot


def write_backup(root: Path, target: Path, version: int | None = None) -> int:
    """Copy a version (the latest) of a collection to a new folder; the version's number.

    Every byte is compared with its checksum on the way. Writing to the collection may go on. A backup is a collection of one
    version: `open` searches it, and `backup` from it to a free place restores it.
    Raises CollectionNotFoundError, VersionNotFoundError, CollectionExistsError, CorruptedError, StorageError.
    """
    snapshot = open_snapshot(root, OpenFiles(root), version)
    if target.resolve().is_relative_to(root.resolve()):
        raise InvalidInputError(f"{target} lies inside the collection: choose a place outside")
    refs = {ref.name: ref for ref in snapshot.manifest.files()}
    with new_collection_folder(target) as part:
        disk.require_space(part, sum(ref.bytes for ref in refs.values()))
        for name, ref in refs.items():
            with disk.storage_errors("writing", target):
                (part / name).parent.mkdir(parents=True, exist_ok=True)  # a model's folder
            source = CheckedFile(root, ref)
            source.verify_all()
            disk.write_bytes(part / name, memoryview(source.buffer))
            if disk.describe(part, part / name, name) != ref:
                raise CorruptedError(
                    f"{target / name} was not written as it was read: try another disk"
                )
        disk.write_text(
            log.path_of(part, snapshot.manifest.version), manifest_json.to_json(snapshot.manifest)
        )
    return snapshot.manifest.version


def restore(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> int:
    """Make a collection at `target`, where nothing is yet, of a backup or of a file that `export_parquet` wrote; its rows.

    Another thing than `Collection.restore`, which goes back to an older version of the same collection. Raises
    CollectionNotFoundError, CollectionExistsError, InvalidInputError, CorruptedError, StorageError.
    """
    origin, root = folder_path(source), folder_path(target)
    if origin.is_file():
        return import_parquet(origin, root)
    version = write_backup(origin, root)
    manifest = log.load(root, version)
    return manifest.rows - manifest.deleted
