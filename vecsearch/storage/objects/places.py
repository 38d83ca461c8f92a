"""URLs of collections, and the local copies that stand for them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidInputError,
)
from vecsearch.storage import origins
from vecsearch.storage.folders import folder_path
from vecsearch.storage.objects.bucket import Bucket, options_error
from vecsearch.storage.objects.cache import default_folder
from vecsearch.storage.objects.mirror import Mirror

SCHEMES = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "abfs": "az",
    "abfss": "az", "adl": "az", "memory": "memory", "file": "file",
}  # fmt: skip
CLIENT_OPTIONS = ("allow_http", "timeout", "connect_timeout", "proxy_url", "user_agent")
FILES = (".parquet", ".csv", ".jsonl", ".arrow")  # what `export` writes; other names are folders
SECRET = re.compile("key|secret|token|password|credential|sas|signature|certificate", re.IGNORECASE)
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
PLAIN_HTTP = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP")
TIMEOUT = "60s"  # of a request


def is_url(path: object) -> bool:
    """Whether a path is the URL of a collection. `Path` makes one slash of two."""
    return isinstance(path, str | os.PathLike) and (
        re.match(rf"({'|'.join(SCHEMES)}):/", str(os.fspath(path)), re.IGNORECASE) is not None
    )


def collection_path(
    path: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """The folder of a collection: for a URL, that of its copy, which is made known as one.

    Args:
        path: A folder or a URL.
        storage_options: Of a URL: credentials, an endpoint and the like.
        cache_dir: Of a URL: the folder of copies.

    Raises:
        InvalidInputError: It is neither, or an option is unknown.
        MissingExtraError: obstore is not installed.
    """
    if not is_url(path):
        if storage_options is not None or cache_dir is not None:
            name = "storage_options" if storage_options is not None else "cache_dir"
            raise InvalidInputError(f"{name} is for collections at URLs, and {shown(path)} is none")
        return folder_path(path)
    return mirror_of(path, storage_options, cache_dir).root


def mirror_of(
    path: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Mirror:
    """The copy of the collection at a URL, as in `collection_path`."""
    url = _normal(str(os.fspath(path)))
    options = _checked(storage_options)
    bucket, identity = _open(url, options)
    folder = default_folder() if cache_dir is None else folder_path(cache_dir)
    digest = hashlib.sha256(json.dumps([url, identity], sort_keys=True).encode()).hexdigest()[:32]
    home, name = folder / digest, url.rstrip("/").rsplit("/", 1)[1]
    before = origins.origin_of(home / name)
    if isinstance(before, Mirror):
        before.use(bucket)
        return before
    mirror = Mirror(home, name, bucket)
    origins.register(mirror.root, mirror)
    return mirror


def path_again(root: Path, url: str) -> Path:
    """The folder of a collection that was pickled, known as a copy here, too.

    Args:
        root: The folder.
        url: What it is a copy of, with the credentials of the environment; or the folder again.
    """
    if is_url(url) and origins.origin_of(root) is None:
        bucket, _ = _open(_normal(url), {})
        origins.register(root, Mirror(root.parent, root.name, bucket))
    return root


@contextlib.contextmanager
def read_again(root: Path) -> Iterator[Path]:
    """The folder itself; for a copy an empty one, so that every byte is read from the storage."""
    mirror = origins.origin_of(root)
    if not isinstance(mirror, Mirror):
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="vecsearch-", dir=root.parents[2]) as folder:
        fresh = Mirror(Path(folder) / "fresh", root.name, mirror.bucket)
        origins.register(fresh.root, fresh)
        try:
            fresh.pull()
            yield fresh.root
        finally:
            origins.forget(fresh.root)


@contextlib.contextmanager
def local_file(
    path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> Iterator[Path | None]:
    """A file that is read, fetched for that time if it is at a URL; None if it is no file."""
    if not is_url(path):
        file = folder_path(path)
        yield file if file.is_file() else None
        return
    ending = Path(str(path)).suffix.lower()
    if ending not in FILES:
        yield None
        return
    bucket, name = _file_at(path, storage_options)
    with tempfile.TemporaryDirectory(prefix="vecsearch-") as folder:
        file = Path(folder) / name
        try:
            bucket.download(name, file)
        except FileNotFoundError as error:
            raise CollectionNotFoundError(f"there is no file at {bucket.url}/{name}") from error
        yield file


@contextlib.contextmanager
def new_file(
    path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> Iterator[Path]:
    """Where to write a file, which is uploaded at the end if it is to be at a URL.

    Raises CollectionExistsError, StorageError.
    """
    if not is_url(path):
        yield folder_path(path)
        return
    bucket, name = _file_at(path, storage_options)
    taken = CollectionExistsError(f"{bucket.url}/{name} exists already: choose a name that is free")
    if bucket.head(name) is not None:
        raise taken
    with tempfile.TemporaryDirectory(prefix="vecsearch-") as folder:
        file = Path(folder) / name
        yield file
        bucket.upload(name, file)


def _file_at(
    path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None
) -> tuple[Bucket, str]:
    """What holds a file at a URL, and its name there."""
    above, _, name = _normal(str(os.fspath(path))).rpartition("/")
    return _open(above, _checked(storage_options))[0], name


def _normal(text: str) -> str:
    """A URL in the one way that vecsearch writes it."""
    scheme, _, rest = text.partition(":")
    scheme, rest = SCHEMES[scheme.lower()], rest.lstrip("/").rstrip("/")
    parts = rest.split("/")
    if scheme == "file":
        return f"file:///{rest}"
    if len(parts) < 2 or not all(parts) or ".." in parts or "." in parts or "?" in rest:
        raise InvalidInputError(
            f"{shown(text)} is not the URL of a collection, which has a bucket and a name",
            hint=f"give {scheme}://BUCKET/NAME.vs",
        )
    return f"{scheme}://{rest}"


def _checked(options: Mapping[str, Any] | None) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(
        isinstance(name, str) and isinstance(value, str | bool | int | float)
        for name, value in options.items()
    ):
        raise InvalidInputError(
            f"storage_options is {shown(options)}; give names with texts",
            hint='storage_options={"aws_region": "eu-central-1"}',
            command_hint="set variables of the environment, such as AWS_REGION",
        )
    return dict(options)


def _open(url: str, options: Mapping[str, Any]) -> tuple[Bucket, dict[str, str]]:
    """The objects at a URL, and what tells this place from others with the same URL."""
    store = require("obstore.store", "obstore", "object-storage", "A collection at a URL")
    scheme, _, rest = url.partition("://")
    if scheme == "memory":
        return Bucket(url, _memory(), rest), {"process": str(os.getpid()), "at": str(id(_memory()))}
    if scheme == "file":
        return Bucket(url, store.LocalStore("/"), rest), {}
    client = {name: value for name, value in options.items() if name in CLIENT_OPTIONS}
    config = {name: value for name, value in options.items() if name not in CLIENT_OPTIONS}
    if _plain_endpoint(options):
        client.setdefault("allow_http", True)
    name, _, prefix = rest.partition("/")
    retry = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
    try:
        opened = store.from_url(
            f"{scheme}://{name}",
            config=config,
            client_options={"timeout": TIMEOUT, **client},
            retry_config=retry,
        )
    except BaseException as error:  # the library panics at some options, with a class of its own
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise options_error(url, error) from error
        raise
    public = {
        name: str(value) for name, value in dict(opened.config).items() if not SECRET.search(name)
    }
    return Bucket(url, opened, prefix), public


def _plain_endpoint(options: Mapping[str, Any]) -> bool:
    """Whether an address without TLS was asked for, as servers on a local network have."""
    if any(os.environ.get(name, "").lower() in ("1", "true") for name in PLAIN_HTTP):
        return True
    given = [str(value) for name, value in options.items() if "endpoint" in name.lower()]
    given = given or [os.environ.get(name, "") for name in ENDPOINTS]
    return any(address.startswith("http://") for address in given)


@cache
def _memory() -> Any:
    """The memory of this process: all URLs of memory:// are in it."""
    store = require("obstore.store", "obstore", "object-storage", "A collection at a URL")
    return store.MemoryStore()
