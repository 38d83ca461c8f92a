"""Static embeddings (model2vec): a text is the mean of its tokens' vectors, no network of layers; about 100 times faster.

Loads any model2vec folder or hub name (spec `model2vec:PATH`), and what `vecsearch.embedders.distill` makes out of a
sentence-transformers model. The extra is `model2vec`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.optional import require
from vecsearch.embedders.inputs import strings
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Model2VecEmbedder:
    """A static model; documents and queries alike. A text without any known token gets the zero vector."""

    def __init__(self, name_or_path: str) -> None:
        """Raises MissingExtraError; EmbedderError when there is no such model."""
        model2vec = require(
            "model2vec", "model2vec", "model2vec", f"The embedder 'model2vec:{name_or_path}'"
        )
        if Path(name_or_path).is_dir() and not (Path(name_or_path) / "tokenizer.json").exists():
            raise EmbedderError(
                f"the folder '{name_or_path}' holds no model2vec model: tokenizer.json is not there"
            )
        try:
            self.model: Any = model2vec.StaticModel.from_pretrained(
                name_or_path, force_download=False
            )
        except Exception as error:
            raise EmbedderError(
                f"cannot load the static model '{name_or_path}': {error}",
                hint="give a model2vec folder or a name on the Hugging Face hub, or make one with "
                "vecsearch.training.distill.distill",
                command_hint="give a model2vec folder or a name on the Hugging Face hub, or make "
                "one with `vecsearch distill`",
            ) from error
        self.name = f"model2vec:{name_or_path}"
        self.dim = int(self.model.dim)
        self._lock = threading.Lock()
        self._fingerprint: str | None = None

    def fingerprint(self) -> str:
        """sha256 over token vectors and weights, tokenizer, normalisation and maximum length."""
        if self._fingerprint is None:
            model = self.model
            settings = [bool(model.normalize), model.max_length]
            digest = hashlib.sha256(json.dumps(settings).encode())
            for array in (model.embedding, model.weights, model.token_mapping):
                if array is not None:
                    digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
            tokenizer = json.loads(model.tokenizer.to_str())
            tokenizer.update(truncation=None, padding=None)
            digest.update(json.dumps(tokenizer, sort_keys=True).encode())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors, float32, shape (len(documents), dim). Raises InvalidInputError for a document that is not a string."""
        import numpy as np

        texts = strings(documents, self.name)
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with self._lock:
            return np.asarray(self.model.encode(texts, use_multiprocessing=False), dtype=np.float32)

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed_documents(queries)


def load(name: str, device: str | None = None) -> Model2VecEmbedder:
    if not name:
        raise EmbedderError(
            "'model2vec:' needs a folder or a hub name after the colon, such as model2vec:my-model"
        )
    return Model2VecEmbedder(name)
