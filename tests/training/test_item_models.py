"""Models of items: against the formulas written naively, and through a collection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.items import ItemEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training import item_scores
from vecsearch.training.item_scores import ease_factors, knn_factors, spectrum, svd_factors
from vecsearch.training.items import (
    train_ease,
    train_item_knn,
    train_items,
    train_sequence,
)
from vecsearch.training.sessions import Sessions, read_sessions

Matrix = npt.NDArray[np.float64]


def walks(sessions: int = 80, items: int = 24, seed: int = 0) -> pa.Table:
    """Sessions that go round in one of two circles of items, with some at random."""
    random = np.random.default_rng(seed)
    half, rows = items // 2, []
    for number in range(sessions):
        circle, at = int(random.integers(2)), int(random.integers(half))
        for place in range(int(random.integers(4, 10))):
            at = (at + int(random.integers(1, 3))) % half
            item = circle * half + at if random.random() < 0.9 else int(random.integers(items))
            rows.append((number, item, place))
    names = ("user", "item", "time")
    columns = zip(*rows, strict=True)
    return pa.table({name: list(each) for name, each in zip(names, columns, strict=True)})


NAMES: dict[str, Any] = {"session": "user", "item": "item", "order": "time"}


def read(table: pa.Table) -> Sessions:
    return read_sessions(table, "user", "item", "time")


def off_diagonal(matrix: Matrix) -> Matrix:
    return np.where(np.eye(len(matrix), dtype=bool), 0.0, matrix)


def naive_ease(sessions: Sessions, penalty: float) -> Matrix:
    """Steck 2019, algorithm 1."""
    dense = sessions.incidence().toarray()
    inverse = np.linalg.inv(dense.T @ dense + penalty * np.eye(dense.shape[1]))
    return off_diagonal(inverse / -np.diag(inverse))


def naive_knn(sessions: Sessions, shrinkage: float) -> Matrix:
    dense = sessions.incidence().toarray()
    size = dense.shape[1]
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            lengths = (dense[:, i] @ dense[:, i] + shrinkage, dense[:, j] @ dense[:, j] + shrinkage)
            out[i, j] = dense[:, i] @ dense[:, j] / np.sqrt(lengths[0] * lengths[1])
    return off_diagonal(out)


def naive_sequence(sessions: Sessions, window: int, backward: float, popularity: float) -> Matrix:
    out = np.zeros((len(sessions.keys), len(sessions.keys)))
    occurs = np.zeros(len(sessions.keys))
    for start, end in zip(sessions.starts[:-1], sessions.starts[1:], strict=True):
        items = sessions.items[start:end].tolist()
        for first, one in enumerate(items):
            occurs[one] += 1
            for second in range(first + 1, min(first + window, len(items) - 1) + 1):
                out[one, items[second]] += 1 / (second - first)
                out[items[second], one] += backward / (second - first)
    return off_diagonal(out / occurs**popularity)


@pytest.mark.parametrize("sessions", [10, 80])  # fewer and more than there are items
@pytest.mark.parametrize("penalty", [0.5, 40.0])
def test_ease_is_the_closed_form(sessions: int, penalty: float) -> None:
    data = read(walks(sessions))
    found = ease_factors(spectrum(data.incidence(), 99, 0), penalty, 99)
    assert found.exact
    np.testing.assert_allclose(
        off_diagonal(found.queries @ found.documents.T), naive_ease(data, penalty), atol=1e-10
    )


@pytest.mark.parametrize("sessions", [10, 80])
@pytest.mark.parametrize("shrinkage", [0.0, 7.0])
def test_item_knn_is_the_shrunk_cosine(sessions: int, shrinkage: float) -> None:
    data = read(walks(sessions))
    found = knn_factors(data.incidence(), shrinkage, 99, 0)
    assert found.exact
    np.testing.assert_allclose(
        off_diagonal(found.queries @ found.documents.T), naive_knn(data, shrinkage), atol=1e-10
    )


@pytest.mark.parametrize(
    ("window", "backward", "popularity"), [(1, 0.0, 0.0), (3, 0.5, 0.3), (99, 1.0, 1.0)]
)
def test_the_sequence_is_counted_by_distance(
    window: int, backward: float, popularity: float
) -> None:
    data = read(walks(30))
    matrix = item_scores.sequence_matrix(data, window, backward, popularity)
    expected = naive_sequence(data, window, backward, popularity)
    np.testing.assert_allclose(off_diagonal(matrix.toarray()), expected, atol=1e-12)
    found = svd_factors(matrix, 99, 0)
    assert found.exact
    np.testing.assert_allclose(
        off_diagonal(found.queries @ found.documents.T), expected, atol=1e-10
    )


def test_large_matrices_are_cut_to_the_largest_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Randomized, against numpy's whole decomposition."""
    data = read(walks(80))
    dense = data.incidence().toarray()
    left, singular, right = np.linalg.svd(dense, full_matrices=False)
    monkeypatch.setattr(item_scores, "LARGEST_GRAM", 5)
    monkeypatch.setattr(item_scores, "LARGEST_DENSE", 5)
    found = spectrum(data.incidence(), 8, 0)
    assert not found.exact
    np.testing.assert_allclose(found.values, singular[:8] ** 2, rtol=1e-3)
    matrix = item_scores.sequence_matrix(data, 5, 0.5, 0.0)
    cut = svd_factors(matrix, 8, 0)
    assert not cut.exact and cut.queries.shape == (24, 8)
    left, singular, right = np.linalg.svd(matrix.toarray())
    best = (left[:, :8] * singular[:8]) @ right[:8]
    np.testing.assert_allclose(cut.queries @ cut.documents.T, best, atol=0.02 * singular[0])


