"""The few requests that a collection makes to object storage, through obstore."""

from __future__ import annotations

import contextlib
import errno
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vecsearch.common.deadline import check_time
from vecsearch.common.optional import require
from vecsearch.common.show import cut
from vecsearch.errors import InvalidInputError, StorageError, VecsearchError

T = TypeVar("T")
ATTEMPTS = 4  # of a request that may succeed later
PAUSE = 0.05  # seconds before the second attempt; twice as long before each further one
CHUNK_BYTES = 8 * 1024 * 1024
LISTED_AT_A_TIME = 1000
NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")  # what services say
# Some requests have no error of their own in obstore for this, such as listing.
DENIED = ("status code: 401", "status code: 403")


class Item(NamedTuple):
    """An object, as listed. Its name begins after the collection's."""

    name: str
    bytes: int
    modified: datetime
    tag: str


class UnclearError(StorageError):
    """Nobody knows whether a request was carried out: its answer was lost."""


class Bucket:
    """The objects of one collection.

    Attributes:
        url: The collection.
        requests: How many requests were made, by kind ("get", "put", "create", "list", ...), and
            "bytes sent" and "bytes received".
    """

    def __init__(self, url: str, store: Any, prefix: str = "") -> None:
        """The objects below `prefix` of `store`, an object store of obstore."""
        self.url = url
        self.requests: Counter[str] = Counter()
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._api = require("obstore", "obstore", "object-storage", "A collection at a URL")
        self._errors = self._api.exceptions

    def get(self, name: str) -> bytes | None:
        """The bytes of an object; None if there is none."""

        def read() -> bytes:
            answer = self._api.get(self._store, self._prefix + name)
            content = bytes(answer.bytes())
            self._require_bytes(name, len(content), answer.meta["size"])
            return content

        with contextlib.suppress(FileNotFoundError):
            content = self._retried("get", name, read)
            self.requests["bytes received"] += len(content)
            return content
        return None

    def download(self, name: str, path: Path) -> None:
        """Write an object to a new file. Raises FileNotFoundError, StorageError."""

        def read() -> int:
            answer = self._api.get(self._store, self._prefix + name)
            size = 0
            with path.open("wb") as file:
                for piece in answer.stream(min_chunk_size=CHUNK_BYTES):
                    size += file.write(piece)
                    check_time()
            self._require_bytes(name, size, answer.meta["size"])
            return size

        self.requests["bytes received"] += self._retried("get", name, read)

    def _require_bytes(self, name: str, size: int, wanted: int) -> None:
        if size != wanted:
            raise UnclearError(errno.EIO, f"{self.url}/{name}: {size:,} of {wanted:,} bytes came")

    def head(self, name: str) -> Item | None:
        """An object as it would be listed; None if there is none."""
        with contextlib.suppress(FileNotFoundError):
            return self._item(
                self._retried(
                    "head", name, lambda: self._api.head(self._store, self._prefix + name)
                )
            )
        return None

    def listed(self, prefix: str = "") -> list[Item]:
        """The objects whose names begin with `prefix`, which ends with "/" or is empty."""

        def read() -> list[Item]:
            pages = self._api.list(
                self._store, (self._prefix + prefix).rstrip("/") or None, chunk_size=1000
            )
            found = [self._item(meta) for page in pages for meta in page]
            self.requests["list"] += len(found) // LISTED_AT_A_TIME
            return found

        return self._retried("list", prefix, read)

    def _item(self, meta: Any) -> Item:
        name = str(meta["path"])[len(self._prefix) :]
        return Item(name, int(meta["size"]), meta["last_modified"], str(meta["e_tag"] or ""))

    def put(self, name: str, content: bytes) -> None:
        """Write an object, whether it exists or not."""
        self._retried("put", name, lambda: self._api.put(self._store, self._prefix + name, content))
        self.requests["bytes sent"] += len(content)

    def upload(self, name: str, path: Path) -> None:
        """Write a file as an object."""
        self._retried("put", name, lambda: self._api.put(self._store, self._prefix + name, path))
        self.requests["bytes sent"] += path.stat().st_size

    def create(self, name: str, content: bytes) -> str:
        """Write an object unless it exists, in one attempt.

        Returns:
            Its tag.

        Raises:
            FileExistsError: There is one. It may be this one, if an answer was lost on the way.
            UnclearError: Nobody knows whether it was written.
            StorageError: It was not written.
        """
        result = self._request(
            "create",
            name,
            lambda: self._api.put(self._store, self._prefix + name, content, mode="create"),
        )
        self.requests["bytes sent"] += len(content)
        return str(result["e_tag"] or "")

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, whether they exist or not."""
        for start in range(0, len(names), LISTED_AT_A_TIME):
            some = [self._prefix + name for name in names[start : start + LISTED_AT_A_TIME]]
            self._retried("delete", names[start], partial(self._remove, some))

    def _remove(self, paths: list[str]) -> None:
        """Remove objects of full names: one by one where a storage has no request for many."""
        try:
            self._api.delete(self._store, paths if len(paths) > 1 else paths[0])
        except FileNotFoundError:
            for path in paths if len(paths) > 1 else ():
                self._remove([path])

    def _retried(self, kind: str, name: str, call: Callable[[], T]) -> T:
        """The result of a request that may be made again, if its answer does not come."""
        for attempt in range(1, ATTEMPTS):
            try:
                return self._request(kind, name, call)
            except UnclearError:
                check_time()
                time.sleep(PAUSE * 2**attempt)
        return self._request(kind, name, call)

    def _request(self, kind: str, name: str, call: Callable[[], T]) -> T:
        """Make one request. Every request passes here."""
        self.requests[kind] += 1
        with self._in_plain_words(kind, name):
            return call()

    @contextlib.contextmanager
    def _in_plain_words(self, kind: str, name: str) -> Iterator[None]:
        """Turn an error of the library into a VecsearchError, FileNotFoundError or FileExistsError.

        A file that is not there, and a name that is taken, are answers, not failures.
        """
        errors = self._errors
        what = f"{self.url}/{name}".rstrip("/")
        doing = {"get": "reading", "head": "reading", "list": "listing", "delete": "removing"}
        did = f"{doing.get(kind, 'writing')} {what}"
        try:
            yield
        except VecsearchError:
            raise
        except FileNotFoundError as error:
            if any(words in str(error) for words in NO_BUCKET):
                raise self._no_bucket(did) from error
            raise
        except FileExistsError:
            raise
        except errors.AlreadyExistsError as error:
            raise FileExistsError(errno.EEXIST, "it exists", what) from error
        except errors.PreconditionError as error:
            raise FileExistsError(errno.EEXIST, "it exists", what) from error
        except (
            errors.UnauthenticatedError,
            errors.PermissionDeniedError,
            PermissionError,
        ) as error:
            raise _denied(did, error) from error
        except errors.BaseError as error:
            text = str(error)
            if any(words in text for words in NO_BUCKET):
                raise self._no_bucket(did) from error
            if any(words in text for words in DENIED):
                raise _denied(did, error) from error
            if "InstanceMetadata" in text or "169.254." in text or "metadata.google" in text:
                raise StorageError(
                    errno.EACCES,
                    f"{did}: no credentials were found: set them in the environment "
                    "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; GOOGLE_APPLICATION_CREDENTIALS; "
                    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY)",
                ) from error
            raise UnclearError(
                errno.EIO, f"{did}: the storage did not answer as expected: {_reason(error)}"
            ) from error
        except OSError as error:
            raise StorageError(error.errno, f"{did}: {error.strerror or _reason(error)}") from error

    def _no_bucket(self, did: str) -> StorageError:
        return StorageError(errno.ENOENT, f"{did}: there is no such bucket: make it first")


def _denied(did: str, error: BaseException) -> StorageError:
    return StorageError(
        errno.EACCES,
        f"{did}: permission denied: {_reason(error)}; check the credentials, which come from the "
        "environment (AWS_ACCESS_KEY_ID, AZURE_STORAGE_ACCOUNT_KEY, "
        "GOOGLE_APPLICATION_CREDENTIALS, ...), and the rights that they give",
    )


def _reason(error: BaseException) -> str:
    """The first lines of an error of the library, without its internals."""
    text = str(error).partition("\n\nDebug source")[0]
    return cut(" ".join(text.split()), 200)


def options_error(url: str, error: BaseException) -> InvalidInputError:
    """The error about a URL or storage options that the library does not take."""
    return InvalidInputError(
        f"{url} cannot be opened with these storage_options: {_reason(error)}",
        hint="the how-to guide about object storage lists the usual ones",
    )
