"""Folders that appear complete or not at all: a new collection, a model."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from vecsearch.common.show import cut, shown
from vecsearch.errors import CollectionExistsError, ConflictError, InvalidInputError
from vecsearch.storage import disk, filesystem, locks, log
from vecsearch.storage.layout import INDEXES, MANIFESTS, MODELS, SEGMENTS, STAGING, VECTOR_CACHE
from vecsearch.storage.origins import origin_of
from vecsearch.storage.origins import shown as shown_place
from vecsearch.storage.own_files import Removal


@contextlib.contextmanager
def new_collection_folder(target: Path) -> Iterator[Path]:
    """Create a collection under a temporary name, and rename it to `target` on success.

    Raises CollectionExistsError, StorageError.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise CollectionExistsError(f"{target} exists already: choose a name that is free")
    part = part_path(target)
    lock: locks.FileLock | None = None
    try:
        with disk.storage_errors("writing", target):
            while lock is None:  # another process may remove a folder that is not locked yet
                part.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    lock = locks.try_lock_exclusive(part)
            for name in (MANIFESTS, SEGMENTS, INDEXES, STAGING):
                (part / name).mkdir(parents=True)
        yield part
        for folder in sorted(
            {path for path in part.rglob("*") if path.is_dir()} | {part}, reverse=True
        ):
            disk.sync_folder(folder)
        disk.move(part, target)
        disk.sync_path(target)
    finally:
        removal = Removal()
        removal.remove(part)
        removal.warn()
        if lock is not None:
            lock.release()


def part_path(target: Path) -> Path:
    """The temporary name of a new folder or file, once those of killed writers are removed.

    A living writer holds a lock on its file or folder.
    """
    pattern = rf"\.{re.escape(target.name)}-[0-9a-f]{{32}}\.part"
    removal = Removal()
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if re.fullmatch(pattern, path.name) and not path.is_symlink():
                with contextlib.suppress(OSError):
                    _remove_unlocked(path, removal)
    removal.warn()
    return target.with_name(f".{target.name}-{uuid.uuid4().hex}.part")


def _remove_unlocked(path: Path, removal: Removal) -> None:
    lock = locks.try_lock_exclusive(path)
    if lock is not None:
        with lock:
            removal.remove(path)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Create or replace a folder. Yields a new folder, which replaces `target` at the end.

    After an error or Ctrl-C the new folder is removed, and `target` is as before.
    Raises StorageError.
    """
    with disk.storage_errors("writing", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    new, old = work / "new", work / "old"
    try:
        with disk.storage_errors("writing", target):
            new.mkdir()
            yield new
            for path in new.rglob("*"):
                disk.sync_file(path)
            if target.exists():
                target.rename(old)
            new.rename(target)
            disk.sync_folder(target.parent)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        removal = Removal()
        removal.remove(work)
        removal.warn()


@contextlib.contextmanager
def removed_on_error(
    root: Path, versions: list[int], created: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """Remove a new collection if the block raises an error, so that nothing is left behind.

    Enter it before the collection is created. A folder that held anything before is left alone, as
    is one in which others committed meanwhile. After Ctrl-C the collection stays if it has vectors
    that were embedded, so that the next run goes on from there.

    Args:
        root: The folder of the new collection.
        versions: The versions that the block commits before it may fail.
        created: Whether the block created the collection, asked after the error.
    """
    origin = origin_of(root)
    if origin is not None:
        origin.prepare()
    was_there = root.exists()
    is_ours = not was_there or (root.is_dir() and not any(root.iterdir()))
    parents = [path for path in root.parents if not path.exists()]
    try:
        yield
    except (CollectionExistsError, ConflictError):
        raise  # another process created it
    except BaseException as error:
        is_kept = not isinstance(error, Exception) and any(
            root.glob(f"{STAGING}/{VECTOR_CACHE}*/*")
        )
        is_new = is_ours and not is_kept and created() and root.is_dir()
        if is_new and log.versions(root) in ([], versions):
            if origin is not None:
                origin.remove_all()
            removal = Removal()
            for path in list(root.iterdir() if root.is_dir() else ()):
                removal.remove(path)
            removal.warn()
            with contextlib.suppress(OSError):  # a folder that is not empty stays
                for path in [] if was_there else [root, *parents]:
                    path.rmdir()
        raise


def folder_path(path: str | os.PathLike[str]) -> Path:
    """The absolute path of a folder or file, which `os.chdir` does not change.

    Raises InvalidInputError for a path that no file system holds, and for what a shell, a browser
    or Windows reads as another place than this file system does.
    """
    _refuse_other_places(path)
    try:
        root = Path(os.path.abspath(path))  # noqa: PTH100  keeps symbolic links
        root.exists()
        os.fsencode(root)
    except (TypeError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or cut(str(error))
        raise InvalidInputError(f"{shown(path)} is not a path: {reason}") from error
    if "\0" in str(root):
        raise InvalidInputError(f"{shown(path)} is not a path: it has a NUL character")
    return root


def _refuse_other_places(path: str | os.PathLike[str]) -> None:
    if not isinstance(path, str | os.PathLike):
        return
    name = os.fspath(path)
    if not isinstance(name, str):
        return
    if not name:
        raise InvalidInputError("the path is empty")
    home = os.path.expanduser(name)  # noqa: PTH111  keeps the path as it is otherwise
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", name)
    if home != name:
        raise InvalidInputError(
            f"{name[:80]!r} begins with ~, which is the home folder in a shell only",
            hint=f"give {home[:160]!r}, or './{name[:80]}' for a folder of that name",
        )
    if scheme or re.match(r"[A-Za-z]:\\", name):
        kind = "a URL" if scheme else "a path of Windows"
        raise InvalidInputError(
            f"{name[:80]!r} is {kind}; a path of this machine is needed",
            hint=f"give {name[7:80]!r}" if name.startswith("file:///") else "",
        )


def make_collection_folders(root: Path) -> None:
    """Create the folders of an empty collection. Raises CollectionExistsError, StorageError."""
    if root.is_dir():
        if log.versions(root):
            raise CollectionExistsError(
                f"there is a collection at {shown_place(root)} already",
                hint="open it with vecsearch.open, or choose another path",
                command_hint="choose another path",
            )
        ours = {MANIFESTS, SEGMENTS, INDEXES, STAGING, MODELS}  # left by an interrupted create
        for path in root.iterdir():
            if path.name not in ours and not path.name.startswith(filesystem.PROBE):
                raise CollectionExistsError(
                    f"{root} is a folder with other files in it: choose a name that is free"
                )
    elif root.exists():
        raise CollectionExistsError(f"{root} is a file: choose a name that is free")
    with disk.storage_errors("creating", root):
        root.mkdir(parents=True, exist_ok=True)
        filesystem.require_local(root)
        for name in (MANIFESTS, SEGMENTS, INDEXES, STAGING):
            (root / name).mkdir(exist_ok=True)
    disk.sync_folder(root)
    disk.sync_path(root)
