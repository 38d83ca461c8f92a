"""Vectors as a layer of a network: rows for padding and unknown keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.embedders.words import WordEmbedder

torch = pytest.importorskip("torch")

KEYS = ["sea", "sun", "wind"]
VECTORS = np.array([[1, 2], [3, 5], [-1, 2]], np.float32)


def weight(layer: torch.nn.Embedding) -> np.ndarray:
    return layer.weight.detach().numpy()


@pytest.mark.parametrize("kind", [KeyedEmbedder, WordEmbedder])
def test_a_model_becomes_a_layer(kind: type) -> None:
    layer, row_of = kind(KEYS, VECTORS).torch_embedding()
    assert dict(row_of) == {"sea": 0, "sun": 1, "wind": 2}
    assert not layer.weight.requires_grad and layer.padding_idx is None
    np.testing.assert_array_equal(weight(layer), VECTORS)
    with pytest.raises(KeyError):
        row_of["moon"]


def test_rows_of_padding_and_of_unknown_keys_come_first() -> None:
    model = KeyedEmbedder(KEYS, VECTORS)
    layer, row_of = model.torch_embedding(padding=True, unknown="mean")
    assert (row_of.padding, row_of.unknown, row_of["sea"], row_of["moon"]) == (0, 1, 2, 1)
    np.testing.assert_allclose(weight(layer)[:3], [[0, 0], [1, 3], [1, 2]])
    layer, row_of = model.torch_embedding(["sun", "moon", "sun"], unknown="zeros")
    assert (row_of.padding, row_of.unknown, row_of["sun"], row_of["moon"]) == (None, 0, 1, 0)
    np.testing.assert_allclose(weight(layer), [[0, 0], [3, 5]])
    layer, row_of = model.torch_embedding(padding=True)
    assert row_of.unknown is None and row_of["sea"] == 1


def test_training_changes_the_unknown_row_but_never_padding_nor_the_model() -> None:
    model = KeyedEmbedder(KEYS, VECTORS)
    layer, row_of = model.torch_embedding(trainable=True, padding=True, unknown="mean")
    rows = row_of.padded([["sun", "moon"], ["wind"]])
    layer(rows).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.5).step()
    np.testing.assert_allclose(weight(layer), [[0, 0], [0.5, 2.5], [1, 2], [2.5, 4.5], [-1.5, 1.5]])
    np.testing.assert_array_equal(model.vectors, VECTORS)


def test_sequences_are_padded_and_cut() -> None:
    _, row_of = KeyedEmbedder(KEYS, VECTORS).torch_embedding(padding=True, unknown="zeros")
    sequences = [["sea", "moon", "sun"], [], ["wind"]]
    assert row_of.padded(sequences).tolist() == [[2, 1, 3], [0, 0, 0], [4, 0, 0]]
    assert row_of.padded(iter(sequences), 2).tolist() == [[2, 1], [0, 0], [4, 0]]
    assert row_of.padded([]).shape == (0, 0)
    assert row_of.padded(sequences).dtype == torch.int64


def test_what_cannot_be_padded_says_why() -> None:
    model = KeyedEmbedder(KEYS, VECTORS)
    _, plain = model.torch_embedding()
    with pytest.raises(vs.InvalidInputError, match=r"sequence 1: no row for 'moon'.*'mean'"):
        plain.padded([["sea"], ["moon"]])
    with pytest.raises(vs.InvalidInputError, match=r"sequence 1 has 1 keys where 2.*padding=True"):
        plain.padded([["sea", "sun"], ["sun"]])
    with pytest.raises(vs.InvalidInputError, match="sequence 0 is one text"):
        plain.padded(["sea"])
    with pytest.raises(vs.InvalidInputError, match="is no key"):
        plain.padded([[["sea"]]])
    with pytest.raises(vs.InvalidInputError, match="length"):
        plain.padded([["sea"]], 0)
    with pytest.raises(vs.InvalidInputError, match="sequences"):
        plain.padded(3)
    for wrong in ({"unknown": "random"}, {"padding": "yes"}, {"keys": "sea"}, {"keys": ["moon"]}):
        with pytest.raises(vs.InvalidInputError):
            model.torch_embedding(**wrong)


def test_documents_become_such_a_layer_too(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c", dim=2, metric="l2") as c:
        c.add([{"id": n, "vector": row} for n, row in enumerate(VECTORS)])
        c.delete([0])
        layer, row_of = c.torch_embedding(padding=True, unknown="mean")
        assert dict(row_of) == {1: 2, 2: 3} and row_of[0] == 1
        np.testing.assert_allclose(weight(layer), [[0, 0], [1, 3.5], [3, 5], [-1, 2]], atol=1e-6)
        layer, row_of = c.torch_embedding([7, 2, 0, 2], unknown="zeros")
        assert dict(row_of) == {2: 1} and row_of[7] == row_of[0] == 0
        assert dict(c.torch_embedding(iter([1, 2]))[1]) == {1: 0, 2: 1}
        layer, row_of = c.torch_embedding([7, 2], unknown="mean", missing="zeros")
        assert dict(row_of) == {7: 1, 2: 2}
        np.testing.assert_allclose(weight(layer)[1], [0, 0])
        with pytest.raises(vs.IdNotFoundError):
            c.torch_embedding([7, 2])
        with pytest.raises(vs.InvalidInputError, match="no documents"):
            c.torch_embedding([7], unknown="mean")
        with pytest.raises(vs.InvalidInputError):
            c.torch_embedding(unknown="random")
