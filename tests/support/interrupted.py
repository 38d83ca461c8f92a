"""An embedder that lets something happen while an add is running."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.toy import ToyEmbedder


class Interrupted(ToyEmbedder):
    """The toy embedder, which first calls `before`, once."""

    def __init__(self, dim: int, before: Callable[[], object]) -> None:
        super().__init__(dim)
        self.waiting = [before]

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        while self.waiting:
            self.waiting.pop()()
        return super().embed_documents(documents)
