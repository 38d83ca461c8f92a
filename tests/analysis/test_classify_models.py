"""The models of `classify` against scikit-learn, and what its report shows."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_cli import fails, ok

import vecsearch as vs
from vecsearch.analysis.words import terms_of

WORDS = "film plot actor scene music story camera end hero house".split()


def reviews(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Texts whose label is in one word, and is turned round by a "not" before it."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        word, negated = random.choice(["good", "fine", "bad", "dull"]), random.random() < 0.4
        is_good = (word in ("good", "fine")) != negated
        others = list(random.choice(WORDS, 6))
        if not negated:
            others.insert(0, "not")  # somewhere else
        text = f"{' '.join(others)} {'not ' * negated}{word}"
        rows.append({"id": number, "text": text, "label": "good" if is_good else "bad"})
    return rows


def splitter(seed: int = 0) -> StratifiedKFold:
    return StratifiedKFold(5, shuffle=True, random_state=seed)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    c = vs.create(tmp_path_factory.mktemp("judged") / "c.vs", embedder="toy:32")
    c.add(reviews(300))
    return c


def chances_of(c: vs.Collection, name: str) -> np.ndarray:
    """What scikit-learn's cross-validation says; columns are "bad" and "good"."""
    rows = c.to_arrow(["text", "label", "vector"]).to_pydict()
    labels = np.array(rows["label"])
    vectors = np.array(rows["vector"], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True)
    if name == "tf-idf":
        model, data = make_pipeline(words, LogisticRegression(C=10, max_iter=1000)), rows["text"]
    elif name == "logistic":
        model, data = (
            make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=1000)),
            vectors,
        )
    else:
        model = KNeighborsClassifier(15, weights=lambda distances: 1 / (distances + 1e-3))
        data = vectors
    return np.asarray(cross_val_predict(model, data, labels, cv=splitter(), method="predict_proba"))


def test_each_model_is_as_scikit_learn_measures_it(judged: vs.Collection) -> None:
    found = judged.classify("label")
    labels = np.array(judged.to_arrow(["label"])["label"].to_pylist())
    names = np.array(["bad", "good"])
    each = {name: chances_of(judged, name) for name in ("tf-idf", "logistic", "neighbors")}
    each["logistic+tf-idf"] = (each["logistic"] + each["tf-idf"]) / 2
    for name, chances in each.items():
        right = (names[chances.argmax(axis=1)] == labels).mean()
        assert found.accuracy[name] == pytest.approx(right, abs=0.004), name
    assert found.accuracy["tf-idf"] > 0.85 > found.accuracy["neighbors"]
    assert found.model in ("tf-idf", "logistic+tf-idf")
    assert found.held_out > 0.85
    only = judged.classify("label", model="tf-idf")
    assert set(only.accuracy) == {"tf-idf", "majority"} and only.model == "tf-idf"
    np.testing.assert_allclose(
        only.table["confidence"].to_numpy(), each["tf-idf"].max(axis=1), atol=1e-4
    )


def test_documents_without_a_label_are_predicted_by_the_chosen_model(tmp_path: Path) -> None:
    rows = reviews(400)
    truth = [row["label"] for row in rows[300:]]
    c = vs.create(tmp_path / "c.vs", embedder="toy:32")
    c.add([row if row["id"] < 300 else {**row, "label": None} for row in rows])
    found = c.classify("label").to_pylist()
    assert [row["given"] for row in found[300:]] == [None] * 100
    assert [row["given"] for row in found[:300]] == [row["label"] for row in rows[:300]]
    assert np.mean([row["label"] == y for row, y in zip(found[300:], truth, strict=True)]) > 0.85
    both = c.classify("label", model="logistic+tf-idf").to_pylist()
    parts = [c.classify("label", model=name).to_pylist() for name in ("logistic", "tf-idf")]
    for mixed, one, other in zip(both[300:], *(part[300:] for part in parts), strict=True):
        chances = [
            row["confidence"] if row["label"] == mixed["label"] else 1 - row["confidence"]
            for row in (one, other)
        ]
        assert mixed["confidence"] == pytest.approx(np.mean(chances), abs=1e-6)


def test_the_nearest_vote(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=1, metric="l2")
    places = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 1.6]
    labels = ["a", "a", "b", "b", "b", "b", None]
    c.add([{"vector": [x], "label": y} for x, y in zip(places, labels, strict=True)])
    one = c.classify("label", model="neighbors", neighbors=1).to_pylist()[-1]
    assert (one["label"], one["confidence"]) == ("b", 1.0)
    three = c.classify("label", model="neighbors", neighbors=3).to_pylist()[-1]
    weights = 1 / (np.array([1.6, 0.6, 0.4]) + 1e-3)  # to a, a and b
    assert three["confidence"] == pytest.approx(max(weights[:2].sum(), weights[2]) / weights.sum())
    assert three["label"] == ("a" if weights[:2].sum() > weights[2] else "b")


