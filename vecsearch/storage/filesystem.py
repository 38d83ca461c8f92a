"""Which file systems can hold a collection: they need hard links and working locks."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from vecsearch.errors import StorageError
from vecsearch.storage.disk import storage_errors
from vecsearch.storage.locks import try_lock_exclusive

PROBE = ".probe-"  # files that `require_local` tests a file system with
REMOTE_FILE_SYSTEMS = frozenset(
    "9p afs ceph cifs fuse.sshfs fuse.s3fs fuse.rclone glusterfs lustre ncpfs nfs nfs4 smb3 smbfs "
    "vboxsf".split()
)


def file_system_type(path: Path) -> str:
    """The type of the file system that holds `path` ("ext4", "nfs"), or "" if it is unknown."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    resolved = str(path.resolve())
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split()[4].replace("\\040", " ")
        inside = resolved == mount or resolved.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= best:
            best, kind = len(mount), after.split()[0]
    return kind


def require_local(folder: Path) -> None:
    """Refuse a file system without hard links that fail if the name is taken, or without locks.

    Commits need both. Raises StorageError.
    """
    kind = file_system_type(folder)
    if kind in REMOTE_FILE_SYSTEMS:
        raise StorageError(
            errno.ENOTSUP,
            f"{folder} is on a network file system ({kind}), where locks are not reliable: "
            "put the collection on a local disk",
        )
    name = f"{PROBE}{uuid.uuid4().hex}"
    probe, twin = folder / name, folder / f"{name}-link"
    with storage_errors("writing", folder):
        for path in folder.glob(f"{PROBE}*"):
            _remove_unlocked(path)  # left by a process that was killed here
        try:
            lock = try_lock_exclusive(probe, create=True)
            if lock is None:
                raise OSError(errno.ENOTSUP, "no lock")
            with lock:
                os.link(probe, twin)
        except OSError as error:
            if error.errno not in (
                errno.ENOTSUP,
                errno.EPERM,
                errno.ENOSYS,
                errno.ENOLCK,
                errno.EMLINK,
            ):
                raise
            raise StorageError(
                errno.ENOTSUP,
                f"the file system of {folder} has no hard links or locks: "
                "put the collection on a local POSIX disk",
            ) from error
        finally:
            probe.unlink(missing_ok=True)
            twin.unlink(missing_ok=True)


def _remove_unlocked(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        lock = try_lock_exclusive(path)
        if lock is not None:
            with lock:
                path.unlink()
