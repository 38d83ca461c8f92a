"""The forward pass of a BERT encoder in numpy, so that a text is embedded without PyTorch.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers" (2019). Texts of a batch
stand one after another without padding. A text's vector does not depend on the other texts of its
batch, since every operation treats a row of its own, and matrix products get no fewer than
`MIN_ROWS` rows, because BLAS libraries sum in another order below a few. OpenBLAS's kernels for
AVX2 sum in an order that depends on a row's place, too, which changes the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import numpy.typing as npt

from vecsearch.common.blas import one_blas_thread
from vecsearch.common.cores import cores
from vecsearch.common.engines import engine_for

Array = npt.NDArray[np.float32]
MIN_ROWS = 16
BATCH_TOKENS = 2048  # tokens that go through a layer together
LEAST_TOKENS = 256  # fewer are not divided among threads
SCORES = 1 << 17  # attention scores at a time: they stay in the processor's cache
BLOCK = 1 << 13  # numbers of GELU at a time, for the same reason
SAFE_SCORE = 60.0  # e**60 and e**-60 are normal float32, so softmax needs no shift up to here
# GELU is x times the normal distribution's probability, which is the logistic function of an odd
# polynomial: x * P(x * x). Fitted to x * Phi(x); the error is below 1e-6 for every x.
_LOGIT = np.array(
    [
        1.5957684334,
        0.0726685631,
        -6.625702216e-5,
        -1.1048120424e-4,
        7.938339575e-6,
        -2.669002208e-7,
        3.6113974123e-9,
    ],
    dtype=np.float32,
)
_LARGEST_SQUARE = np.float32(5.5**2)  # where the fit ends


@dataclass(frozen=True, slots=True)
class _Layer:
    """Matrices as (in, out) views, so that rows of tokens are multiplied from the left."""

    qkv: Array
    qkv_bias: Array
    mix: Array
    mix_bias: Array
    mix_norm: tuple[Array, Array]
    up: Array
    up_bias: Array
    down: Array
    down_bias: Array
    down_norm: tuple[Array, Array]


class BertEncoder:
    """Token numbers to vectors, one for each text.

    Args:
        weights: Tensors by their names in a `BertModel`, float32; they may be memory-mapped.
        layers: How many layers there are.
        heads: Attention heads of a layer.
        epsilon: The constant of layer normalization.
        pooling: "mean" of a text's tokens, or its first token ("cls").
        normalize: Whether vectors get unit length.
    """

    def __init__(
        self,
        weights: Mapping[str, Array],
        *,
        layers: int,
        heads: int,
        epsilon: float,
        pooling: Literal["mean", "cls"],
        normalize: bool,
    ) -> None:
        self._words = weights["embeddings.word_embeddings.weight"]
        self.dim = int(self._words.shape[1])
        self._heads = heads
        self._epsilon = np.float32(epsilon)
        self._pooling = pooling
        self._normalize = normalize
        # Every token is of type 0 where a text stands alone.
        self._places = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _norm_of(weights, "embeddings.LayerNorm")
        self._layers = [self._layer(weights, f"encoder.layer.{n}.") for n in range(layers)]

    def _layer(self, weights: Mapping[str, Array], prefix: str) -> _Layer:
        def parts(kind: str) -> list[Array]:
            query, key, value = (
                weights[f"{prefix}attention.self.{name}.{kind}"]
                for name in ("query", "key", "value")
            )
            scale = np.float32(1 / np.sqrt(self.dim // self._heads))
            return [query * scale, key, value]

        return _Layer(
            np.concatenate(parts("weight")).T,
            np.concatenate(parts("bias")),
            weights[f"{prefix}attention.output.dense.weight"].T,
            weights[f"{prefix}attention.output.dense.bias"],
            _norm_of(weights, f"{prefix}attention.output.LayerNorm"),
            weights[f"{prefix}intermediate.dense.weight"].T,
            weights[f"{prefix}intermediate.dense.bias"],
            weights[f"{prefix}output.dense.weight"].T,
            weights[f"{prefix}output.dense.bias"],
            _norm_of(weights, f"{prefix}output.LayerNorm"),
        )

    def encode(self, texts: Sequence[Sequence[int]]) -> Array:
        """Embed texts.

        Args:
            texts: The token numbers of each text, special tokens included.

        Returns:
            float32, shape (len(texts), dim), in the given order.
        """
        out = np.empty((len(texts), self.dim), dtype=np.float32)

        def embed(rows: list[int]) -> None:
            out[rows] = self._pooled(*self._tokens([texts[row] for row in rows]))

        self._in_batches(embed, texts)
        return out

    def token_vectors(self, texts: Sequence[Sequence[int]]) -> list[Array]:
        """Embed texts, one vector of unit length for each token.

        Args:
            texts: The token numbers of each text, special tokens included.

        Returns:
            For each text float32, shape (its tokens, dim), in the given order.
        """
        out: list[Array] = [np.empty((0, self.dim), np.float32)] * len(texts)

        def embed(rows: list[int]) -> None:
            x, starts, _ = self._tokens([texts[row] for row in rows])
            for row, start, end in zip(rows, starts[:-1], starts[1:], strict=True):
                out[row] = unit_rows(x[start:end])

        self._in_batches(embed, texts)
        return out

    def _in_batches(
        self, embed: Callable[[list[int]], None], texts: Sequence[Sequence[int]]
    ) -> None:
        """Call a function with the rows of each batch, on all cores."""
        workers = cores()
        share = -(-sum(map(len, texts)) // workers)
        batches = list(_batches(texts, min(BATCH_TOKENS, max(share, LEAST_TOKENS))))
        with one_blas_thread():
            engine_for(workers).map(embed, batches)

    def _tokens(
        self, texts: list[Sequence[int]]
    ) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Vectors of the tokens of texts that are sorted by their length, one after another.

        Returns:
            The vectors, perhaps with rows more than tokens; where each text starts, and the last
            ends; and how long each is.
        """
        lengths = np.array([len(text) for text in texts])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        tokens = int(starts[-1])
        numbers = np.concatenate([np.asarray(text, dtype=np.int64) for text in texts])
        x = np.zeros((max(tokens, MIN_ROWS), self.dim), dtype=np.float32)
        places = np.arange(tokens) - np.repeat(starts[:-1], lengths)
        np.add(self._words[numbers], self._places[places], out=x[:tokens])
        x = self._normalized(x, self._norm)
        runs: list[tuple[int, int]] = []  # (number of texts, their length)
        for length, same in groupby(lengths.tolist()):
            runs.append((len(list(same)), length))
        inner = self._layers[0].up.shape[1] if self._layers else 0
        qkv = np.empty((len(x), 3 * self.dim), dtype=np.float32)
        hidden = np.empty((len(x), inner), dtype=np.float32)
        context = np.zeros_like(x)
        y = np.empty_like(x)
        for layer in self._layers:
            np.matmul(x, layer.qkv, out=qkv)
            qkv += layer.qkv_bias
            self._attend(qkv, runs, context)
            np.matmul(context, layer.mix, out=y)
            y += layer.mix_bias
            y += x
            x, y = self._normalized(y, layer.mix_norm), x
            np.matmul(x, layer.up, out=hidden)
            hidden += layer.up_bias
            gelu(hidden)
            np.matmul(hidden, layer.down, out=y)
            y += layer.down_bias
            y += x
            x, y = self._normalized(y, layer.down_norm), x
        return x, starts, lengths

    def _pooled(
        self, x: Array, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> Array:
        """The vectors of texts, from those of their tokens."""
        if self._pooling == "cls":
            pooled = x[starts[:-1]]
        else:
            pooled = np.add.reduceat(x[: starts[-1]], starts[:-1], axis=0)
            pooled /= lengths[:, None].astype(np.float32)
        if self._normalize:
            pooled /= np.maximum(np.sqrt(_squares(pooled)), np.float32(1e-12))[:, None]
        return np.asarray(pooled, dtype=np.float32)

    def _normalized(self, x: Array, norm: tuple[Array, Array]) -> Array:
        """Layer normalization, in place."""
        x -= x.mean(axis=1, keepdims=True)
        variance = _squares(x) / np.float32(x.shape[1])
        x *= (1 / np.sqrt(variance + self._epsilon))[:, None]
        x *= norm[0]
        x += norm[1]
        return x

    def _attend(self, qkv: Array, runs: list[tuple[int, int]], context: Array) -> None:
        """Self-attention of each text, written into `context`."""
        start = 0
        for texts, length in runs:
            stop = start + texts * length
            heads = qkv[start:stop].reshape(texts, length, 3, self._heads, -1)
            query, key, value = heads.transpose(2, 0, 3, 1, 4)  # texts, heads, tokens, numbers
            into = context[start:stop].reshape(texts, length, self._heads, -1).transpose(0, 2, 1, 3)
            square = length * length
            heads_at_once = min(self._heads, max(1, SCORES // square))
            texts_at_once = max(1, SCORES // (square * heads_at_once))
            scores = np.empty((texts_at_once, heads_at_once, length, length), dtype=np.float32)
            for row in range(0, texts, texts_at_once):
                for head in range(0, self._heads, heads_at_once):
                    part = slice(row, row + texts_at_once), slice(head, head + heads_at_once)
                    q, k, v = query[part], key[part], value[part]
                    share = scores[: q.shape[0], : q.shape[1]]
                    np.matmul(q, k.swapaxes(2, 3), out=share)
                    total = exponentials(share)
                    mixed = share @ v
                    mixed /= total
                    into[part] = mixed
            start = stop


def _batches(texts: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """The rows of texts in batches of about so many tokens, the longest texts first."""
    batch: list[int] = []
    tokens = 0
    for row in sorted(range(len(texts)), key=lambda row: -len(texts[row])):
        if batch and tokens + len(texts[row]) > size:
            yield batch
            batch, tokens = [], 0
        batch.append(row)
        tokens += len(texts[row])
    if batch:
        yield batch


def unit_rows(x: Array) -> Array:
    """The rows of a matrix at unit length; a row of zeros stays."""
    return np.asarray(x / np.maximum(np.sqrt(_squares(x)), np.float32(1e-12))[:, None])


def gelu(x: Array) -> None:
    """GELU of a contiguous array, in place: x * Phi(x), Phi the normal distribution.

    Example:
        >>> x = np.array([-1, 0, 1], dtype=np.float32)
        >>> gelu(x)
        >>> x.round(4).tolist()
        [-0.15870000422000885, 0.0, 0.8413000106811523]
    """
    flat = x.reshape(-1)
    square, logit = np.empty((2, BLOCK), dtype=np.float32)
    with np.errstate(over="ignore"):  # infinity is what has to come of numbers far from 0
        for start in range(0, flat.size, BLOCK):
            part = flat[start : start + BLOCK]
            z, p = square[: len(part)], logit[: len(part)]
            np.multiply(part, part, out=z)
            np.minimum(z, _LARGEST_SQUARE, out=z)
            np.multiply(z, _LOGIT[-1], out=p)
            for coefficient in _LOGIT[-2:0:-1]:
                p += coefficient
                p *= z
            p += _LOGIT[0]
            p *= part
            np.negative(p, out=p)
            np.exp(p, out=p)
            p += np.float32(1)
            part /= p


def exponentials(scores: Array) -> Array:
    """e to the power of scores, in place, and their sums over the last axis, kept as an axis.

    Scores of (texts, heads, tokens, tokens). Where a text's scores are large, each row is lowered
    by its largest, which changes no share.

    Example:
        >>> scores = np.array([[[[0, 1000]]]], dtype=np.float32)
        >>> exponentials(scores).tolist(), scores.tolist()
        ([[[[1.0]]]], [[[[0.0, 1.0]]]])
    """
    flat = scores.reshape(len(scores), -1)
    large = (flat.max(axis=1) > SAFE_SCORE) | (flat.min(axis=1) < -SAFE_SCORE)
    if large.any():
        scores[large] -= scores[large].max(axis=3, keepdims=True)
    np.exp(scores, out=scores)
    total: Array = scores.sum(axis=3, keepdims=True)
    return total


def _norm_of(weights: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _squares(x: Array) -> Array:
    """The sum of squares of each row."""
    squares: Array = np.einsum("ij,ij->i", x, x)
    return squares
