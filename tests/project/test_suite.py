"""The suite gives the same verdict on every run: nothing in it draws at random unless told."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parents[1]
# Functions of the modules `random` and `numpy.random` whose numbers follow from a seed.
SEEDED = {"Random", "default_rng", "RandomState", "Generator", "SeedSequence"}
SOAK = bool(os.environ.get("VECSEARCH_SOAK"))


def unseeded(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each expression of a module that draws without a seed."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    imported = {alias.name for node in imports for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "derandomize":
            if ast.unparse(node.value) != "True":
                yield node.value.lineno, f"{node.arg}={ast.unparse(node.value)}"
            continue
        if not isinstance(node, ast.Call):
            continue
        module, _, name = ast.unparse(node.func).rpartition(".")
        of_random = module == "random" and "random" in imported
        if not of_random and module not in ("np.random", "numpy.random"):
            continue
        if name not in SEEDED or not (node.args or node.keywords):
            yield node.lineno, ast.unparse(node)


def test_nothing_draws_without_a_seed() -> None:
    found = {}
    for path in sorted(TESTS.rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for line, text in unseeded("\n".join(lines)):
            if "if SOAK else" not in lines[line - 1]:  # drawn in `make soak` only
                found[f"{path.relative_to(TESTS)}:{line}"] = text
    soak_only = {"conftest.py": "derandomize=False", "support/load.py": "random.SystemRandom()"}
    assert {place.split(":")[0]: text for place, text in found.items()} == soak_only


@pytest.mark.parametrize(
    ("source", "drawn"),
    [
        ("import random\nrandom.random()", "random.random()"),
        ("import random\nrandom.shuffle(x)", "random.shuffle(x)"),
        ("import random\nrandom.Random()", "random.Random()"),
        ("np.random.default_rng()", "np.random.default_rng()"),
        ("np.random.rand(3)", "np.random.rand(3)"),
        ("@settings(derandomize=False)\ndef f(): pass", "derandomize=False"),
    ],
)
def test_what_draws_without_a_seed_is_seen(source: str, drawn: str) -> None:
    assert [text for _, text in unseeded(source)] == [drawn]
    assert list(unseeded("import random\nrandom.Random(1)\nnp.random.default_rng(0)")) == []


@pytest.mark.skipif(SOAK, reason="make soak draws other examples each time")
def test_hypothesis_draws_the_same_examples_each_time() -> None:
    assert settings().derandomize and settings().deadline is None
    assert settings(max_examples=7).derandomize  # as decorators make them
