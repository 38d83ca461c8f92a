"""Durable writes: create, sync, move, publish, remove. Every change of a file goes through here.

The rules are those of databases: the bytes of a file are synced before anything names the file, its
folder is synced before the name is relied on, and a name is never given to other bytes.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from zlib_ng import zlib_ng

from vecsearch.common.cores import cores
from vecsearch.common.engines import engine_for
from vecsearch.errors import CorruptedError, StorageError, VecsearchError
from vecsearch.storage.origins import origin_of

BLOCKS_PER_THREAD = 64  # 16 MB: comparing fewer costs less than starting a thread
BLOCK = 256 * 1024  # bytes covered by one checksum
# A file of more blocks has its checksums beside it: each commit writes those of the others again.
INLINE_BLOCKS = 64
SUMS_SUFFIX = ".crc32"


class FileRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a collection.

    Attributes:
        name: Its path below the collection, with "/".
        bytes: Its size.
        crc32: A CRC-32 for each `BLOCK` bytes of it, 8 hexadecimal digits each, without separators;
            "" if they are in a file of their own.
        sums: The `crc32` of that file, `checksum_file`; "" if there is none.
    """

    name: str
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    crc32: str
    sums: str = ""

    @property
    def checksum_file(self) -> FileRef | None:
        """The file of the checksums of a large file: 4 bytes each, the highest first."""
        if not self.sums:
            return None
        return FileRef(self.name + SUMS_SUFFIX, 4 * -(-self.bytes // BLOCK), self.sums)


@contextlib.contextmanager
def storage_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an operating system error into a StorageError that says what failed and what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, VecsearchError | FileExistsError):
            raise
        advice = {
            errno.ENOSPC: "the disk is full: free some space and try again; nothing was lost",
            errno.EDQUOT: "the disk quota is used up: free some space, try again; nothing was lost",
            errno.EROFS: "the file system is read-only: you can search, but not change anything",
            errno.EACCES: "permission denied: give this user the right to write there",
            errno.EPERM: "not permitted: give this user the right to write there",
            errno.EMFILE: "too many open files: close collections, or raise the limit (ulimit -n)",
        }.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(error.errno, f"{doing} {path}: {advice}") from error


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Create the file `path` with `write(path)` and sync its bytes."""
    with storage_errors("writing", path):
        try:
            write(path)
            sync_file(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Create a file of these bytes and sync them."""

    def write(target: Path) -> None:
        target.write_bytes(content)

    write_file(path, write)


def write_text(path: Path, text: str) -> None:
    """Create a file of UTF-8 text and sync it."""
    write_bytes(path, text.encode())


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    with storage_errors("syncing", path):
        sync_file(path)


def sync_path(folder: Path) -> None:
    """Make the name of a folder durable, and those of the folders above, which may be new too."""
    sync_folder(folder.parent)
    for above in folder.parent.parents:
        with contextlib.suppress(StorageError):  # one that we may not open is not new
            sync_folder(above)


def move(source: Path, target: Path) -> None:
    """Give a finished file its final name (same file system). The caller syncs the folder."""
    with storage_errors("naming", target):
        os.rename(source, target)  # noqa: PTH104  one named operation, as fault injection sees it


def publish(temporary: Path, final: Path) -> None:
    """Give `temporary` the name `final`, unless it is taken: the atomic step of a commit.

    Raises FileExistsError, StorageError.
    """
    with storage_errors("publishing", final):
        os.link(temporary, final)
        with contextlib.suppress(OSError):  # it is published: the second name is only garbage
            temporary.unlink()
        sync_folder(final.parent)


def require_space(folder: Path, size: int) -> None:
    """Refuse to begin writing `size` bytes that do not fit. Raises StorageError."""
    with storage_errors("writing", folder):
        free = os.statvfs(folder)
        if free.f_bavail * free.f_frsize < size:
            raise OSError(errno.ENOSPC, "no space left on device")


def remove(path: Path) -> None:
    """Remove a file, if it exists."""
    with storage_errors("removing", path):
        path.unlink(missing_ok=True)


def checksums(buffer: memoryview) -> str:
    """CRC-32 of each `BLOCK` bytes, 8 hexadecimal digits each, without separators."""
    return "".join(
        f"{zlib_ng.crc32(buffer[at : at + BLOCK]):08x}" for at in range(0, len(buffer), BLOCK)
    )


def describe(root: Path, path: Path, final_name: str) -> FileRef:
    """The FileRef of a finished file at `path` that will be `final_name` below `root`."""
    import pyarrow as pa

    size = path.stat().st_size
    if size == 0:
        return FileRef(final_name, 0, "")
    with pa.memory_map(str(path)) as file:
        return FileRef(final_name, size, checksums(memoryview(file.read_buffer())))


def is_whole(path: Path, ref: FileRef) -> bool:
    """Whether a file has the size and the checksums of its description."""
    found = describe(path.parent, path, ref.name)
    if not ref.sums:
        return (found.bytes, found.crc32) == (ref.bytes, ref.crc32)
    return found.bytes == ref.bytes and ref.sums == checksums(
        memoryview(bytes.fromhex(found.crc32))
    )


def put_sums_apart(ref: FileRef, path: Path) -> FileRef:
    """Write the checksums of a large file, which is at `path`, to a file beside it, and sync that.

    The description of a small one is returned as it is.
    """
    if len(ref.crc32) <= 8 * INLINE_BLOCKS:
        return ref
    sums = bytes.fromhex(ref.crc32)
    write_bytes(path.with_name(path.name + SUMS_SUFFIX), sums)
    return FileRef(ref.name, ref.bytes, "", checksums(memoryview(sums)))


class CheckedFile:
    """A file mapped into memory. Each block is compared with its checksum before it is first used.

    Opening compares the size, and the first and the last block. Arrow keeps its metadata there, and
    a damaged offset could make the decoder read outside the file.
    """

    def __init__(self, root: Path, ref: FileRef) -> None:
        import pyarrow as pa

        self.path = root / ref.name
        self.ref = ref
        self._origin = origin_of(root)
        if self._origin is not None:
            self._origin.fetch(ref.name, ref.bytes, lambda path: is_whole(path, ref))
        with storage_errors("opening", self.path):
            try:
                size = self.path.stat().st_size
            except (FileNotFoundError, NotADirectoryError) as error:
                raise CorruptedError(
                    f"{self.path} is missing: restore it from a backup, or see `vecsearch check`"
                ) from error
            if size != ref.bytes or not size:
                raise CorruptedError(
                    f"{self.path} is damaged: it has {size:,} bytes "
                    f"where {ref.bytes:,} were written"
                )
            with pa.memory_map(str(self.path)) as file:
                self.buffer = file.read_buffer()
        self._view = memoryview(self.buffer)
        self._all_verified = False
        try:
            self._expected = _read_sums(root, ref)
        except ValueError as error:
            raise CorruptedError(
                f"{self.path}: the checksums in the manifest are not hexadecimal"
            ) from error
        self._verified = bytearray(len(self._expected) // 4)
        if len(self._verified) != -(-size // BLOCK):
            raise CorruptedError(
                f"{self.path}: the manifest has {len(self._verified)} checksums for {size:,} bytes"
            )
        self.verify(0, 1)
        self.verify(size - 1, size)

    @property
    def sums(self) -> bytes:
        """The checksums of its blocks."""
        return self._expected

    def verify(self, start: int, stop: int) -> None:
        """Compare the blocks of the bytes `start` to `stop` with their checksums.

        Raises CorruptedError.
        """
        if self._all_verified or start >= stop:
            return
        first, last = start // BLOCK, (stop - 1) // BLOCK
        if last - first <= 1 and self._verified[first] and self._verified[last]:
            return
        self._verify_blocks(range(first, last + 1))

    def verify_many(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> None:
        """`verify` for many ranges, none of which is empty."""
        if self._all_verified or not len(starts):
            return
        count = len(self._verified) + 1
        begins = np.bincount(starts // BLOCK, minlength=count)
        ends = np.bincount((stops - 1) // BLOCK + 1, minlength=count)
        self._verify_blocks(np.flatnonzero(np.cumsum(begins - ends)).tolist())

    def _verify_blocks(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            if not self._verified[block]:
                crc = zlib_ng.crc32(self._view[block * BLOCK : (block + 1) * BLOCK])
                if crc != int.from_bytes(self._expected[block * 4 : block * 4 + 4], "big"):
                    end = min((block + 1) * BLOCK, self.ref.bytes)
                    if self._origin is not None:
                        self._origin.forget(self.ref.name)
                        raise CorruptedError(
                            f"{self.path}, the local copy of a file of {self._origin.url}, was "
                            "damaged and is removed: open the collection again to fetch it"
                        )
                    raise CorruptedError(
                        f"{self.path} is damaged in bytes {block * BLOCK:,} to {end:,}: "
                        "the checksum differs; restore it from a backup"
                    )
                self._verified[block] = 1

    def verify_all(self) -> None:
        """Compare every block, on all cores for a large file. Raises CorruptedError."""
        blocks = range(len(self._verified))
        threads = min(cores(), len(blocks) // BLOCKS_PER_THREAD)
        if threads > 1 and not self._all_verified:
            shares = [blocks[number::threads] for number in range(threads)]
            engine_for(threads).map(self._verify_blocks, shares)
        self._verify_blocks(blocks)
        self._all_verified = True


def _read_sums(root: Path, ref: FileRef) -> bytes:
    """The checksums of a file: those of the manifest, or of the file beside it."""
    beside = ref.checksum_file
    if beside is None:
        return bytes.fromhex(ref.crc32)
    file = CheckedFile(root, beside)
    file.verify_all()
    return bytes(file._view)
