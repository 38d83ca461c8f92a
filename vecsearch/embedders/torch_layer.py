"""Vectors as a torch.nn.Embedding, with rows for padding and for unknown keys."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vecsearch.common.arguments import check_flag, check_one_of, check_whole
from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.optional import find_installed
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

Unknown = Literal["mean", "zeros"]


class EmbeddingRows(dict[Any, int]):
    """Key -> row of an embedding layer; a key without a row has the row of unknown keys, if any.

    Attributes:
        padding: The row of zeros that fills short sequences, which training never changes; None
            without one.
        unknown: The row of every other key; None without one.

    Example:
        >>> import numpy as np
        >>> from vecsearch.embedders.keyed import KeyedEmbedder
        >>> model = KeyedEmbedder(["sea", "sun"], np.eye(2, dtype=np.float32))
        >>> layer, row_of = model.torch_embedding(padding=True, unknown="mean")
        >>> row_of["sun"], row_of["moon"]
        (3, 1)
        >>> row_of.padded([["sun", "moon", "sea"], ["sea"]]).tolist()
        [[3, 1, 2], [2, 0, 0]]
    """

    def __init__(self, rows: dict[Any, int], padding: int | None, unknown: int | None) -> None:
        super().__init__(rows)
        self.padding = padding
        self.unknown = unknown

    def __missing__(self, key: object) -> int:
        if self.unknown is None:
            raise KeyError(key)
        return self.unknown

    @gated
    def padded(self, sequences: Iterable[Iterable[Any]], length: int | None = None) -> torch.Tensor:
        """The rows of several sequences of keys as one matrix.

        Args:
            sequences: Lists of keys, such as the words of texts.
            length: The length of a row of the matrix; longer sequences are cut, shorter ones are
                filled at the end. None: the longest.

        Returns:
            An int64 tensor of shape (len(sequences), length).

        Raises:
            InvalidInputError: A key has no row and there is none for unknown keys, or a sequence
                is shorter than `length` and there is no row for padding.
        """
        import torch

        listed: list[list[int]] = []
        for number, keys in enumerate(sequences):
            if isinstance(keys, str):
                raise InvalidInputError(
                    f"sequence {number} is one text: give a list of keys, such as its words"
                )
            listed.append([self._row(key, number) for key in keys])
        longest = max(map(len, listed), default=0)
        width = longest if length is None else check_whole("length", length, 1)
        short = next((n for n, rows in enumerate(listed) if len(rows) < width), None)
        if short is not None and self.padding is None:
            raise InvalidInputError(
                f"sequence {short} has {len(listed[short])} keys where {width} are needed, and the "
                "layer has no row for padding: make it with padding=True"
            )
        matrix = np.full((len(listed), width), self.padding or 0, np.int64)
        for number, rows in enumerate(listed):
            matrix[number, : len(rows)] = rows[:width]
        return torch.from_numpy(matrix)

    def _row(self, key: Any, number: int) -> int:
        if not isinstance(key, Hashable):
            raise InvalidInputError(f"sequence {number}: {shown(key)} is no key")
        if key not in self and self.unknown is None:
            raise InvalidInputError(
                f"sequence {number}: no row for {shown(key)}, and the layer has none for unknown "
                "keys: make it with unknown='mean'"
            )
        return self[key]


def check_layer(trainable: object, padding: object, unknown: object) -> None:
    """Check the arguments of a layer, and that PyTorch is installed.

    Raises:
        InvalidInputError: If one is not of its kind.
        MissingExtraError: If PyTorch is not installed.
    """
    check_flag("trainable", trainable)
    check_flag("padding", padding)
    if unknown is not None:
        check_one_of("unknown", unknown, ("mean", "zeros"))
    find_installed("torch", "sentence-transformers", "text", "A torch.nn.Embedding")


def embedding_layer(
    keys: Sequence[Any],
    vectors: Vectors,
    *,
    trainable: bool,
    padding: bool,
    unknown: Unknown | None,
) -> tuple[torch.nn.Embedding, EmbeddingRows]:
    """A torch.nn.Embedding with vectors as its weight, and the row of each key.

    Args:
        keys: One for each vector, all different.
        vectors: float32, shape (len(keys), dim).
        trainable: Whether training may change the weight.
        padding: Whether row 0 is of zeros, which training does not change.
        unknown: What the row of other keys begins with: the mean of all vectors, or zeros. It comes
            before the keys' own rows. None: there is no such row.
    """
    import torch

    extra: list[Vectors] = []
    dim = vectors.shape[1]
    if padding:
        extra.append(np.zeros(dim, np.float32))
    if unknown is not None:
        mean = vectors.mean(axis=0, dtype=np.float64) if len(vectors) else np.zeros(dim)
        extra.append((mean if unknown == "mean" else np.zeros(dim)).astype(np.float32))
    weight = np.concatenate([*(row[None] for row in extra), vectors]).astype(np.float32, copy=False)
    count, dim = weight.shape
    layer = torch.nn.Embedding(count, dim, padding_idx=0 if padding else None)
    layer.weight = torch.nn.Parameter(torch.from_numpy(weight), requires_grad=bool(trainable))
    rows = {key: row + len(extra) for row, key in enumerate(keys)}
    own = int(padding) if unknown is not None else None
    return layer, EmbeddingRows(rows, 0 if padding else None, own)
