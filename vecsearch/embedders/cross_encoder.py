"""Cross-encoders: models that read a query and a text together and score how they fit.

Nogueira and Cho, "Passage Re-ranking with BERT" (arXiv 1901.04085). Models are those of
sentence-transformers, by hub name or folder. Code in a model's repository is never run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.fork import Lock
from vecsearch.common.optional import find_installed
from vecsearch.common.show import cut
from vecsearch.embedders.model_kind import cannot_load
from vecsearch.embedders.network import hub_offline, is_local_only
from vecsearch.embedders.sentence_transformers import no_progress_bars
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_log = logging.getLogger(__name__)


class PairScorer:
    """A cross-encoder that scores pairs of a query and a text.

    Args:
        name: What it is called.
        model: A `CrossEncoder` of sentence-transformers, or what has the same `predict`.
    """

    def __init__(self, name: str, model: CrossEncoder | Any) -> None:
        self.name = name
        self._model = model
        self._lock = Lock()

    def scores(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """How well each text answers a query, as the model's own `predict` says it.

        Raises:
            EmbedderError: The model failed, or gives several scores for a pair.
        """
        if not texts:
            return np.empty(0)
        try:
            with self._lock:
                found = self._model.predict(
                    [(query, text) for text in texts], show_progress_bar=False
                )
            scores = np.asarray(found, np.float64)
        except Exception as error:
            reason = cut(next(iter(str(error).splitlines()), ""), 200)
            raise EmbedderError(
                f"'{self.name}' failed on {len(texts)} texts: {type(error).__name__}: {reason}"
            ) from error
        if scores.shape != (len(texts),):
            raise EmbedderError(
                f"'{self.name}' gives {scores.shape[-1] if scores.ndim == 2 else scores.shape} "
                "scores for a pair; a cross-encoder that ranks gives one"
            )
        return scores


def load_pair_scorer(name: str) -> PairScorer:
    """Load a cross-encoder by a folder or a hub name.

    Raises:
        EmbedderError: It cannot be found or loaded.
        MissingExtraError: sentence-transformers is not installed.
    """
    find_installed("sentence_transformers", "sentence-transformers", "text", f"The model '{name}'")
    from sentence_transformers import CrossEncoder

    with no_progress_bars(), hub_offline(name) as fault:
        local = fault is not None or is_local_only()
        try:
            model = CrossEncoder(name, trust_remote_code=False, local_files_only=local)
        except Exception as error:
            _log.debug("loading '%s' failed", name, exc_info=True)
            raise cannot_load(name, fault or error) from error
    return PairScorer(name, model)
