"""Writes what an index file has beside FAISS's own part."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.faiss_errors import faiss_reason
from vecsearch.storage.disk import storage_errors

TRAILER = b"VECSIDX1"  # last 8 bytes of an index file, after the 8-byte length of the npz before


def append_trailer(path: Path, arrays: Mapping[str, Any]) -> None:
    """Append an npz of arrays, those that are None left out, its length, and `TRAILER`."""
    buffer = io.BytesIO()
    there = {name: array for name, array in arrays.items() if array is not None}
    np.savez(buffer, allow_pickle=False, **there)
    rest = buffer.getvalue()
    with path.open("ab") as file:
        file.write(rest + len(rest).to_bytes(8, "little") + TRAILER)


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Raises StorageError if writing a file fails, by FAISS or otherwise."""
    try:
        with storage_errors("writing", path):
            yield
    except RuntimeError as error:  # FAISS gives the system's error as text only
        codes = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
        code = next((code for code in codes if os.strerror(code) in str(error)), errno.EIO)
        with storage_errors("writing", path):
            raise OSError(code, faiss_reason(error)) from error
