"""turbovec: a scan of codes of two to four bits a component, with a mask of rows as filter.

It keeps no vectors and ranks by its codes, so its recall ends where they end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import turbovec

from benchmarks.peers import Peer, Task, UnsupportedError, Vectors, Where

SAMPLE = 1_024  # rows that it is calibrated with, as its documentation says


class TurboVec(Peer):
    package = "turbovec"
    filters = True

    def build(self, task: Task, folder: Path, args: Mapping[str, Any]) -> None:
        if task.metric == "l2":
            raise UnsupportedError("no metric l2")
        index = turbovec.TurboQuantIndex(task.dim, bit_width=args["bits"])
        chosen = np.random.default_rng(1).permutation(len(task.vectors))[:SAMPLE]
        index.calibrate(np.ascontiguousarray(task.vectors[chosen]))
        index.add(task.vectors)
        index.write(str(folder / "index.tv"))

    def open(self, task: Task, folder: Path) -> None:
        self.columns = task.columns
        self.index = turbovec.TurboQuantIndex.load(str(folder / "index.tv"))
        self.index.prepare()

    def tune(self, args: Mapping[str, Any], k: int) -> None:
        """It has no effort to choose."""

    def search(self, query: Vectors, k: int, where: Where) -> Any:
        if where is None:
            return self.index.search(query[None], k)[1][0]
        return self.index.search(query[None], k, mask=self.columns[where[0]] == where[1])[1][0]

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]

    def search_batch(self, queries: Vectors, k: int) -> Any:
        return self.index.search(queries, k)[1]
