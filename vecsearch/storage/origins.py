"""Which folders are copies of a collection in object storage, and where that is.

A collection in object storage is worked on in a local copy of its folder. The modules that read,
commit and remove look here whether a folder is such a copy, and do what its origin needs, too.
`vecsearch.storage.objects` registers origins and is what they are; nothing here knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Origin(Protocol):
    """Where a collection's truth is, if its folder is a copy."""

    url: str

    def pull(self) -> None:
        """Bring the manifests of the copy up to date."""

    def prepare(self) -> None:
        """The same before `create`: where no collection is, remove what is left of a copy."""

    def fetch(self, name: str, size: int, is_whole: Callable[[Path], bool]) -> None:
        """Bring one file of the collection into the copy, if it is not there.

        Args:
            name: Its path below the collection.
            size: Its bytes.
            is_whole: Whether what was brought has the size and the checksums of the file.
        """

    def forget(self, name: str) -> None:
        """Remove a damaged file of the copy."""

    def hold(self, version: int) -> Callable[[], None]:
        """Keep a version, wherever garbage is collected. Returns what ends that."""

    def exclusive(self, timeout: float) -> AbstractContextManager[None]:
        """Keep writers on other machines away. Raises LockTimeoutError."""

    def publish(self, version: int, text: str, files: Iterable[str]) -> None:
        """Upload files, then the manifest that names them; place that in the copy, too.

        Raises FileExistsError.
        """

    def collect(self, keep_versions: int) -> list[int]:
        """Remove old versions and what only they need; the old versions that are held."""

    def remove_all(self) -> None:
        """Remove the collection."""


_ORIGINS: dict[Path, Origin] = {}


def register(root: Path, origin: Origin) -> None:
    """Say that a folder is the copy of a collection elsewhere."""
    _ORIGINS[root] = origin


def forget(root: Path) -> None:
    """Take back what `register` said."""
    del _ORIGINS[root]


def origin_of(root: Path) -> Origin | None:
    """Where the collection in a folder is; None if it is in the folder."""
    return _ORIGINS.get(root)


def shown(root: Path) -> str:
    """The collection as its user names it: its URL, or its folder."""
    origin = _ORIGINS.get(root)
    return str(root) if origin is None else origin.url


def pull(root: Path) -> None:
    """Bring the manifests of a copy up to date; nothing for a folder that is none."""
    origin = _ORIGINS.get(root)
    if origin is not None:
        origin.pull()


def hold(root: Path, version: int) -> Callable[[], None] | None:
    """Keep a version where the copy is of; what ends that."""
    origin = _ORIGINS.get(root)
    return None if origin is None else origin.hold(version)
