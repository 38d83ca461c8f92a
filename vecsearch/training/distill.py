"""Distill a sentence-transformers model into a static one: a vector per token, computed once.

Model2Vec (Tulkens and van Dongen, 2024, https://github.com/MinishLab/model2vec): the teacher embeds
each token alone; PCA reduces the vectors; each vector is then weighted. Without a corpus the weight
is a / (a + p), where p is the token's share of running text, estimated by Zipf's law from its
position in the vocabulary (smooth inverse frequency; Arora, Liang and Ma, ICLR 2017).

With a corpus, its frequent words become tokens, the mean vector of its running text is subtracted
(Mu and Viswanath, "All-but-the-Top", ICLR 2018), and the weight is the logarithm of the inverse
document frequency (Spärck Jones, 1972): in texts of one field, smooth inverse frequency would
weight the field's own words down like stop words.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.arguments import check_whole
from vecsearch.common.gate import gated
from vecsearch.common.optional import find_installed
from vecsearch.common.show import shown
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
from vecsearch.errors import EmbedderError, InvalidInputError
from vecsearch.storage.folders import folder_path, whole_folder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SIF = 1e-4  # a: tokens with a larger share of the text than this are weighted down
_WINDOW = 8192  # texts counted, or tokens embedded, at a time


@gated
def distill(
    teacher: SentenceTransformerEmbedder,
    folder: str | Path,
    *,
    corpus: Iterable[str] | None = None,
    dim: int = 256,
    words: int = 20_000,
    min_count: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a static model of `teacher`; load it by the name `model2vec:FOLDER`.

    Args:
        teacher: The model to distill.
        folder: A folder that does not exist yet, or is empty.
        corpus: Your own texts, from which words and weights are taken; None needs no texts.
        dim: Length of the vectors, at most the teacher's.
        words: How many frequent words of the corpus become tokens; only for a teacher with a
            WordPiece tokenizer (the BERT family).
        min_count: Rarer words do not become tokens.
        progress: Called with the number of embedded tokens and of all tokens.

    Returns:
        The folder.

    Raises:
        EmbedderError: The teacher has no fast tokenizer.
        MissingExtraError: The extra `model2vec`, which loads what is written, is not installed.
        InvalidInputError: The folder is in use, or `dim` is out of range.

    Example:
        >>> from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
        >>> teacher = SentenceTransformerEmbedder("all-MiniLM-L6-v2")  # doctest: +SKIP
        >>> distill(teacher, "static-model", dim=128)  # doctest: +SKIP
    """
    folder_path(folder)
    target = Path(folder)
    if not isinstance(teacher, SentenceTransformerEmbedder):
        raise InvalidInputError(
            f"teacher is {shown(teacher)}; it must be a SentenceTransformerEmbedder"
        )
    find_installed("model2vec", "model2vec", "model2vec", "A distilled model")
    check_whole("words", words, 0)
    check_whole("min_count", min_count, 1)
    if target.exists() and any(target.iterdir()):
        raise InvalidInputError(f"'{target}' is in use; give a new folder for the static model")
    if check_whole("dim", dim, 1) > teacher.dim:
        raise InvalidInputError(f"dim is {dim}; it must be from 1 to the teacher's {teacher.dim}")
    tokenizer = _tokenizer(teacher)
    texts = None if corpus is None else _texts(corpus)
    if texts is not None:
        tokenizer = _with_words(tokenizer, texts, words, min_count)
    tokens = [
        token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    ]
    vectors = _reduce(_embed_tokens(teacher, tokenizer, tokens, progress), dim)
    vectors = (
        _weighted_by_rank(vectors)
        if texts is None
        else _weighted_by_corpus(vectors, tokenizer, texts)
    )
    _write(target, vectors, tokenizer, teacher.name, by_rank=texts is None)
    return target


def _texts(corpus: Iterable[str]) -> list[str]:
    try:
        texts = list(corpus)
    except TypeError as error:
        raise InvalidInputError(f"corpus is {shown(corpus)}; it must be a list of texts") from error
    for number, text in enumerate(texts):
        if not isinstance(text, str) or (not text.isascii() and not _is_whole(text)):
            raise InvalidInputError(f"document {number} is {shown(text)}; it must be a text")
    return texts


