"""Writing a model's folder: whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecsearch.errors import CollectionExistsError
from vecsearch.storage import disk
from vecsearch.storage.layout import INDEXES, MANIFESTS, SEGMENTS, STAGING


@contextlib.contextmanager
def new_collection_folder(target: Path) -> Iterator[Path]:
    """The folders of a collection under a passing name; it gets its own when the block ends well."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise CollectionExistsError(f"{target} is there already: choose a name that is free")
    part = target.with_name(f".{target.name}-{uuid.uuid4().hex}.part")
    try:
        with disk.storage_errors("writing", target):
            for name in (MANIFESTS, SEGMENTS, INDEXES, STAGING):
                (part / name).mkdir(parents=True)
        yield part
        for folder in sorted({path for path in part.rglob("*") if path.is_dir()} | {part}, reverse=True):
            disk.sync_folder(folder)
        disk.move(part, target)
        disk.sync_path(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yields a new folder beside `target` to write to. At the end it is synced and takes the target's name and place; after an
    error or Ctrl-C it is removed, and what was at `target` is as before. Raises StorageError."""
    with disk.storage_errors("writing", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    made, old = work / "new", work / "old"
    try:
        with disk.storage_errors("writing", target):
            made.mkdir()
            yield made
            for path in made.rglob("*"):
                disk.sync_file(path)
            if target.exists():
                target.rename(old)
            made.rename(target)
            disk.sync_folder(target.parent)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(work, ignore_errors=True)
