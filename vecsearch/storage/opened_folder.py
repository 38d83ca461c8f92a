"""A collection is itself: the folder that was opened, not whatever is at its path later."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vecsearch.errors import CollectionNotFoundError, ConflictError
from vecsearch.storage.manifest import Manifest


class OpenedFolder:
    """The folder of a collection, held open, so that another one cannot get its inode number.

    Attributes:
        root: The absolute path of the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._descriptor: int | None = None
        self._identity = ""

    def check(self, manifest: Manifest | None = None) -> None:
        """Compare the folder at the path, and a manifest read from it, with what was opened.

        Raises:
            CollectionNotFoundError: The folder was moved or removed.
            ConflictError: Another collection is at its path.
        """
        try:
            now = self.root.stat()
        except (FileNotFoundError, NotADirectoryError):
            if self._descriptor is None:
                return  # nothing was opened: who reads it says that there is no collection
            raise CollectionNotFoundError(
                f"the collection at {self.root} was moved or removed while it was open",
                hint="open it where it is now",
                command_hint="use the path where it is now",
            ) from None
        if self._descriptor is None:
            self._descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        before = os.fstat(self._descriptor)
        identity = manifest.identity if manifest is not None else ""
        if (before.st_dev, before.st_ino) != (now.st_dev, now.st_ino) or (
            self._identity and identity and identity != self._identity
        ):
            raise ConflictError(
                f"{self.root} was replaced while it was open: another collection is there now",
                hint="open it again with vecsearch.open",
                command_hint="run the command again",
            )
        self._identity = identity or self._identity

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        """As `close`. At the end of the process the module `os` may be gone already."""
        if self._descriptor is not None:
            close(self._descriptor)
