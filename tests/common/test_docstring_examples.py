"""The examples in the docstrings of common, embedders, training and evaluation run and are true."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import vecsearch

FULL_CALIBRATION = True

ROOT = Path(vecsearch.__file__).parent
PACKAGES = ("common", "embedders", "training", "evaluation")
EXTRAS = {
    "vecsearch.training.doc2vec": "gensim",
    "vecsearch.training.fasttext": "gensim",
    "vecsearch.training.item2vec": "gensim",
    "vecsearch.training.node2vec": "gensim",
    "vecsearch.training.word2vec": "gensim",
    "vecsearch.evaluation.quality": "ir_measures",
}


def examples() -> Iterator[Any]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).glob("*.py")):
            lines = path.read_text(encoding="utf-8").splitlines()
            if any(">>>" in line and "doctest: +SKIP" not in line for line in lines):
                yield f"vecsearch.{package}.{path.stem}"


@pytest.mark.parametrize("name", list(examples()))
def test_docstring_examples_show_their_true_output(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name in EXTRAS and find_spec(EXTRAS[name]) is None:
        pytest.skip(f"{EXTRAS[name]} is not installed")
    result = doctest.testmod(import_module(name))
    assert result.attempted and not result.failed