CASES = [
    ("ease", lambda **fixed: train_ease(walks(), **NAMES, penalty=10.0, **fixed)),
    ("item-knn", lambda **fixed: train_item_knn(walks(), **NAMES, shrinkage=3.0, **fixed)),
    (
        "sequence",
        lambda **fixed: train_sequence(
            walks(), **NAMES, window=4, backward=0.5, popularity=0.3, **fixed
        ),
    ),
]


@pytest.mark.parametrize(("kind", "train"), CASES, ids=[kind for kind, _ in CASES])
@pytest.mark.parametrize("half_life", [2.0, 1e9])
def test_a_collection_recommends_as_the_method_does(
    tmp_path: Path, kind: str, train: Any, half_life: float
) -> None:
    """Ranks and scores of histories, against the dense matrix in float64."""
    data = read(walks())
    model = train(half_life=half_life)
    matrix = {
        "ease": lambda: naive_ease(data, 10.0),
        "item-knn": lambda: naive_knn(data, 3.0),
        "sequence": lambda: naive_sequence(data, 4, 0.5, 0.3),
    }[kind]()
    with vs.create(tmp_path / "items.vs", embedder=model) as items:
        items.add([{"id": int(key)} for key in model.keys])
        assert items.info().metric == "ip"
        for start, end in zip(data.starts[:20], data.starts[1:21], strict=True):
            history = data.items[start:end]
            weights = 0.5 ** (np.arange(len(history))[::-1] / half_life)
            scores = (weights / weights.sum()) @ matrix[history]
            scores[history] = -np.inf
            order = np.argsort(-scores, kind="stable")
            ids = [int(data.keys[item]) for item in history]
            found = items.recommend(history=ids, k=8, exclude_seen=True)
            np.testing.assert_allclose(found.scores, scores[order[:8]], rtol=1e-4, atol=1e-6)
            apart = np.diff(-scores[order[:9]]) > 1e-5  # no tie with the next one
            best = [int(data.keys[item]) for item in order[:8]]
            assert [one == other for one, other in zip(found.ids, best, strict=True)] == [
                True
            ] * 8 or not apart.all()
            assert not set(found.ids) & set(ids)


def test_the_best_method_is_kept_and_reported_beside_the_others() -> None:
    model = train_items(walks(200), **NAMES, kinds=["item-knn", "ease", "sequence"])
    assert model.report is not None
    chosen, *others = model.report.scores
    assert chosen.method.startswith("items: ")
    titles = {each.method for each in others}
    assert {"popularity"} < titles <= {"popularity", "item-kNN", "EASE", "sequence co-occurrence"}
    assert all(each.low <= each.value <= each.high for each in model.report.scores)
    assert chosen.value > 1.5 * next(each.value for each in others if each.method == "popularity")
    assert "nDCG@10" in str(model.report)
    assert model.report.trained_on["sessions"] == 200
    again = train_items(walks(200), **NAMES, kinds=["item-knn", "ease", "sequence"])
    assert again.fingerprint() == model.fingerprint()


