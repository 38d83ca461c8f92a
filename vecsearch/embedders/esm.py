"""Proteins by ESM-2, a language model of amino acids. Spec: `esm:NAME`, a hub name or a folder.

Lin et al., "Evolutionary-scale prediction of atomic-level protein structure with a language model"
(Science 2023). No package brings its weights: a model that is not on this machine is fetched from
the hub because you name it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.optional import require
from vecsearch.embedders.base import BaseEmbedder
from vecsearch.embedders.fingerprint import tensors_digest
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.network import is_local_only
from vecsearch.errors import EmbedderError, InvalidInputError

_BATCH = 8
_RESIDUES = 1022  # that the models were trained on at a time, beside the two ends


class EsmEmbedder(BaseEmbedder):
    """The mean of ESM-2's vectors of the residues of a protein.

    A longer protein is read in windows that do not overlap, and the mean is taken over all of its
    residues.

    Args:
        name_or_path: Such as "facebook/esm2_t6_8M_UR50D", or a folder.
        device: "cpu", "cuda" or "mps"; None takes CUDA where it is available, else the CPU.

    Raises:
        EmbedderError: The model cannot be loaded, or is no ESM-2.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, name_or_path: str, device: str | None = None) -> None:
        what = f"The embedder 'esm:{name_or_path}'"
        transformers = require("transformers", "sentence-transformers", "text", what)
        import torch

        local = is_local_only()
        try:
            options = {"local_files_only": local}
            self._tokenizer = transformers.EsmTokenizer.from_pretrained(name_or_path, **options)
            config = transformers.AutoConfig.from_pretrained(name_or_path, **options)
            if config.model_type != "esm":
                raise EmbedderError(f"'{name_or_path}' is a model of kind {config.model_type}")
            self._model = transformers.EsmModel.from_pretrained(
                name_or_path, add_pooling_layer=False, use_safetensors=True, **options
            )
        except EmbedderError:
            raise
        except Exception as error:  # the libraries raise anything for a name that leads nowhere
            raise EmbedderError(
                f"cannot load the model of proteins '{name_or_path}': {error}"
            ) from error
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model = self._model.eval().to(self._device)
        self._window = min(_RESIDUES, int(config.max_position_embeddings) - 4)
        super().__init__(f"esm:{name_or_path}", int(config.hidden_size))

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed proteins, queries and documents alike.

        Args:
            documents: Sequences of amino acids in one-letter code; blanks, line ends and a final
                `*` are left out.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A sequence is no str, or is empty; the message names its row.
        """
        pieces: list[tuple[int, str]] = []
        for row, text in enumerate(strings(documents, self.name)):
            letters = "".join(text.split()).upper().rstrip("*")
            if not letters:
                raise InvalidInputError(f"row {row}: the sequence is empty")
            starts = range(0, len(letters), self._window)
            pieces += [(row, letters[start : start + self._window]) for start in starts]
        sums = np.zeros((len(documents), self.dim))
        sizes = np.zeros(len(documents))
        order = sorted(range(len(pieces)), key=lambda at: len(pieces[at][1]))
        for start in range(0, len(order), _BATCH):
            batch = [pieces[at] for at in order[start : start + _BATCH]]
            with self._lock:
                found = self._sums([letters for _, letters in batch])
            for (row, letters), vector in zip(batch, found, strict=True):
                sums[row] += vector
                sizes[row] += len(letters)
        return np.asarray(sums / np.maximum(sizes, 1)[:, None], np.float32)

    def _sums(self, pieces: list[str]) -> Vectors:
        """The sums of the vectors of residues, without those of the two ends."""
        import torch

        tokens = self._tokenizer(pieces, return_tensors="pt", padding=True).to(self._device)
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state
        ends = (self._tokenizer.cls_token_id, self._tokenizer.eos_token_id)
        kept = tokens["attention_mask"].bool()
        for end in ends:
            kept &= tokens["input_ids"] != end
        return np.asarray((states * kept[..., None]).sum(dim=1).float().cpu().numpy())

    def _compute_fingerprint(self) -> str:
        """Over weights, tokenizer and window."""
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        digest = hashlib.sha256(f"esm 1 {self._window} {vocabulary}".encode())
        digest.update(tensors_digest(self._model.state_dict()).encode())
        return digest.hexdigest()


def load(name: str, device: str | None = None) -> EsmEmbedder:
    """The embedder for the spec `esm:NAME`."""
    if not name:
        raise EmbedderError("'esm:': name a model, such as esm:facebook/esm2_t6_8M_UR50D")
    return EsmEmbedder(name, device)
