"""Where local copies are, and how large all of them may be.

Every file but a manifest can be fetched again, so any can be removed. Files of versions that
somebody on this machine reads are not: they would be fetched again at once.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from vecsearch.common.arguments import parse_bytes
from vecsearch.errors import VecsearchError
from vecsearch.storage import locks, log
from vecsearch.storage.layout import INDEXES, MODELS, SEGMENTS, STAGING

FOLDER = "VECSEARCH_CACHE"  # the folder of all copies
SIZE = "VECSEARCH_CACHE_SIZE"  # the bytes of all copies, such as "50GB"
DEFAULT_SIZE = 50 * 1000**3
LOOKS = 20  # at the sizes of all files, while as much as the limit is fetched

_fetched: dict[Path, int] = {}  # bytes since the sizes were looked at


def default_folder() -> Path:
    """The folder of copies, if none is given."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    given = os.environ.get(FOLDER)
    return Path(os.path.abspath(given or Path(user, "vecsearch", "collections")))  # noqa: PTH100


def limit() -> int:
    """The bytes of all copies in a folder."""
    given = os.environ.get(SIZE)
    return (parse_bytes(given) if given else None) or DEFAULT_SIZE


def note(folder: Path, size: int) -> None:
    """Note that a file was fetched; make room for more if that is due."""
    since = _fetched.get(folder, limit()) + size
    if since * LOOKS >= limit():
        make_room(folder)
        since = 0
    _fetched[folder] = since


def make_room(folder: Path) -> None:
    """Remove the files that were opened longest ago, until the rest has the size allowed."""
    files, used = [], 0
    for root in folder.glob("*/*"):
        if not (root / SEGMENTS).is_dir():
            continue
        kept = _in_use(root)
        for place in (SEGMENTS, INDEXES, MODELS, STAGING):
            for path in (root / place).rglob("*"):
                with contextlib.suppress(OSError):
                    if not path.is_file():
                        continue
                    state = path.stat()
                    used += state.st_size
                    name = path.relative_to(root).as_posix()
                    if kept is not None and place != STAGING and name not in kept:
                        files.append((state.st_mtime, state.st_size, path))
    for _, size, path in sorted(files):
        if used <= limit():
            return
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            used -= size


def _in_use(root: Path) -> set[str] | None:
    """The files of versions that are open on this machine; None: all, as somebody writes."""
    try:
        writing = locks.try_lock_exclusive(root / "LOCK", create=True)
        if writing is None:
            return None
        with writing:
            names = set()
            for number in log.versions(root):
                lock = locks.try_lock_exclusive(log.path_of(root, number))
                if lock is None:
                    names |= {ref.name for ref in log.load(root, number).files()}
                else:
                    lock.release()
            return names
    except (OSError, VecsearchError):
        return None
