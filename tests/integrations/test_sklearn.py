"""vecsearch as steps of scikit-learn: its own checks, and its own answers."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from support.doctests import run_examples

import vecsearch as vs
from vecsearch.integrations import sklearn as ours
from vecsearch.integrations.sklearn import VecsearchEmbedder, VecsearchTransformer

POINTS, KINDS = make_blobs(300, 8, centers=6, random_state=1)


def test_the_checks_of_scikit_learn() -> None:
    results = check_estimator(VecsearchTransformer(), on_fail=None, on_skip=None)
    statuses = {each["check_name"]: each["status"] for each in results}
    assert len(statuses) > 40 and set(statuses.values()) <= {"passed", "skipped"}
    assert [name for name, status in statuses.items() if status == "skipped"] in (
        [],
        ["check_array_api_input"],
    )


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_the_graph_is_that_of_scikit_learn(mode: str, metric: str) -> None:
    given = VecsearchTransformer(7, mode=mode, metric=metric, recall=1.0)
    theirs = KNeighborsTransformer(n_neighbors=7, mode=mode, metric=metric)
    for new in (POINTS, POINTS[:50] + 0.01):
        found = given.fit(POINTS).transform(new).toarray()
        assert np.allclose(found, theirs.fit(POINTS).transform(new).toarray(), atol=2e-3)


def test_in_pipelines() -> None:
    near = VecsearchTransformer(9)
    kinds = make_pipeline(near, KNeighborsClassifier(5, metric="precomputed")).fit(POINTS, KINDS)
    plain = KNeighborsClassifier(5).fit(POINTS, KINDS)
    assert (kinds.predict(POINTS) == plain.predict(POINTS)).all()
    clusters = make_pipeline(
        VecsearchTransformer(40, recall=1.0), DBSCAN(3.0, min_samples=4, metric="precomputed")
    )
    theirs = make_pipeline(
        KNeighborsTransformer(n_neighbors=40), DBSCAN(3.0, min_samples=4, metric="precomputed")
    )
    assert (clusters.fit_predict(POINTS) == theirs.fit_predict(POINTS)).all()
    texts = ["a small boat", "a large ship", "a red bus", "a fast bus"]
    topics = make_pipeline(VecsearchEmbedder("toy:64"), LogisticRegression())
    assert topics.fit(texts, [0, 0, 1, 1]).predict(["one bus"]).tolist() == [1]
    assert len(topics[0].get_feature_names_out()) == 64


def test_a_pickle_holds_the_rows(tmp_path: Path) -> None:
    given = VecsearchTransformer(3).fit(POINTS)
    expected = given.transform(POINTS[:5]).toarray()
    stored = pickle.dumps(given)
    del given
    gc.collect()  # its folder goes
    assert np.allclose(pickle.loads(stored).transform(POINTS[:5]).toarray(), expected)
    kept = VecsearchTransformer(3, path=tmp_path / "rows.vs").fit(POINTS)
    assert len(vs.open(tmp_path / "rows.vs")) == len(POINTS)
    assert np.allclose(kept.transform(POINTS[:5]).toarray(), expected)


def test_wrong_arguments() -> None:
    for wrong in ({"n_neighbors": 0}, {"mode": "x"}, {"metric": "manhattan"}, {"recall": 2.0}):
        with pytest.raises(vs.InvalidInputError):
            VecsearchTransformer(**wrong).fit(POINTS)
    for texts in ("one text", [1, 2], 7):
        with pytest.raises(vs.InvalidInputError):
            VecsearchEmbedder("toy:8").fit(texts)
    with pytest.raises(vs.EmbedderError):
        VecsearchEmbedder("no-such-model:3").fit(["a"])


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(ours)
