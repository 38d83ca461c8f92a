"""Which files and folders of a collection are vecsearch's own: only these are ever removed."""

from __future__ import annotations

import errno
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from vecsearch.errors import StorageError
from vecsearch.storage import disk
from vecsearch.storage.layout import (
    DAMAGED,
    INDEXES,
    MANIFESTS,
    MODELS,
    QUERIES,
    SEGMENTS,
    STAGING,
)

FOLDERS = (MANIFESTS, SEGMENTS, INDEXES, MODELS, STAGING, QUERIES, DAMAGED)
_KIND = r"(\.ids|\.dead|\.labels|\.columns|\.text)?"
_FILE = rf"[0-9a-f]{{32}}({_KIND}\.(arrow|faiss)|\.calibration\.json)(\.crc32)?"
_VERSION = r"[0-9]{8,}\.json"
_MODEL = r"[0-9a-f]{1,16}-[0-9a-f]{8}"
_NAMES = {
    MANIFESTS: rf"{_VERSION}|\.[0-9]{{8,}}-[0-9a-f]{{32}}\.tmp",
    SEGMENTS: _FILE,
    INDEXES: _FILE,
    MODELS: _MODEL,
    STAGING: r"work-[0-9a-z]{1,32}|(vectors|build)-[0-9a-f]{1,128}",
    QUERIES: r"sample\.npz|\.[0-9a-f]{32}\.tmp",
    DAMAGED: rf"{_FILE}|{_VERSION}|{_MODEL}",
}
IN_FOLDERS = (MODELS, STAGING)  # what vecsearch makes there are folders, elsewhere files


def folder_name(fingerprint: str) -> str:
    """The part of a folder's name that stands for a model: hexadecimal in any case."""
    if re.fullmatch("[0-9a-f]{16,}", fingerprint):
        return fingerprint[:16]
    return blake2b(fingerprint.encode(errors="replace"), digest_size=8).hexdigest()


def is_own(place: str, name: str) -> bool:
    """Whether vecsearch gives such names in a folder of the collection."""
    return re.fullmatch(_NAMES[place], name) is not None


def own(root: Path, place: str) -> Iterator[Path]:
    """What vecsearch made in a folder of the collection; nothing else there is its business."""
    folder = root / place
    with disk.storage_errors("reading", folder):
        if not folder.is_dir():
            return
        paths = sorted(folder.iterdir())
    for path in paths:
        is_kind = place == DAMAGED or path.is_dir() == (place in IN_FOLDERS)
        if is_kind and is_own(place, path.name) and not path.is_symlink():
            yield path


def linked_folders(root: Path) -> list[str]:
    """The folders of a collection that are symbolic links, which lead outside."""
    return [place for place in FOLDERS if (root / place).is_symlink()]


def require_real_folders(root: Path) -> None:
    """Refuse a collection whose inner folders lead elsewhere. Raises StorageError."""
    for place in linked_folders(root):
        raise StorageError(
            None,
            f"{root / place} is a symbolic link: a collection keeps its files in its own folder; "
            "replace the link by the folder it leads to",
        )


class Removal:
    """Removes files and folders; one that cannot be removed does not stop the others.

    Attributes:
        failures: What is left and why, one sentence each.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder with all that is in it."""
        before = len(self.failures)

        def failed(function: object, name: str, error: BaseException) -> None:
            is_left = isinstance(error, OSError) and error.errno == errno.ENOTEMPTY
            # What is in it was named, or another process locked it after its LOCK was removed.
            is_known = len(self.failures) > before or Path(name, "LOCK").exists()
            if isinstance(error, FileNotFoundError) or (is_left and is_known):
                return
            self.failures.append(f"{name}: {getattr(error, 'strerror', None) or error}")

        try:
            if path.is_dir() and not path.is_symlink():
                if sys.version_info >= (3, 12):
                    shutil.rmtree(path, onexc=failed)
                else:
                    shutil.rmtree(path, onerror=lambda call, at, info: failed(call, at, info[1]))
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            failed(None, str(path), error)

    def warn(self) -> None:
        """Name what is left in a RuntimeWarning, if anything is."""
        if self.failures:
            warnings.warn(
                f"files that no version needs could not be removed: {'; '.join(self.failures)}",
                RuntimeWarning,
                stacklevel=3,
            )
