"""Writing a model's folder: whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecsearch import disk


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