def test_the_report_shows_what_was_taken_for_what(judged: vs.Collection) -> None:
    found = judged.classify("label")
    head, rows = found.matrix()
    assert head[1:] == [row[0] for row in rows]
    counts = np.array([[int(cell) for cell in row[1:]] for row in rows])
    assert counts.sum() == 300 and np.trace(counts) == round(300 * found.held_out)
    assert "actual \\ predicted" in str(found)
    html = found._repr_html_()
    assert f"{found.held_out:.3f}" in html and "<table>" in html
    assert all(f"{found.accuracy[name]:.3f}" in html for name in found.accuracy)


def test_labels_are_shown_not_obeyed_and_many_are_summed_up(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2)
    random = np.random.default_rng(0)
    labels = ["<script>x</script>", *(f"kind {number}" for number in range(19))]
    c.add(
        [
            {"vector": random.standard_normal(2), "label": label}
            for label in labels
            for _ in range(4)
        ]
    )
    found = c.classify("label")
    assert "<script>" not in found._repr_html_()
    head, rows = found.matrix(5)
    assert head[-1] == "others" and len(rows) == 5 and len(head) == 6
    assert sum(int(cell) for row in rows for cell in row[1:]) == 80
    assert len(found.matrix()[1]) == 20


def test_terms_keep_what_decides() -> None:
    assert terms_of("Not GOOD!") == ["not", "good", "not good"]
    assert terms_of("我不喜欢 Python3") == [
        *"我不喜欢",
        "python3",
        *("我 不", "不 喜", "喜 欢", "欢 python3"),
    ]
    assert terms_of(" .,- ") == []


def test_wrong_models_are_named(judged: vs.Collection, tmp_path: Path) -> None:
    wrong: Any = "svm"
    with pytest.raises(vs.InvalidInputError, match="model is 'svm'"):
        judged.classify("label", model=wrong)
    with pytest.raises(vs.InvalidInputError, match="neighbors is 0"):
        judged.classify("label", neighbors=0)
    bare = vs.create(tmp_path / "c.vs", dim=1)
    bare.add([{"vector": [1.0], "label": n % 2} for n in range(8)])
    with pytest.raises(vs.InvalidInputError, match="needs texts"):
        bare.classify("label", model="logistic+tf-idf")


def test_the_command_says_the_same(judged: vs.Collection) -> None:
    found = judged.classify("label", model="tf-idf")
    said = ok("classify", judged.path, "label", "--model", "tf-idf", "--most", "1").out
    assert f"accuracy {found.held_out:.3f}" in said and "actual" in said
    said = fails("classify", judged.path, "label", "--model", "svm")
    assert "--model is 'svm'; it must be 'neighbors', 'logistic'" in said


@pytest.mark.slow
def test_packages_are_not_below_the_linear_baseline(tmp_path: Path, shared_data: Path) -> None:
    """Classes of packages by their summaries, with the names of the frameworks left out."""
    families = "django odoo flask pytest langchain fastapi mkdocs sphinx napari streamlit".split()
    rows = []
    with (shared_data / "ann" / "package-summaries-50k.tsv").open(encoding="utf-8") as file:
        for line in file:
            name, _, summary = line.rstrip("\n").partition("\t")
            family = re.split(r"[-_.\d]", name, maxsplit=1)[0].lower()
            text = re.sub(rf"(?i)\w*{family}\w*", "", summary).strip() if family in families else ""
            if len(text.split()) >= 3:
                rows.append((text, family))
    order = np.random.default_rng(0).permutation(len(rows))[:1500]
    texts, labels = zip(*(rows[at] for at in order), strict=True)
    c = vs.create(tmp_path / "c.vs", embedder="toy:256")
    c.add(
        [
            {"id": at, "text": text, "label": label if at >= 300 else None}
            for at, (text, label) in enumerate(zip(texts, labels, strict=True))
        ]
    )
    found = c.classify("label", model="logistic+tf-idf")
    ours = np.array(found["label"].to_pylist()[:300]) == np.array(labels[:300])
    for ngrams in ((1, 1), (1, 2)):
        baseline = make_pipeline(
            TfidfVectorizer(ngram_range=ngrams), LogisticRegression(max_iter=1000)
        ).fit(texts[300:], labels[300:])
        theirs = baseline.predict(texts[:300]) == np.array(labels[:300])
        difference = ours.astype(float) - theirs
        assert difference.mean() + 1.96 * difference.std() / np.sqrt(300) >= 0


