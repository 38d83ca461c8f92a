"""Clusters, classes and maps of real documents, with words of English and Chinese."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, confusion_matrix, f1_score

import vecsearch as vs
from tests.support.data import brute_force
from tests.support.packages import matrix, packages, packages_table
from vecsearch.analysis.words import cluster_words, words_of

TOPICS = {
    "光合作用": [
        "植物通过光合作用制造养分",
        "光合作用需要阳光和水",
        "叶绿素参与光合作用",
        "光合作用释放氧气",
    ],
    "高速铁路": [
        "高速铁路连接两座城市",
        "高速铁路的列车很快",
        "乘坐高速铁路出行",
        "新的高速铁路通车",
    ],
    "boats": ["boats sail on lakes", "small boats and large boats", "boats of wood", "old boats"],
}


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    c = vs.create(tmp_path_factory.mktemp("topics") / "c.vs", embedder="toy:256")
    rows = [
        {"id": f"{topic}{n}", "text": text, "topic": None if n == 3 else topic, "n": n}
        for topic, texts in TOPICS.items()
        for n, text in enumerate(texts)
    ]
    c.add(rows)
    return c


@pytest.fixture(scope="module")
def packaged(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    return packages(tmp_path_factory.mktemp("packages") / "c.vs", packages_table(shared_data, 900))


def test_clusters_have_labels_from_their_own_words(topics: vs.Collection) -> None:
    found = topics.cluster(3)
    assert found.column_names == ["id", "cluster", "label", "score"]
    rows = found.to_pylist()
    by_topic = {
        topic: {row["cluster"] for row in rows if row["id"].startswith(topic)} for topic in TOPICS
    }
    assert all(len(clusters) == 1 for clusters in by_topic.values())
    for topic, (number,) in by_topic.items():
        assert topic in found.labels[number]
    assert found.sizes == (4, 4, 4)
    again = topics.cluster(3)
    assert again.table.equals(found.table)
    assert not found.chosen
    assert topics.cluster().chosen


def test_clusters_without_texts(packaged: vs.Collection) -> None:
    found = packaged.cluster(6)
    vectors = matrix(packaged.to_arrow(["vector"]))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    owners = np.array(found.to_pydict()["cluster"])
    scores = np.array(found.to_pydict()["score"])
    assert list(found.sizes) == sorted(np.bincount(owners).tolist(), reverse=True)
    ids = packaged.to_arrow(["id"])["id"].to_pylist()
    for number in range(6):
        center = unit[owners == number].mean(axis=0)
        wanted = brute_force(unit[owners == number], center, "cosine")
        np.testing.assert_allclose(scores[owners == number], wanted, atol=1e-3)
        best = ids[int(np.flatnonzero(owners == number)[scores[owners == number].argmax()])]
        assert found.centers[number] == best
        assert found.labels[number] == str(best)
    narrow = packaged.cluster(2, where="words > 8")
    assert len(narrow) == packaged.count("words > 8")


def test_well_separated_clusters_are_found_and_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    centers = rng.standard_normal((7, 16)) * 8
    truth = np.repeat(np.arange(7), 40)
    c = vs.create(tmp_path / "c.vs", dim=16, metric="l2")
    c.add((centers[truth] + 0.3 * rng.standard_normal((280, 16))).astype(np.float32))
    found = c.cluster()
    assert len(found.sizes) == 7
    assert adjusted_rand_score(truth, found.to_pydict()["cluster"]) == 1.0
    assert found.silhouette > 0.8
    with pytest.raises(vs.InvalidInputError, match="clusters is 300"):
        c.cluster(300)
    with pytest.raises(vs.InvalidInputError, match="clusters is 0"):
        c.cluster(0)


def test_words_of_both_scripts() -> None:
    assert words_of("Ｆｕｌｌ width, Straße and CAFÉ 42") == [
        "full",
        "width",
        "strasse",
        "and",
        "café",
    ]
    assert words_of("南京市的长江") == ["南京", "京市", "长江"]
    assert words_of("") == []
    labels = cluster_words(["red red apple", "apple pie", "blue car"], np.array([0, 0, 1]), 2, 1)
    assert labels == ["apple", "blue"]


def test_labels_are_predicted_and_measured(packaged: vs.Collection) -> None:
    found = packaged.classify("python")
    rows = packaged.to_arrow(["id", "python", "vector"])
    truth = rows["python"].to_numpy()
    predicted = np.array(found.to_pydict()["label"])
    assert found.to_pydict()["id"] == rows["id"].to_pylist()
    assert found.held_out == pytest.approx((predicted == truth).mean())
    assert found.to_pydict()["given"] == truth.tolist()
    assert found.accuracy["majority"] == pytest.approx(max(truth.mean(), 1 - truth.mean()))
    assert found.accuracy[found.model] >= found.accuracy["majority"]
    assert found.low < found.held_out < found.high
    assert abs(found.held_out - found.accuracy[found.model]) < 0.02
    assert found.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
    counts = {
        (row["actual"], row["predicted"]): row["count"] for row in found.confusion.to_pylist()
    }
    table = confusion_matrix(truth, predicted)
    assert all(counts.get((bool(a), bool(b)), 0) == table[a, b] for a in (0, 1) for b in (0, 1))
    assert "tf-idf" not in found.accuracy
    assert found.labeled == 900 and found.folds == 5
    in_sample = (
        LogisticRegression(max_iter=1000).fit(matrix(rows), truth).score(matrix(rows), truth)
    )
    assert found.accuracy["logistic"] <= in_sample


def test_labels_of_texts_have_a_baseline_of_words(topics: vs.Collection) -> None:
    found = topics.classify("topic")
    models = {"neighbors", "logistic", "tf-idf", "logistic+tf-idf"}
    assert set(found.accuracy) == {*models, "majority"} and found.model in models
    assert found.labeled == 9 and found.folds == 3
    rows = found.to_pylist()
    for row in rows:
        assert row["id"].startswith(row["label"])
        assert 0 < row["confidence"] <= 1
    few = {f"{topic}{n}": number for number, topic in enumerate(TOPICS) for n in (0, 1)}
    by_dict = topics.classify(few)
    assert by_dict.labeled == 6
    assert {row["label"] for row in by_dict.to_pylist()} == {0, 1, 2}
    assert "accuracy" in str(found)


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ("nothing", vs.InvalidInputError, "no column"),
        ("vector", vs.InvalidInputError, "no single values"),
        ({"missing": 1}, vs.IdNotFoundError, "no document has the id"),
        ({"boats0": 1, "boats1": 1}, vs.InvalidInputError, "two labels"),
        (5, vs.InvalidInputError, "labels is 5"),
    ],
)
def test_wrong_labels(
    topics: vs.Collection, labels: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        topics.classify(labels)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_a_map_has_the_principal_components(metric: str, tmp_path: Path, shared_data: Path) -> None:
    table = packages_table(shared_data, 300)
    c = vs.create(tmp_path / "c.vs", dim=384, metric=metric)
    c.add(table)
    points = matrix(table)
    if metric == "cosine":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    centered = points - points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centered, full_matrices=False)
    found = c.map()
    for at, name in enumerate(("x", "y")):
        ours, theirs = found[name].to_numpy(), centered @ axes[at]
        assert min(abs(ours - theirs).max(), abs(ours + theirs).max()) < 1e-4
    assert found.kept == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum(), rel=1e-4)
    assert found.to_pydict()["id"] == list(range(300))
    assert len(c.map(where="words > 8")) == c.count("words > 8")


def test_pictures_of_a_map(topics: vs.Collection, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = topics.map()
    found.picture(tmp_path / "plain.png", title="boats")
    head = (tmp_path / "plain.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (1350, 1050)
    found.picture(tmp_path / "numbers.svg", color="n")
    assert b"<svg" in (tmp_path / "numbers.svg").read_bytes()
    from matplotlib import font_manager

    from vecsearch.analysis.maps import _font_with

    assert _font_with("光合作用") != "DejaVu Sans"
    assert _font_with("boats é") == "DejaVu Sans"
    if _font_with("光合作用") is None:
        with pytest.warns(UserWarning, match="font="):
            found.picture(tmp_path / "topics.png", color="topic")
    file = font_manager.findfont("DejaVu Sans")
    found.picture(tmp_path / "font.png", color="n", font=file)
    with pytest.raises(vs.InvalidInputError, match="no such file"):
        found.picture(tmp_path / "a.png", font=tmp_path / "no.ttf")
    with pytest.raises(vs.InvalidInputError, match="is none"):
        found.picture(tmp_path / "a.gif")
    with pytest.raises(vs.InvalidInputError, match="no column"):
        found.picture(tmp_path / "a.png", color="colour")
    assert not (tmp_path / "a.png").exists()


def test_the_file_for_embedding_atlas(topics: vs.Collection, tmp_path: Path) -> None:
    found = topics.map()
    found.atlas(tmp_path / "map.parquet", neighbors=3)
    table = pq.read_table(tmp_path / "map.parquet")
    assert table.column_names == ["id", "text", "topic", "n", "x", "y", "neighbors"]
    ids = table["id"].to_pylist()
    edges = topics.neighbors(3).to_pydict()
    wanted = [ids.index(name) for name in edges["neighbor"]]
    lists = table["neighbors"].to_pylist()
    assert [at for each in lists for at in each["ids"]] == wanted
    np.testing.assert_allclose(
        [d for each in lists for d in each["distances"]], 1 - np.array(edges["score"]), atol=1e-6
    )
    assert table["x"].to_pylist() == found["x"].to_pylist()


@pytest.mark.slow
def test_umap_is_an_extra(topics: vs.Collection) -> None:
    try:
        found = topics.map("umap")
    except vs.MissingExtraError as error:
        assert "vecsearch[map]" in str(error)
    else:
        assert found.kept is None and len(found) == 12
    with pytest.raises(vs.InvalidInputError, match="method is 'tsne'"):
        topics.map("tsne")  # type: ignore[arg-type]


def test_answers_print_what_they_found(topics: vs.Collection) -> None:
    assert "PCA, which keeps" in str(topics.map())
    assert "3 clusters, silhouette" in str(topics.cluster(3))
    assert "12 documents" in str(topics.outliers(3))
    assert isinstance(topics.cluster(3).table, pa.Table)
