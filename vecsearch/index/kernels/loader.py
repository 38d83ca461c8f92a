"""Which kernel serves an index, and when the compiled one is loaded.

Loading numba takes about half a second, and the first time on a machine, when the kernels are
compiled, some seconds more. So the numpy kernels answer first. The compiled ones are loaded in a
thread of their own once a process has asked some queries, and at once for a large batch or build,
or by `warm`.

Compiled code is kept in a folder that is named after the sources of all kernels. Numba itself looks
only at the file of the function it compiles, and would go on using code from before a change of
another file.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from vecsearch.common.fork import Lock
from vecsearch.index.kernels import numpy_bm25, numpy_hnsw

AFTER_QUERIES = 50  # index queries in this process, then the compiled kernels are loaded
LARGE_BATCH = 200  # queries; answering so many in numpy takes longer than loading
MUCH_WORK = 10_000_000_000  # numbers multiplied for exact searches in this process, about .3 s
LARGE_BUILD = 20_000  # rows; building over so many takes longer than loading
SWITCH = "VECSEARCH_COMPILED"  # "0" in the environment switches the compiled kernels off
FOLDER = Path(__file__).parent
Kernel = Literal["numba", "faiss"]


@dataclass(frozen=True)
class Warmed:
    """What `warm` did.

    Attributes:
        available: Whether numba is installed, works and is not switched off.
        folder: Where compiled code is kept; empty if nowhere can be written.
        compiled: Whether code was compiled; False if it was there.
        seconds: How long that took.
    """

    available: bool
    folder: str
    compiled: bool
    seconds: float


class Loader:
    """Loads compiled kernels, at most once in a process. Thread-safe.

    Args:
        name: The module of compiled kernels.
        before: The same in numpy, which serves until they are loaded.
        instead: What happens without them, for a warning.
    """

    def __init__(
        self,
        name: str = "numba_hnsw",
        before: ModuleType = numpy_hnsw,
        instead: str = "FAISS searches",
    ) -> None:
        self.module: ModuleType | None = None
        self._name, self._before, self._instead = name, before, instead
        self._failed = False
        self._queries = self._work = 0
        self._loading = False
        os.register_at_fork(after_in_child=self._after_fork)
        self._lock = Lock()

    def available(self) -> bool:
        """Whether numba is installed, not switched off, and did not fail. Does not load it."""
        return (
            not self._failed
            and os.environ.get(SWITCH) != "0"
            and (self.module is not None or find_spec("numba") is not None)
        )

    def kernels(self, queries: int = 1) -> ModuleType | None:
        """The kernels for so many more queries, compiled or in numpy; None if numba failed."""
        if self.module is not None:
            return self.module
        if self._failed:
            return None
        if queries > LARGE_BATCH:
            return self.load()
        before, self._queries = self._queries, self._queries + queries
        if before <= AFTER_QUERIES < self._queries:
            self._load_beside()
        return self._before

    def count_work(self, numbers: int) -> None:
        """So many numbers are multiplied next, for an exact search: load kernels for much work."""
        if self.module is not None or self._failed:
            return
        before, self._work = self._work, self._work + numbers
        if numbers > 4 * MUCH_WORK:
            self.load()
        elif before <= MUCH_WORK < self._work:
            self._load_beside()

    def _load_beside(self) -> None:
        threading.Thread(target=self.load, name="vecsearch-kernels", daemon=True).start()

    def load(self) -> ModuleType | None:
        """Load the compiled kernels now; None if numba is not available or fails."""
        with self._lock:
            if self.module is None and self.available():
                # Otherwise numba formats messages with colorama, if that is installed, which resets
                # sys.stdout and so undoes a redirection that another thread made.
                os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")
                self._loading = True
                try:
                    self.module = compiled_module(self._name)
                except Exception as error:  # whatever a broken compiler raises
                    self._failed = True
                    logging.getLogger("vecsearch").warning(
                        "numba cannot compile the search kernels, so %s, which is slower: %s: %s. "
                        "Reinstall numba, or set %s=0 to silence this warning",
                        self._instead,
                        type(error).__name__,
                        error,
                        SWITCH,
                    )
                finally:
                    self._loading = False
        return self.module

    def _after_fork(self) -> None:
        """A child cannot finish what another thread was importing: there FAISS searches."""
        self._failed = self._failed or (self._loading and self.module is None)

    def for_rows(self, rows: int) -> ModuleType | None:
        """The compiled kernels, for building an index of so many rows; None for a small one.

        This does not depend on what the process did before: builds are reproducible.
        """
        return self.load() if rows >= LARGE_BUILD and self.available() else None


LOADER = Loader()
TEXT_LOADER = Loader("numba_bm25", numpy_bm25, "numpy searches by words")
_importing = Lock()


def warm() -> Warmed:
    """Compile all kernels now, unless that was done, so that no later process has to."""
    started, before = time.perf_counter(), _compiled_files()
    available = all([LOADER.load() is not None, TEXT_LOADER.load() is not None])
    folder, after = _kept_in(), _compiled_files()
    return Warmed(available, folder, after > before, time.perf_counter() - started)


def _compiled_files() -> int:
    folder = _kept_in()
    return len(list(Path(folder).rglob("*.nbc"))) if folder else 0


def _kept_in() -> str:
    """The folder of compiled code; empty if none can be written."""
    config: Any = importlib.import_module("numba").config if find_spec("numba") else None
    if config is None:
        return ""
    with _cache_folder(config):
        return str(config.CACHE_DIR or "")


def compiled_module(name: str) -> ModuleType:
    """A module of compiled kernels, such as `numba_hnsw`. Raises what numba raises."""
    config = importlib.import_module("numba").config
    config.reload_config()  # or numba does it once the environment changed, and forgets the folder
    with _importing, _cache_folder(config):
        return importlib.import_module(f"vecsearch.index.kernels.{name}")


@contextlib.contextmanager
def _cache_folder(config: Any) -> Iterator[None]:
    """Let numba keep compiled code in our folder while our modules are imported.

    That is a folder in NUMBA_CACHE_DIR if it is set; else beside the kernels, or in the user's
    cache where that cannot be written.
    """
    digest = hashlib.sha256()
    for source in sorted(FOLDER.glob("*.py")):
        digest.update(source.read_bytes())
    before = config.CACHE_DIR
    home = os.path.expanduser("~")  # noqa: PTH111, which raises where there is no home
    user = os.environ.get("XDG_CACHE_HOME") or Path(home, ".cache")
    for folder in [before] if before else [FOLDER / "__pycache__", Path(user, "vecsearch")]:
        target = Path(folder) / f"kernels-{digest.hexdigest()[:16]}"
        with contextlib.suppress(OSError):
            target.mkdir(parents=True, exist_ok=True)
            if os.access(target, os.W_OK):
                config.CACHE_DIR = str(target)
                break
    try:
        yield
    finally:
        config.CACHE_DIR = before


def kernel_for(recipe: Mapping[str, Any], metric: str, dtype: str) -> Kernel:
    """The kernel that serves an index, by its recipe and the metric and dtype of its collection."""
    fits = (recipe.get("kind"), recipe.get("code"), dtype) == ("hnsw", "sq8", "float32")
    return "numba" if fits and metric != "ip" and LOADER.available() else "faiss"
