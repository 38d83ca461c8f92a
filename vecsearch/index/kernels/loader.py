"""Loads the compiled kernels when they pay off."""

from __future__ import annotations

import importlib
import os
import threading
from importlib.util import find_spec
from types import ModuleType

AFTER_QUERIES = 1000  # asked in this process, before the compiled walk is loaded: that slows them down for a second
PAYS_FROM = 20_000  # rows: building over so many takes longer than loading compiled code
SWITCH = "VECSEARCH_COMPILED"  # "0" in the environment: never


class Loader:
    """Brings in `compiled.py`, once a process. Thread-safe."""

    def __init__(self) -> None:
        self.module: ModuleType | None = None
        self._asked = 0
        self._begun = False
        self._lock = threading.Lock()

    def after_queries(self, count: int = 1) -> ModuleType | None:
        """The module when it is there; `count` queries more are asked, and after some the module is loaded beside."""
        if self.module is None and not self._begun:
            before, self._asked = self._asked, self._asked + count
            if before <= AFTER_QUERIES < self._asked:
                threading.Thread(target=self.load, name="vecsearch-compiled").start()
        return self.module

    def load(self) -> ModuleType | None:
        """Load it now; None where numba is not installed, does not work, or is switched off."""
        with self._lock:
            if not self._begun:
                self._begun = True
                if os.environ.get(SWITCH) != "0" and find_spec("numba") is not None:
                    # Else numba formats its messages by colorama, where that is installed, which
                    # resets sys.stdout: a redirection made by another thread would be undone.
                    os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")
                    try:
                        self.module = importlib.import_module("vecsearch.index.kernels.numba_hnsw")
                    except Exception:  # whatever a broken compiler raises: FAISS searches as before
                        return None
        return self.module

    def for_rows(self, rows: int) -> ModuleType | None:
        """The module, where an index of so many rows is to be made and measured with it. Does not depend on what happened
        before in this process, for builds are to be reproducible."""
        return self.load() if rows >= PAYS_FROM else None


LOADER = Loader()