def test_a_report_says_where_popularity_alone_does_better() -> None:
    """Histories without any order or taste: items are drawn by their popularity."""
    random = np.random.default_rng(3)
    shares = 1 / np.arange(1, 41)
    rows = [
        {"user": user, "item": int(film), "time": place}
        for user in range(60)
        for place, film in enumerate(random.choice(40, 5, replace=False, p=shares / shares.sum()))
    ]
    table = pa.Table.from_pylist(rows)
    report = train_items(table, **NAMES, kinds=["item-knn"]).report
    assert report is not None
    chosen, popular = report.scores
    assert popular.value > chosen.value
    assert any("Popularity alone does better" in note for note in report.notes)
    regular = train_items(walks(200), **NAMES, kinds=["item-knn"]).report
    assert regular is not None and not any("Popularity" in note for note in regular.notes)


def test_settings_are_not_chosen_on_what_is_reported() -> None:
    """Other last items give another report, and the same choice."""
    table = walks(150)
    data = read(table)
    last = set((data.starts[1:] - 1).tolist())
    items = np.array([int(key) for key in data.keys])[data.items]
    changed = np.where([row in last for row in range(len(items))], np.roll(items[::-1], 7), items)
    one, other = (
        train_items(
            pa.table({"user": data.session, "item": each, "time": data.places}),
            **NAMES,
            kinds=["item-knn", "ease", "sequence"],
        )
        for each in (items, changed)
    )
    assert one.about == other.about
    assert one.report is not None and other.report is not None
    assert one.report.scores != other.report.scores


def test_baskets_have_no_order() -> None:
    table = walks(60).drop_columns(["time"])
    model = train_items(table, session="user", item="item", kinds=["item-knn", "sequence"])
    assert np.isinf(model.half_life).all()
    assert model.report is not None
    assert "a random item" in model.report.measure
    assert any("needs the order" in note for note in model.report.notes)
    with pytest.raises(InvalidInputError, match="needs the order of sessions"):
        train_items(table, session="user", item="item", kinds=["sequence"])


