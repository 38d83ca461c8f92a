"""Static embeddings (model2vec): a text is the mean of its tokens' vectors.

There are no network layers, so it is about 100 times faster than a transformer. Loads any model2vec
folder or hub name (spec `model2vec:PATH`), and what `vecsearch.training.distill` writes. The extra
is `model2vec`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.lazy import lazy
from vecsearch.common.optional import require
from vecsearch.common.show import cut
from vecsearch.embedders.base import BaseEmbedder, TokenCounts
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.network import hub_offline
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Model2VecEmbedder(BaseEmbedder):
    """A static model; documents and queries alike.

    Args:
        name_or_path: A model2vec folder, or a name on the Hugging Face hub.

    Raises:
        MissingExtraError: The extra `model2vec` is not installed.
        EmbedderError: There is no such model.
    """

    def __init__(self, name_or_path: str) -> None:
        name = f"model2vec:{name_or_path}"
        model2vec = require("model2vec", "model2vec", "model2vec", f"The embedder '{name}'")
        folder = Path(name_or_path)
        if folder.is_dir() and not (folder / "tokenizer.json").exists():
            raise EmbedderError(
                f"the folder '{name_or_path}' contains no model2vec model: tokenizer.json is "
                "missing"
            )
        try:
            with hub_offline(name_or_path):
                self.model: Any = model2vec.StaticModel.from_pretrained(
                    name_or_path, force_download=False
                )
        except Exception as error:
            raise EmbedderError(
                f"cannot load the static model '{name_or_path}': {cut(str(error), 200)}",
                hint="give a model2vec folder or a name on the Hugging Face hub, or make one with "
                "vecsearch.training.distill.distill",
                command_hint="give a model2vec folder or a name on the Hugging Face hub, or make "
                "one with `vecsearch distill`",
            ) from None
        super().__init__(name, int(self.model.dim))

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a text are read; None if all are."""
        limit = self.model.max_length
        return None if limit is None else int(limit)

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """Count the tokens of texts before they are cut, and those that the model does not know."""
        import numpy as np

        ids = [
            encoding.ids
            for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ]
        unknown = getattr(self.model, "unk_token_id", None)
        return TokenCounts(
            np.array([len(each) for each in ids], dtype=np.int64),
            np.array([each.count(unknown) for each in ids], dtype=np.int64),
        )

    @lazy
    def _tokenizer(self) -> Any:
        """The model's tokenizer, which does not cut."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.model.tokenizer.to_str())
        tokenizer.no_truncation()
        return tokenizer

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; a text without a known token gives the zero vector.

        Args:
            documents: Texts.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A document is not a string.
        """
        import numpy as np

        texts = strings(documents, self.name)
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with self._lock:
            return np.asarray(self.model.encode(texts, use_multiprocessing=False), dtype=np.float32)

    def _compute_fingerprint(self) -> str:
        """Over token vectors and weights, tokenizer, normalization and maximum length."""
        model = self.model
        settings = [bool(model.normalize), model.max_length]
        digest = hashlib.sha256(json.dumps(settings).encode())
        for array in (model.embedding, model.weights, model.token_mapping):
            if array is not None:
                digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
        tokenizer = json.loads(model.tokenizer.to_str())
        tokenizer.update(truncation=None, padding=None)
        digest.update(json.dumps(tokenizer, sort_keys=True).encode())
        return digest.hexdigest()


def load(name: str, device: str | None = None) -> Model2VecEmbedder:
    """The embedder for the spec `model2vec:PATH`."""
    if not name:
        raise EmbedderError(
            "'model2vec:' needs a folder or a hub name after the colon, such as model2vec:my-model"
        )
    return Model2VecEmbedder(name)