@pytest.mark.parametrize("model", ["neighbors", "logistic", "tf-idf", "logistic+tf-idf"])
def test_new_texts_are_labeled_as_if_they_were_in_the_collection(
    tmp_path: Path, model: Any
) -> None:
    """The collection's own prediction of documents without a label is the other computation."""
    rows = reviews(240)
    c = vs.create(tmp_path / "c.vs", embedder="toy:32")
    c.add([row if row["id"] < 200 else {**row, "label": None} for row in rows])
    inside = c.classify("label", model=model).table.slice(200)
    report = c.classify("label", model=model, where="label IS NOT NULL")
    found = report.predict([row["text"] for row in rows[200:]])
    assert found["label"].to_pylist() == inside["label"].to_pylist()
    np.testing.assert_allclose(found["confidence"], inside["confidence"], atol=1e-5)
    assert found["text"].to_pylist() == [row["text"] for row in rows[200:]]
    np.testing.assert_allclose(found.chances.sum(axis=1), 1)
    assert found.labels == ("bad", "good") and found.model == report.model == model
    assert report.predict("not bad").num_rows == 1 and report.predict([]).num_rows == 0
    if model in ("neighbors", "logistic"):
        vectors = c.to_arrow(["vector"])["vector"].to_pylist()[200:]
        again = report.predict(np.array(vectors, np.float32))
        np.testing.assert_allclose(again["confidence"], found["confidence"], atol=1e-5)
        assert again.column_names == ["label", "confidence"]
    else:
        with pytest.raises(vs.InvalidInputError, match='model="logistic"'):
            report.predict(np.ones((1, 32)))


def test_long_new_texts_are_the_mean_of_their_passages(tmp_path: Path) -> None:
    texts = [
        f"{word} {word} is what it is. " * 9 for word in "apple pear car bus plum tram".split()
    ]
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=60)
    c.add([{"id": at, "text": text} for at, text in enumerate(texts)])
    labels = {0: "fruit", 1: "fruit", 2: "car", 3: "car"}
    inside = c.classify(labels, model="logistic").table.slice(4)
    report = c.classify(labels, model="logistic")
    found = report.predict(texts[4:])
    np.testing.assert_allclose(found["confidence"], inside["confidence"], atol=1e-5)
    assert found["label"].to_pylist() == inside["label"].to_pylist()


def test_new_rows_of_a_table_are_labeled(tmp_path: Path) -> None:
    rows = [{"color": "red" if at % 2 else "blue", "size": at % 5} for at in range(20)]
    c = vs.create(tmp_path / "c.vs", embedder=vs.train("tabular", rows))
    c.add(rows)
    report = c.classify({at: rows[at]["color"] == "red" for at in range(20)}, model="neighbors")
    assert report.predict({"color": "red", "size": 2})["label"].to_pylist() == [True]
    both = report.predict([{"color": "blue", "size": 9}, {"color": "red"}])
    assert both["label"].to_pylist() == [False, True]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ([""], "document 0 is empty"),
        (["a", None], "document 1 is empty"),
        (["a", np.ones(32)], "document 1 is a vector, unlike the first"),
        ([[1.0, 2.0]], "expected .*32"),
        ([np.zeros(32)], "zero vector"),
        ([np.full(32, np.nan)], "NaN"),
        (5, "must be a list"),
        (None, "must be a list"),
    ],
)
def test_wrong_new_documents_are_refused(judged: vs.Collection, new: Any, message: str) -> None:
    with pytest.raises(vs.InvalidInputError, match=message):
        judged.classify("label", model="logistic").predict(new)


def test_a_collection_of_vectors_labels_vectors_and_a_pickle_has_no_model(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, metric="l2")
    c.add([{"vector": [at, 0], "label": at > 5} for at in range(12)])
    report = c.classify("label")
    assert report.predict([[0, 0], [11, 0]])["label"].to_pylist() == [False, True]
    assert report.predict([0, 0])["label"].to_pylist() == [False]
    with pytest.raises(vs.EmbedderError, match="vectors of 2 numbers"):
        report.predict(["a text"])
    again = pickle.loads(pickle.dumps(report))  # the table and the figures only
    assert again == report
    with pytest.raises(vs.InvalidInputError, match="classify the collection again"):
        again.predict([[0, 0]])


def test_the_command_labels_new_texts(judged: vs.Collection, tmp_path: Path) -> None:
    lines, table = tmp_path / "new.txt", tmp_path / "new.csv"
    lines.write_text("not good scene\n\nfine actor not\n")
    table.write_text("n,review\n1,not good scene\n2,fine actor not\n")
    whole = ("classify", judged.path, "label", "--model", "tf-idf")
    answer = ok(*whole, "--text", "a dull film not", "--texts", lines, "--json").json
    assert [row["label"] for row in answer["rows"]] == ["bad", "bad", "good"]
    assert "accuracy" in answer["model"] and answer["confusion"]
    ok(*whole, "--texts", table, "--text-column", "review", "-o", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["bad", "good"]
    assert "is empty" in fails(*whole, "--text", " ")
