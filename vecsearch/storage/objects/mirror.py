"""The local copy of a collection in object storage.

The copy is a folder like any collection. Manifests are brought up to date where the latest version
is wanted; other files never change, and are fetched when they are first opened. A commit uploads
the files, then writes the manifest on the condition that its number is free.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from vecsearch.common.deadline import check_time
from vecsearch.common.engines import engine_for
from vecsearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    CorruptedError,
    StorageError,
)
from vecsearch.storage import disk, garbage, locks, log
from vecsearch.storage.layout import INDEXES, MANIFESTS, MODELS, SEGMENTS
from vecsearch.storage.objects import cache
from vecsearch.storage.objects.bucket import ATTEMPTS, Bucket, Item, UnclearError
from vecsearch.storage.objects.leases import LEASES, READER_SECONDS, Leases
from vecsearch.storage.own_files import Removal, is_own

TOGETHER = 8  # files that are transferred at the same time
TAGS = "tags.json"  # which object each local manifest was read from
PULL = "PULL"
DOWNLOADS = "downloads"
PULL_TIMEOUT = 600.0  # seconds to wait for another process that reads the list of versions
COMMIT_ATTEMPTS = 6


class Mirror:
    """The copy, in `home`/NAME, and the objects it is a copy of.

    Attributes:
        root: The folder of the copy.
        url: The collection.
        bucket: Its objects.
    """

    def __init__(self, home: Path, name: str, bucket: Bucket) -> None:
        self.root = home / name
        self.url = bucket.url
        self.bucket = bucket
        self._home = home
        self._leases = Leases(bucket)
        (home / DOWNLOADS).mkdir(parents=True, exist_ok=True)

    def use(self, bucket: Bucket) -> None:
        """Make requests through this object from now on: it may have newer credentials."""
        self.bucket = self._leases.bucket = bucket

    # -- reading ------------------------------------------------------------------------------

    def pull(self) -> None:
        """Bring the manifests up to date. Raises CollectionNotFoundError."""
        if not self.is_there():
            raise CollectionNotFoundError(
                f"there is no collection at {self.url}",
                hint="make one with vecsearch.create",
                command_hint="make one with `vecsearch ingest`",
            )

    def prepare(self) -> None:
        """Bring the manifests up to date; remove what is left of a copy if there are none."""
        if not self.is_there() and self.root.exists():
            removal = Removal()
            removal.remove(self.root)
            removal.warn()

    def is_there(self) -> bool:
        """Bring the manifests up to date, and tell whether there are any."""
        with locks.lock_exclusive(self._home / PULL, PULL_TIMEOUT):
            listed = {
                item.name: _tag(item)
                for item in self.bucket.listed(f"{MANIFESTS}/")
                if is_own(MANIFESTS, item.name.partition("/")[2])
            }
            before = self._read_tags()
            here = {self._manifest(number) for number in log.versions(self.root)}
            wanted = [
                name for name in listed if name not in here or before.get(name) != listed[name]
            ]
            gone = here - listed.keys()
            if wanted:
                with disk.storage_errors("writing", self.root):
                    for place in (MANIFESTS, SEGMENTS, INDEXES):
                        (self.root / place).mkdir(parents=True, exist_ok=True)
            for name in engine_for(TOGETHER).map(self._fetch_manifest, wanted):
                listed.pop(name, None)
            for name in gone:
                disk.remove(self.root / name)
            if listed != before:
                self._write_tags(listed)
        if gone and listed:
            self._remove_unneeded()
        return bool(listed)

    def _fetch_manifest(self, name: str) -> str:
        """Read one manifest; its name if it was removed meanwhile, else ""."""
        content = self.bucket.get(name)
        if content is None:
            return name
        path = self.root / name
        if not path.exists() or path.read_bytes() != content:  # who holds it keeps it
            self._place(path, content)
        return ""

    def _place(self, path: Path, content: bytes) -> None:
        """Write a file that takes the place of another at once."""
        part = self._part()
        with disk.storage_errors("writing", path):
            part.write_bytes(content)
            part.replace(path)

    def _part(self) -> Path:
        return self._home / DOWNLOADS / uuid.uuid4().hex

    def _read_tags(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            tags = json.loads((self._home / TAGS).read_text(encoding="utf-8"))
            if isinstance(tags, dict):
                return {str(name): str(tag) for name, tag in tags.items()}
        return {}

    def _write_tags(self, tags: dict[str, str]) -> None:
        self._place(self._home / TAGS, json.dumps(tags).encode())

    def _remove_unneeded(self) -> None:
        """Remove files of versions that are gone, unless somebody here writes just now."""
        lock = locks.try_lock_exclusive(self.root / "LOCK", create=True)
        if lock is not None:
            with lock:
                versions = [log.load(self.root, number) for number in log.versions(self.root)]
                garbage.remove_files(self.root, versions, Removal())

    def fetch(self, name: str, size: int, is_whole: Callable[[Path], bool]) -> None:
        """Bring one file into the copy, if it is not there. Raises CorruptedError, StorageError."""
        target = self.root / name
        with contextlib.suppress(OSError):
            if target.stat().st_size == size:
                os.utime(target)  # used last now
                return
        part = self._part()
        try:
            for _ in range(ATTEMPTS):
                try:
                    self.bucket.download(name, part)
                except FileNotFoundError as error:
                    raise CorruptedError(
                        f"{self.url}/{name} is missing: its version was removed, or restore the "
                        "collection from a backup",
                        hint="refresh() the collection, or open it again",
                        command_hint="run the command again",
                    ) from error
                if is_whole(part):
                    with disk.storage_errors("writing", target):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        part.replace(target)
                    cache.note(self._home.parent, size)
                    return
        finally:
            part.unlink(missing_ok=True)
        raise CorruptedError(
            f"{self.url}/{name} is damaged: its size or checksum differs; restore it from a backup"
        )

    def forget(self, name: str) -> None:
        """Remove a damaged file of the copy: it is fetched again when it is opened next."""
        disk.remove(self.root / name)

    def hold(self, version: int) -> Callable[[], None]:
        """Keep a version from being removed, until what is returned is called."""
        name = self._leases.hold(version)
        return lambda: self._leases.release(name)

    # -- writing ------------------------------------------------------------------------------

    def exclusive(self, timeout: float) -> contextlib.AbstractContextManager[None]:
        """Keep writers on other machines away. Raises LockTimeoutError."""
        return self._leases.exclusive(timeout)

    def publish(self, version: int, text: str, files: Iterable[str]) -> None:
        """Upload files, then the manifest that names them.

        Raises:
            FileExistsError: Another writer took the number first.
            StorageError: It was not published, or nobody knows; the message says which.
        """
        self.upload({name: self.root / name for name in files})
        name, content = self._manifest(version), text.encode()
        tag = self._publish(name, version, content)
        if not tag and (item := self.bucket.head(name)):
            tag = _tag(item)
        with locks.lock_exclusive(self._home / PULL, PULL_TIMEOUT):
            self._place(self.root / name, content)
            self._write_tags(self._read_tags() | {name: tag})

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files, by the names they will have. Raises StorageError."""
        check_time()
        engine_for(TOGETHER).map(lambda file: self.bucket.upload(*file), list(files.items()))

    def _publish(self, name: str, version: int, content: bytes) -> str:
        """Write a manifest unless its number is taken; its tag, or "" if the answer was lost."""
        failure: StorageError | None = None
        for attempt in range(COMMIT_ATTEMPTS):
            try:
                return self.bucket.create(name, content)
            except FileExistsError:
                # A rival, or this manifest, if the answer of an earlier attempt was lost.
                if self._stored(name) == content:
                    return ""
                raise
            except UnclearError as error:
                failure = error
            with contextlib.suppress(StorageError):
                found = self.bucket.get(name)
                if found == content:
                    return ""
                if found is not None:
                    raise FileExistsError(errno.EEXIST, "another writer published it", name)
            time.sleep(0.05 * 2**attempt)
        assert failure is not None
        raise StorageError(
            failure.errno,
            f"{failure.message}. It is not known whether version {version} was committed: "
            "look at the versions before you do it again",
        ) from failure

    def _stored(self, name: str) -> bytes | None:
        """The manifest that took a number; the answer is needed."""
        for attempt in range(COMMIT_ATTEMPTS):
            try:
                return self.bucket.get(name)
            except UnclearError:
                time.sleep(0.05 * 2**attempt)
        return self.bucket.get(name)

    def collect(self, keep_versions: int) -> list[int]:
        """Remove old versions, and the files that no remaining version names.

        The caller has the writer's lease, and committed a version before. A rival who took the
        lease over meanwhile began with that version, so what it uploads is newer than its manifest,
        and is left alone.

        Returns:
            Older versions that stay because readers hold them.
        """
        self._leases.remove_released()
        while True:
            objects = {item.name: item for item in self.bucket.listed()}
            self.pull()
            numbers = log.versions(self.root)
            latest = objects.get(self._manifest(numbers[-1]))
            if latest is not None:  # else a rival committed in between
                break
        alive = self._read_leases(objects, latest.modified)
        old = numbers[:-keep_versions]
        held = [number for number in old if number in alive]
        gone = [number for number in old if number not in alive]
        removed = self._files_of(gone)
        self.bucket.delete([self._manifest(number) for number in gone])
        self.pull()
        kept = log.versions(self.root)
        needed = self._files_of(kept) | {self._manifest(number) for number in kept}
        unneeded = [
            name
            for name, item in objects.items()
            if name not in needed
            and (name in removed or (is_file(name) and item.modified < latest.modified))
        ]
        self.bucket.delete(unneeded)
        return held

    def _files_of(self, versions: Iterable[int]) -> set[str]:
        return {ref.name for number in versions for ref in log.load(self.root, number).files()}

    def _read_leases(self, objects: Mapping[str, Item], now: datetime) -> set[int]:
        """The versions that somebody holds. Leases of readers that are gone are removed.

        Args:
            objects: All objects.
            now: A time of the storage's clock that is over. An early one keeps more.
        """
        leases = {name: item for name, item in objects.items() if name.startswith(LEASES)}
        limit = now - timedelta(seconds=READER_SECONDS)
        self.bucket.delete([name for name, item in leases.items() if item.modified < limit])
        return {
            int(found[1])
            for name, item in leases.items()
            if item.modified >= limit and (found := re.match("([0-9]+)-", name[len(LEASES) :]))
        }

    def fill(self, version: int, text: str, files: Mapping[str, Path]) -> None:
        """Make a collection of one version here.

        Raises:
            CollectionExistsError: There is one.
            StorageError: It could not be written, or the sizes that arrived are others.
        """
        self.prepare()
        taken = CollectionExistsError(f"{self.url} exists already: choose a name that is free")
        if log.versions(self.root):
            raise taken
        self.upload(files)
        arrived = {item.name: item.bytes for item in self.bucket.listed()}
        for name, path in files.items():
            if arrived.get(name) != path.stat().st_size:
                raise StorageError(errno.EIO, f"{self.url}/{name} did not arrive whole")
        try:
            self._publish(self._manifest(version), version, text.encode())
        except FileExistsError as error:
            raise taken from error
        self.pull()

    def remove_all(self) -> None:
        """Remove the collection: its versions first, so that nobody opens half of it."""
        names = [item.name for item in self.bucket.listed()]
        manifests = [name for name in names if name.startswith(f"{MANIFESTS}/")]
        self.bucket.delete([name for name in manifests if is_file(name)])
        self.bucket.delete([name for name in names if is_file(name)])
        self.prepare()

    def _manifest(self, version: int) -> str:
        return f"{MANIFESTS}/{log.path_of(self.root, version).name}"


def _tag(item: Item) -> str:
    """What differs if an object was written again."""
    return item.tag or f"{item.modified} {item.bytes}"


def is_file(name: str) -> bool:
    """Whether an object is one that vecsearch makes: others are left alone."""
    place, _, rest = name.partition("/")
    return place in (MANIFESTS, SEGMENTS, INDEXES, MODELS) and is_own(place, rest.split("/")[0])
