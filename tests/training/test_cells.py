"""Vectors of cells: against a float64 computation, saved and opened, and on real cells."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from test_cli import ok

import vecsearch as vs
from vecsearch.embedders.saved import load_saved

ENVIRONMENTS = Path(__file__).parents[2] / "build" / "envs"
SCANPY = "scanpy==1.11.5"


def counts(cells: int = 120, genes: int = 40, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Three kinds of cells, each with genes of its own, counted at very different depths."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 3, cells)
    means = random.gamma(1, 1, (3, genes))
    depths = random.lognormal(0, 1.5, (cells, 1))
    found = random.poisson(means[kinds] * depths).astype(np.float32)
    found[0] = 0
    return found, [f"kind {kind}" for kind in kinds]


def table(**more: object) -> pa.Table:
    values, kinds = counts()
    return pa.table(
        {"id": np.arange(len(values)), "vector": values.tolist(), "kind": kinds, **more}
    )


def test_vectors_are_those_of_a_float64_computation() -> None:
    values, _ = counts()
    model = vs.train("cells", table(), dim=5, genes=20, progress=False)
    wide = values.astype(np.float64)
    sums = wide.sum(axis=1, keepdims=True)
    logs = np.log1p(np.divide(wide, sums, out=np.zeros_like(wide), where=sums > 0) * 1e4)
    kept = np.sort(np.argsort(-logs.var(axis=0))[:20])
    exact = PCA(5, svd_solver="full").fit_transform(logs[:, kept])
    got = model.project(values)
    np.testing.assert_allclose(np.abs(got), np.abs(exact), atol=2e-3)
    assert (model.dim, model.full_dim) == (5, 40)


def test_the_report_stands_beside_the_baselines() -> None:
    model = vs.train("cells", table(), dim=5, label="kind", progress=False)
    scores = {score.method: score.value for score in model.report.scores}
    assert list(scores) == ["cells", "principal components", "most frequent label"]
    assert scores["cells"] > scores["principal components"] > scores["most frequent label"]
    again = vs.train("cells", table(), dim=5, label="kind", progress=False)
    assert again.report == model.report and again.fingerprint() == model.fingerprint()
    assert vs.train("cells", table(), progress=False).report is None


def test_a_collection_projects_what_it_is_given(tmp_path: Path) -> None:
    values, _ = counts()
    model = vs.train("cells", table(), dim=5, progress=False)
    c = vs.create(tmp_path / "c.vs", embedder=model, metric="l2")
    c.add(table())
    assert c.info().dim == 5
    np.testing.assert_allclose(c.vector(7), model.project(values[7:8])[0], atol=1e-5)
    again = vs.open(tmp_path / "c.vs")
    assert again.search(values[9], k=1).ids == [9]
    found = again.classify("kind", model="neighbors", neighbors=10)
    assert found.held_out > 0.75
    path = model.save(tmp_path / "model")
    assert load_saved(path).fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(load_saved(path).project(values), model.project(values))


def test_wrong_cells_are_named(tmp_path: Path) -> None:
    values, _ = counts()
    values[4, 2] = -1
    wrong = pa.table({"vector": values.tolist()})
    with pytest.raises(vs.InvalidInputError, match="row 4 has a negative count"):
        vs.train("cells", wrong, progress=False)
    assert vs.train("cells", wrong, normalize=False, progress=False).dim == 40
    for data, options, words in (
        (pa.table({"x": [1]}), {}, "no column 'vector'"),
        (table(), {"label": "kin"}, "did you mean 'kind'"),
        (table(), {"dim": 0}, "dim is 0"),
        (table().slice(0, 1), {}, "1 cell to train on"),
        (table().slice(0, 5), {"label": "kind"}, "10 are needed"),
    ):
        with pytest.raises(vs.InvalidInputError, match=words):
            vs.train("cells", data, progress=False, **options)


def test_at_the_command_line(tmp_path: Path) -> None:
    values, kinds = counts(40)
    lines = ["cell,kind," + ",".join(f"g{n}" for n in range(40))]
    lines += [
        f"c{n},{kind}," + ",".join(f"{value:g}" for value in row)
        for n, (row, kind) in enumerate(zip(values, kinds, strict=True))
    ]
    (tmp_path / "cells.csv").write_text("\n".join(lines))
    said = ok("train", "cells", f"{tmp_path}/cells.csv::rows", tmp_path / "m", "--label", "kind")
    assert "most frequent label" in said.out
    made = ok(
        "ingest",
        f"{tmp_path}/cells.csv::rows",
        tmp_path / "c.vs",
        "--embedder",
        f"saved:{tmp_path / 'm'}",
        "--metric",
        "l2",
    ).out
    assert "40 documents added" in made


@pytest.fixture(scope="module")
def pbmc() -> Path:
    """The 700 cells that scanpy's package ships, without what scanpy itself needs."""
    folder = ENVIRONMENTS / "scanpy"
    inside = "scanpy/datasets/10x_pbmc68k_reduced.h5ad"
    if not (folder / inside).exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir"]
        done = subprocess.run(
            [*command, "--disable-pip-version-check", "-d", str(folder), SCANPY],
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            pytest.skip(f"{SCANPY} cannot be had: {done.stderr[-200:]}")
        (wheel,) = folder.glob("scanpy-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(inside, folder)
    return folder / inside


@pytest.mark.slow
def test_labels_of_real_cells_are_transferred_as_well_as_by_pca(pbmc: Path, tmp_path: Path) -> None:
    import h5py

    c = vs.create(tmp_path / "c.vs", dim=50, metric="l2")
    assert c.add(pbmc).added == 700
    found = c.classify("bulk_labels", model="neighbors", neighbors=10)
    with h5py.File(pbmc) as file:
        values = np.asarray(file["X"][:], np.float64)
    labels = c.to_arrow(["bulk_labels"])["bulk_labels"].to_pylist()
    components = PCA(50, svd_solver="full").fit_transform(values)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    by_pca = cross_val_predict(KNeighborsClassifier(10), components, labels, cv=folds)
    assert found.held_out >= (by_pca == np.array(labels)).mean()
    model = vs.train("cells", Path(f"{pbmc}::raw"), normalize=False, label="bulk_labels")
    assert model.report.scores[0].value > 0.7 > 0.5 > model.report.scores[-1].value