def test_short_sessions_are_trained_on_without_a_choice() -> None:
    table = pa.table({"u": [1, 1, 2], "i": ["a", "b", "a"], "t": [1, 2, 1]})
    model = train_ease(table, session="u", item="i", order="t")
    assert (model.about["penalty"], model.half_life[0]) == (200.0, 5.0)
    repeated = pa.table({"u": [1, 1], "i": ["a", "a"], "t": [1, 2]})
    model = train_item_knn(repeated, session="u", item="i", order="t")
    assert model.report is not None and model.report.scores == ()
    assert "Nothing could be held out" in str(model.report)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["eas"]}, "kinds is 'eas'; the methods are item-knn, ease"),
        ({"kinds": []}, "kinds is empty"),
        ({"dim": 0}, "dim is 0"),
        ({"dim": 10**6}, "dim is 1,000,000; it must be 16,384 or less"),
        ({"min_count": 0}, "min_count is 0"),
        ({"text_columns": ["title"]}, "text_columns is about the texts of items"),
        ({"items": [{"id": 1, "year": 2}]}, "no column of texts"),
        ({"items": [{"name": "x"}]}, "no column 'item' or 'id'"),
        ({"items": [{"id": 900, "t": "x"}, {"id": 901, "t": "y"}]}, "are these the same ids"),
        ({"items": [{"id": 1, "t": "x"}, {"id": 1, "t": "y"}]}, "has '1' more than once"),
        ({"items": [{"id": None, "t": "x"}, {"id": 1, "t": "y"}]}, "row 0: no 'id'"),
        ({"items": [{"id": 1, "t": "x"}], "text_columns": ["tt"]}, "no column 'tt'"),
        ({"items": [{"id": 1, "t": 3}], "text_columns": ["t"]}, "'t': int64, not texts"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    options = {"kinds": ["item-knn"], **options}
    with pytest.raises(InvalidInputError, match=message):
        train_items(walks(10), **NAMES, **options)


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        (train_ease, {"penalty": 0}, "penalty is 0"),
        (train_ease, {"penalty": -1.0}, "penalty is -1.0"),
        (train_item_knn, {"shrinkage": -1}, "shrinkage is -1"),
        (train_sequence, {"backward": 2}, "backward is 2"),
        (train_sequence, {"window": 0}, "window is 0"),
        (train_sequence, {"half_life": 0.0}, "half_life is 0.0"),
    ],
)
def test_wrong_settings_are_refused(train: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        train(walks(10), **NAMES, **options)


def titled() -> list[dict[str, Any]]:
    """The items of `walks` with a title that tells the circle; 100 and 101 are in no session."""
    names = ["red", "blue"]
    rows = [{"id": item, "title": f"{names[item // 12]} piece"} for item in range(24)]
    return [*rows, {"id": 100, "title": "red news"}, {"id": 101, "title": "blue news"}]


def test_cold_items_are_recommended_by_their_texts(tmp_path: Path) -> None:
    model = train_item_knn(walks(200), **NAMES, items=titled(), shrinkage=0)
    assert model.text_columns == ("title",)
    with vs.create(tmp_path / "items.vs", embedder=model) as items:
        items.add(titled())
        red = items.recommend(history=[3, 4], k=26)
        blue = items.recommend(history=[15, 16], k=26)
        assert red.ids.index(100) < red.ids.index(101)
        assert blue.ids.index(101) < blue.ids.index(100)
        # A cold item is part of a history too.
        assert sum(each < 12 for each in items.recommend(history=[100], k=10).ids) >= 8
        assert sum(12 <= each < 24 for each in items.search("blue", k=10).ids) >= 8
        # A new item that was not in the catalogue of the training.
        items.add([{"id": 300, "title": "the blue one"}])
        assert sum(12 <= each < 24 for each in items.similar(300, k=10).ids) >= 8
        items.update(values=[{"id": 300, "title": "the red one"}])
        assert sum(each < 12 for each in items.similar(300, k=10).ids) >= 8
    with vs.open(tmp_path / "items.vs") as items:
        assert items.recommend(history=[3, 4], k=26).ids[:5] == red.ids[:5]
        assert items.check() == []


def test_texts_predict_by_ridge_regression() -> None:
    """Against the normal equations, and leave-one-out errors by leaving out one after another."""
    from vecsearch.training.cold_items import PENALTIES, cold_items

    random = np.random.default_rng(0)
    words = ["red", "blue", "old", "new", "big"]
    texts = {str(n): " ".join(random.choice(words, 3)) for n in range(30)}
    keys = list(texts)[:25]
    documents, queries = random.normal(size=(25, 3)), random.normal(size=(25, 3))
    cold, told = cold_items(texts, keys, documents, queries, "toy:32")
    inputs = cold.texts.embed_documents([texts[key] for key in keys]).astype(np.float64)
    wanted = np.hstack([documents, queries])

    def fit(rows: list[int], penalty: float) -> tuple[Matrix, Matrix, Matrix]:
        mean, center = wanted[rows].mean(axis=0), inputs[rows].mean(axis=0)
        x, y = inputs[rows] - center, wanted[rows] - mean
        return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y), mean, center

    errors = {}
    for penalty in PENALTIES:
        errors[penalty] = 0.0
        for row in range(25):
            weights, mean, center = fit([other for other in range(25) if other != row], penalty)
            predicted = mean + (inputs[row] - center) @ weights
            errors[penalty] += float(np.square(wanted[row] - predicted).sum())
    best = min(errors, key=lambda penalty: errors[penalty])
    weights, mean, center = fit(list(range(25)), best)
    texts_seen = ["red old", "new"]
    vectors = cold.texts.embed_documents(texts_seen).astype(np.float64)
    np.testing.assert_allclose(
        cold.predict(texts_seen), mean + (vectors - center) @ weights, atol=1e-5
    )
    alone = sum(
        np.square(wanted[row] - np.delete(wanted, row, axis=0).mean(axis=0)).sum()
        for row in range(25)
    )
    assert told == pytest.approx(1 - errors[best] / alone, abs=1e-6)


def test_a_saved_model_is_the_same(tmp_path: Path) -> None:
    model = train_item_knn(walks(60), **NAMES, items=titled(), text_embedder=None)
    before = model.fingerprint()
    loaded = resolve_embedder(str(model.save(tmp_path / "model")))
    assert isinstance(loaded, ItemEmbedder)
    assert loaded.fingerprint() == before == model.fingerprint()
    assert loaded.report == model.report
    assert loaded.text_columns == ("title",)
    for ask in (["3", ["3", "4"]], ["something blue"]):
        np.testing.assert_array_equal(loaded.embed_queries(ask), model.embed_queries(ask))
    named = train_item_knn(walks(60), **NAMES, items=titled(), text_embedder="toy:32")
    loaded = resolve_embedder(str(named.save(tmp_path / "named")))
    np.testing.assert_array_equal(
        loaded.embed_documents(["something blue"]), named.embed_documents(["something blue"])
    )
    assert named.fingerprint() != before


def test_train_takes_what_add_takes() -> None:
    rows = walks(40).to_pylist()
    model = vs.train("item-knn", rows, **NAMES, shrinkage=2)
    same = train_item_knn(walks(40), **NAMES, shrinkage=2)
    assert model.fingerprint() == same.fingerprint()
    best = vs.train("items", rows, **NAMES, kinds=["ease"])
    assert isinstance(best, ItemEmbedder)