def _is_whole(text: str) -> bool:
    """Whether no character is half of one (a lone surrogate)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tokenizer(teacher: SentenceTransformerEmbedder) -> Any:
    """A copy of the teacher's tokenizer that neither pads nor truncates."""
    tokenizer = teacher.tokenizer()
    if tokenizer is None:
        raise EmbedderError(f"'{teacher.name}' has no fast tokenizer, which distillation needs")
    return tokenizer


def _with_words(tokenizer: Any, texts: list[str], words: int, min_count: int) -> Any:
    """The tokenizer with the corpus's frequent words as tokens.

    WordPiece takes the longest match first, so it then takes these words whole.
    """
    from tokenizers import Tokenizer

    layout = json.loads(tokenizer.to_str())
    if layout["model"]["type"] != "WordPiece" or tokenizer.pre_tokenizer is None:
        return tokenizer
    counts: Counter[str] = Counter()
    for text in texts:
        clean = (
            tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer is not None else text
        )
        counts.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(clean))
    vocabulary = layout["model"]["vocab"]
    frequent = (
        word
        for word, count in counts.most_common()
        if count >= min_count and word not in vocabulary
    )
    for word in islice(frequent, words):
        vocabulary[word] = len(vocabulary)
    return Tokenizer.from_str(json.dumps(layout))


def _embed_tokens(
    teacher: SentenceTransformerEmbedder,
    tokenizer: Any,
    tokens: list[str],
    progress: Callable[[int, int], None] | None,
) -> npt.NDArray[np.float32]:
    """Each token embedded alone, as plain text: float32, shape (len(tokens), teacher.dim)."""
    import numpy as np

    layout = json.loads(tokenizer.to_str())["model"]
    prefix = layout.get("continuing_subword_prefix") or ""
    plain = [
        (token.removeprefix(prefix) if prefix else token).replace("▁", " ").strip() or token
        for token in tokens
    ]
    out = np.empty((len(tokens), teacher.dim), dtype=np.float32)
    for start in range(0, len(plain), _WINDOW):
        out[start : start + _WINDOW] = teacher.embed_documents(plain[start : start + _WINDOW])
        if progress is not None:
            progress(min(start + _WINDOW, len(plain)), len(plain))
    return out


def _reduce(vectors: npt.NDArray[np.float32], dim: int) -> npt.NDArray[np.float32]:
    """The first `dim` principal components, centered."""
    import numpy as np

    from vecsearch.common.pca import principal_axes

    center, _, axes = principal_axes(vectors, centered=True)
    return np.ascontiguousarray((vectors - center) @ axes[:dim].T, dtype=np.float32)


def _weighted_by_rank(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Weight by smooth inverse frequency, with shares estimated from the vocabulary's order."""
    import numpy as np

    share = 1 / np.arange(2, len(vectors) + 2)
    share /= share.sum()
    return np.asarray(vectors * (SIF / (SIF + share))[:, None], np.float32)


def _weighted_by_corpus(
    vectors: npt.NDArray[np.float32], tokenizer: Any, texts: list[str]
) -> npt.NDArray[np.float32]:
    """Center on the mean of the running text; weight by log((N + 1) / (df + 1/2)).

    N is the number of texts, df the number of texts with the token.
    """
    import numpy as np

    occurrences, document_frequency = np.zeros(len(vectors)), np.zeros(len(vectors))
    for start in range(0, len(texts), _WINDOW):
        for encoding in tokenizer.encode_batch_fast(
            texts[start : start + _WINDOW], add_special_tokens=False
        ):
            ids, counts = np.unique(np.asarray(encoding.ids, dtype=np.int64), return_counts=True)
            occurrences[ids] += counts
            document_frequency[ids] += 1
    mean = occurrences @ vectors / max(occurrences.sum(), 1.0)
    weights = np.log((len(texts) + 1) / (document_frequency + 0.5))
    return np.asarray((vectors - mean) * weights[:, None], np.float32)


def _write(
    folder: Path, vectors: npt.NDArray[np.float32], tokenizer: Any, teacher: str, *, by_rank: bool
) -> None:
    from safetensors.numpy import save_file

    config = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "normalize": True,
        "hidden_dim": vectors.shape[1],
        "apply_zipf": by_rank,
        "sif_coefficient": SIF if by_rank else None,
        "tokenizer_name": teacher,
        "max_length": None,
    }
    with whole_folder(folder) as part:
        save_file({"embeddings": vectors}, part / "model.safetensors")
        tokenizer.save(str(part / "tokenizer.json"))
        (part / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
