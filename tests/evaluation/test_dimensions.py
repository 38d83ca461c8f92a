"""Fewer dimensions: what they cost, against plain numpy, and collections that have fewer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from support.data import brute_force, clustered
from support.faults import failing
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app
from vecsearch.embedders import projection as projections
from vecsearch.embedders.projected import ReducedEmbedder, truncated
from vecsearch.embedders.projection import Projection, principal_components, truncation
from vecsearch.embedders.saved import load_saved
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.embedders.words import WordEmbedder
from vecsearch.evaluation import dimensions
from vecsearch.maintenance.backup import write_backup
from vecsearch.maintenance.check import find_damage
from vecsearch.types import DimensionPoint, DimensionReport

Floats = npt.NDArray[np.float32]


# -- projections -----------------------------------------------------------------------------------
# ------------------------


@pytest.mark.parametrize("centered", [True, False])
def test_principal_components_are_those_of_a_singular_value_decomposition(centered: bool) -> None:
    sample = clustered(9000, 12) + np.float32(1)  # more than one block of rows
    projection = principal_components(sample, 5, centered=centered)
    center = sample.mean(axis=0) if centered else np.zeros(12)
    _, _, rows = np.linalg.svd(sample.astype(np.float64) - center, full_matrices=False)
    assert np.abs(np.einsum("ij,ij->i", projection.matrix, rows[:5])) == pytest.approx(
        np.ones(5), abs=1e-4
    )
    np.testing.assert_allclose(
        projection.apply(sample), (sample - center) @ projection.matrix.T, atol=1e-4
    )
    np.testing.assert_array_equal(projection.first(2).matrix, projection.matrix[:2])
    np.testing.assert_array_equal(
        principal_components(sample, 2, centered=centered).matrix, projection.matrix[:2]
    )


def test_truncation_and_its_limits() -> None:
    vectors = clustered(4, 6)
    np.testing.assert_array_equal(truncation(6, 2).apply(vectors), vectors[:, :2])
    cut = truncated(ToyEmbedder(8), 3)
    np.testing.assert_array_equal(
        cut.embed_documents(["猫 a"]), ToyEmbedder(8).embed_documents(["猫 a"])[:, :3]
    )
    assert (cut.dim, cut.full_dim) == (3, 8)
    for dim in (0, 8, 9):
        with pytest.raises(vs.InvalidInputError, match="give fewer"):
            truncated(ToyEmbedder(8), dim)
    with pytest.raises(vs.InvalidInputError, match="takes 6 numbers; toy:8 makes 8"):
        ReducedEmbedder(truncation(6, 2), ToyEmbedder(8))


def test_a_reduced_embedder_saved_and_found_again(tmp_path: Path) -> None:
    words = WordEmbedder(["猫", "dog", "cat"], clustered(3, 4))
    for name, inner in (("trained", words), ("named", ToyEmbedder(4)), ("alone", None)):
        made = ReducedEmbedder(principal_components(clustered(20, 4), 2, centered=True), inner)
        folder = made.save(tmp_path / name)
        again = load_saved(folder)
        assert isinstance(again, ReducedEmbedder) and made.name == again.name == f"saved:{folder}"
        assert again.fingerprint() == made.fingerprint() and again.has_model == (inner is not None)
        assert (folder / "inner").exists() == (name == "trained")
        if inner is not None:
            np.testing.assert_array_equal(
                again.embed_queries(["猫 cat"]), made.embed_queries(["猫 cat"])
            )
        else:
            with pytest.raises(
                vs.EmbedderError,
                match="no model here, only a projection: give a vector, of 4 or 2 numbers",
            ):
                again.embed_documents(["猫"])
    assert words.name == "words:unsaved"
    other = ReducedEmbedder(
        Projection(np.eye(2, 4, dtype=np.float32), np.ones(4, np.float32)), words
    )
    assert len({other.fingerprint(), made.fingerprint(), truncated(words, 2).fingerprint()}) == 3
    lying = ReducedEmbedder(truncation(4, 2), "toy:4", "0" * 64)
    with pytest.raises(vs.EmbedderMismatchError, match="toy:4 is not the model that was reduced"):
        lying.embed_queries(["a"])


# -- measuring -------------------------------------------------------------------------------------
# ------------------------


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_recall_is_what_numpy_says_on_rows_not_fitted_on(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[Any] = []
    measured: list[Any] = []
    fit, ranked = projections.fit_projection, dimensions._ranked

    def spy_on_fit(snapshot: Any, rows: Any, method: Any, dim: int) -> Projection:
        fitted.append(rows)
        return fit(snapshot, rows, method, dim)

    def spy_on_ranked(snapshot: Any, rows: Any, queries: Any, *others: Any) -> Any:
        measured.append((rows, queries))
        return ranked(snapshot, rows, queries, *others)

    monkeypatch.setattr(dimensions, "fit_projection", spy_on_fit)
    monkeypatch.setattr(dimensions, "_ranked", spy_on_ranked)
    monkeypatch.setattr(dimensions, "BLOCK_ROWS", 100)
    vectors = clustered(700, 24)
    with vs.create(tmp_path / "c", dim=24, metric=metric) as c:
        c.add(vectors[:300])
        c.add(vectors[300:])
        c.delete(range(50, 60))
        report = c.dimensions([4, 12], n_queries=60, seed=3)
        ((rows, queries),) = measured
        stored = c._snapshot.stored_vectors(np.arange(700))
        held = [n for n in range(700) if (stored[n] == queries).all(axis=1).any()]
        assert len(held) == len(queries) == report.queries == 60
        assert not {*rows} & {*fitted[0]} and not {*rows, *fitted[0]} & {*held, *range(50, 60)}
        assert (
            len(rows) == report.rows
            and len(fitted[0]) == report.fitted_on
            and len({*rows, *fitted[0], *held}) == 690
        )
    sample = stored[fitted[0]].astype(np.float64)
    center = sample.mean(axis=0) if metric == "l2" else np.zeros(24)
    axes = np.linalg.svd(sample - center, full_matrices=False)[2]
    expected: list[tuple[Any, ...]] = []
    for method, dim in (("pca", 12), ("truncate", 12), ("pca", 4), ("truncate", 4)):
        matrix = axes[:dim] if method == "pca" else np.eye(dim, 24)
        shift = center if method == "pca" else np.zeros(24)
        share = []
        for query in queries:
            truth = np.argsort(-brute_force(stored[rows], query, metric), kind="stable")[:10]
            low, asked = ((item - shift) @ matrix.T for item in (stored[rows], query))
            found = np.argsort(-brute_force(low, asked, metric), kind="stable")[:10]
            share.append(len({*truth} & {*found}) / 10)
        expected.append((method, dim, dim * 4, float(np.mean(share))))
    full, *rest = report.points
    assert (full.method, full.dim, full.bytes, full.recall, full.ndcg) == (
        "full",
        24,
        96,
        1.0,
        None,
    )
    assert [
        (p.method, p.dim, p.bytes, pytest.approx(p.recall, abs=0.005)) for p in rest
    ] == expected
    assert all(p.low <= p.recall for p in report.points) and rest[0].recall > rest[2].recall


def test_recall_shows_how_many_dimensions_the_vectors_need(tmp_path: Path) -> None:
    """Vectors of rank 6 need six components; vectors with six numbers need no others."""
    rng = np.random.default_rng(0)
    flat = clustered(400, 6) @ np.linalg.qr(rng.standard_normal((32, 6)))[0].T.astype(np.float32)
    nested = clustered(400, 32) * np.where(np.arange(32) < 6, 1, 1e-4).astype(np.float32)
    for name, vectors, truncate in (("flat", flat, False), ("nested", nested, True)):
        with vs.create(tmp_path / name, dim=32) as c:
            c.add(vectors)
            _, pca, cut = c.dimensions([6]).points
        assert (
            pca.recall > 0.99 and (cut.recall > 0.99) == truncate and (truncate or cut.recall < 0.9)
        )


TOPICS = {
    "cat": "the cat chases mice",
    "sea": "waves of the sea",
    "食物": "植物制造食物",
    "bread": "bread and butter",
}


def judged(c: vs.Collection) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    queries = {f"q-{name}": text for name, text in TOPICS.items()} | {
        "q-none": "nothing is judged of this"
    }
    ids = c.to_arrow(["id"])["id"].unique().to_pylist()
    return queries, {
        f"q-{name}": {i: 1 + len(i) % 2 for i in ids if i.startswith(name)} for name in TOPICS
    }


def topics(path: Path, **options: Any) -> vs.Collection:
    rng = np.random.default_rng(0)
    c = vs.create(path, embedder="toy:32", **options)
    rows = []
    for n in range(80):
        name = [*TOPICS][n % 4]
        letters = [
            *TOPICS[name],
            *"etaoin shrdlu 的一是不",
        ]  # drawn for each one, so that no two score the same
        sentences = ("".join(rng.choice(letters, 25)) for _ in range(1 + n % 4))
        rows.append({"id": f"{name}-{n}", "text": ". ".join(sentences)})
    c.add(rows)
    return c


@pytest.mark.parametrize("chunker", [None, 60])
def test_ndcg_is_that_of_the_reduced_collection(chunker: int | None, tmp_path: Path) -> None:
    if chunker:
        pytest.importorskip("chonkie")
    c = topics(tmp_path / "c", chunker=chunker)
    queries, qrels = judged(c)
    report = c.dimensions([20], queries=queries, qrels=qrels)
    assert report.queries == 4 and report.query_source == "given queries"
    for point in report.points[
        : 2 if chunker else 3
    ]:  # truncation leaves nothing of a passage of two letters
        made = (
            c
            if point.dim == 32
            else c.reduce(tmp_path / point.method, 20, method=cast(Any, point.method))
        )
        gains = []
        for key, judgements in qrels.items():
            ids = made.search(queries[key], k=10).ids
            discount = 1 / np.log2(np.arange(2, 12))
            ideal = (
                sorted(judgements.values(), reverse=True)[:10]
                @ discount[: min(10, len(judgements))]
            )
            gains.append(
                sum(judgements.get(str(i), 0) * d for i, d in zip(ids, discount, strict=False))
                / ideal
            )
        assert point.ndcg == pytest.approx(np.mean(gains), abs=1e-6), point
    assert report.points[0].ndcg != report.points[1].ndcg


def test_files_and_the_table(tmp_path: Path) -> None:
    c = topics(tmp_path / "c")
    queries, qrels = judged(c)
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    lines = [
        json.dumps({"_id": key, "text": text}, ensure_ascii=False) for key, text in queries.items()
    ]
    (beir / "queries.jsonl").write_text("\n".join(lines), encoding="utf-8")
    rows = [
        f"{query}\t{item}\t{grade}" for query, row in qrels.items() for item, grade in row.items()
    ]
    (beir / "qrels" / "test.tsv").write_text(
        "\n".join(["query-id\tcorpus-id\tscore", *rows]), encoding="utf-8"
    )
    report = c.dimensions([4], queries=queries, qrels=qrels)
    assert c.dimensions([4], queries=beir) == c.dimensions(
        [4], queries=str(beir / "queries.jsonl"), qrels=beir / "qrels/test.tsv"
    )
    assert (
        c.dimensions([4], queries=beir)
        == report
        == c.dimensions([4], queries=queries, qrels=qrels, seed=0)
    )
    ran = CliRunner().invoke(
        app, ["dimensions", str(c.path), "4", "--queries", str(beir), "--json"]
    )
    assert json.loads(ran.stdout)["points"][1]["ndcg"] == pytest.approx(report.points[1].ndcg)
    ran = CliRunner().invoke(app, ["dimensions", str(c.path), "4", "8"], env={"COLUMNS": "150"})
    assert ran.exit_code == 0 and "truncate" in ran.stdout and "components fitted on" in ran.stdout
    made = DimensionReport(
        (
            DimensionPoint("full", 384, 1536, 1.0, 1.0, 0.5),
            DimensionPoint("pca", 96, 384, 0.9, 0.875, 0.25),
        ),
        10,
        1000,
        50,
        900,
        "held-out rows",
        "cosine",
    )
    assert str(made).splitlines() == [
        "method  dim  bytes  share  recall@10  at least  nDCG@10",
        "full    384  1,536   100%      1.000     1.000   0.5000",
        "pca      96    384    25%      0.900     0.875   0.2500",
        "cosine; recall over 1,000 rows, measured with 50 held-out rows; "
        "components fitted on 900 other rows"
        "; nDCG over all rows, with components fitted on them",
    ]


def test_unusable_queries_and_judgements_are_refused(tmp_path: Path) -> None:
    c = topics(tmp_path / "c")
    for dims in ([0], [32], [33], [2.5], [True]):
        with pytest.raises(vs.InvalidInputError, match="give whole numbers from 1 to 31"):
            c.dimensions(cast(Any, dims))
    for options, message in (
        ({"queries": ["a"], "qrels": {"q": {"a": 1}}}, "name their queries by id"),
        ({"queries": {"q": "a"}, "qrels": {"other": {"a": 1}}}, "no query has a relevant document"),
        ({"queries": []}, "queries is empty"),
        ({"k": 0}, "k is 0"),
        ({"queries": tmp_path / "none.jsonl"}, "cannot be read"),
    ):
        with pytest.raises(vs.InvalidInputError, match=message):
            c.dimensions([4], **cast(Any, options))
    with vs.create(tmp_path / "small", dim=4) as small:
        small.add(clustered(10, 4))
        with pytest.raises(vs.InvalidInputError, match="10 rows, too few"):
            small.dimensions()
    assert [point.dim for point in c.dimensions(n_queries=5).points] == [32, 16, 16, 8, 8]


# -- a collection of fewer dimensions
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_a_reduced_collection_answers_like_its_projection(metric: str, tmp_path: Path) -> None:
    c = topics(tmp_path / "c", metric=metric)
    c.delete(["cat-0", "sea-1"])
    made = c.reduce(tmp_path / "small", 6)
    embedder = made._model_of(made._snapshot.manifest)
    assert embedder is not None
    table = c.to_arrow(["id", "text"])
    assert (
        made.to_arrow(["id", "text"]).equals(table)
        and made.info().dim == 6
        and find_damage(made.path) == []
    )
    projected = embedder.embed_documents(table["text"].to_pylist())
    np.testing.assert_allclose(made.features(table["id"]), projected, rtol=1e-3, atol=1e-4)
    query = "植物 sea"
    scores = brute_force(projected, embedder.embed_queries([query])[0], metric)
    assert made.search(query, k=5).scores == pytest.approx(
        np.sort(scores)[::-1][:5], rel=1e-3, abs=1e-4
    )
    full = ToyEmbedder(32).embed_queries([query])[0]
    assert (
        made.search(full, k=5).ids == made.search(query, k=5).ids
    )  # a vector of the full dimension is projected too
    assert made.search_batch(np.stack([full, -full]), k=5)[0].ids == made.search(query, k=5).ids
    made.add([{"id": "new", "text": query}])
    made.add([{"id": "given", "text": "x", "vector": full}])
    np.testing.assert_allclose(made.vector("new"), made.vector("given"), rtol=1e-5, atol=1e-6)
    with pytest.raises(
        vs.InvalidInputError, match="7 numbers where the collection has dimension 6"
    ):
        made.add([{"id": "wrong", "text": "x", "vector": np.ones(7)}])
    with pytest.raises(vs.InvalidInputError, match=r"shape \(7,\)"):
        made.search(np.ones(7))
    code = "import sys, vecsearch as vs; print(vs.open(sys.argv[1]).search(sys.argv[2], k=2).ids)"
    ran = subprocess.run(
        [sys.executable, "-c", code, made.path, query], capture_output=True, text=True, check=True
    )
    assert set(eval(ran.stdout)) == {"new", "given"} or metric == "ip"
    assert c.info().dim == 32  # the collection itself is as before


def test_vectors_without_a_model_are_projected(tmp_path: Path) -> None:
    vectors = clustered(300, 16)
    with vs.create(tmp_path / "c", dim=16, metric="l2", dtype="float16") as c:
        c.add(vectors[:200])
        with c.reduce(tmp_path / "small", 4) as made:
            assert made.info().text_column is None and made.info().dtype == "float16"
    with vs.open(tmp_path / "small") as made:
        made.add(vectors[200:])  # of the full dimension
        made.add(np.zeros((1, 4)))  # or of the reduced one
        sample = vectors[:200].astype(np.float16).astype(np.float64)
        axes = np.linalg.svd(sample - sample.mean(axis=0), full_matrices=False)[2][:4]
        low = ((vectors - sample.mean(axis=0)) @ axes.T).astype(np.float32)
        for n in (3, 250):
            scores = brute_force(low, low[n], "l2")
            assert made.search(vectors[n], k=3).ids[0] == n
            assert made.search(vectors[n], k=3).scores == pytest.approx(
                np.sort(scores)[::-1][:3], rel=0.02, abs=0.02
            )
        with pytest.raises(vs.EmbedderError, match="no model here, only a projection"):
            made.search("text")
        with pytest.raises(vs.InvalidInputError, match="no text column"):
            made.reembed("toy:4")
        again = made.reduce(tmp_path / "smaller", 2)
        assert again.search(made.vector(3), k=1).ids == [3] and find_damage(again.path) == []
    ran = CliRunner().invoke(
        app,
        ["search", str(tmp_path / "small"), json.dumps(vectors[3].tolist()), "-k", "1", "--json"],
    )
    assert json.loads(ran.stdout)["hits"][0]["id"] == 3


def test_passages_and_a_trained_model_come_along(tmp_path: Path) -> None:
    pytest.importorskip("chonkie")
    words = WordEmbedder(["plants", "food", "猫", "鼠"], np.eye(4, dtype=np.float32) + 0.1)
    with vs.create(tmp_path / "c", embedder=words, chunker=60, metric="l2") as c:
        c.add(
            [
                {"id": 1, "text": "Plants make food from light. " * 5 + "猫抓老鼠。" * 12},
                {"id": 2, "text": "猫"},
            ]
        )
        c.reduce(tmp_path / "small", 3)
    (tmp_path / "c").rename(tmp_path / "gone")
    write_backup(tmp_path / "small", tmp_path / "copy")
    assert find_damage(tmp_path / "copy") == [] and vs.open(tmp_path / "copy").search(
        "猫", k=1
    ).ids == [2]
    with vs.open(tmp_path / "small") as made, vs.open(tmp_path / "gone") as c:
        names = ["id", "text", "_chunk", "_start", "_end"]
        assert made.to_arrow(names).equals(c.to_arrow(names))
        assert made.search("猫", k=1).ids == [2] and made.get(1) == c.get(1)
        made.add([{"id": 3, "text": "鼠"}])
        assert made.search("鼠", k=1).ids == [3]
        made.reembed("toy:8")
        assert made.info().dim == 8 and made.get(1) == c.get(1)
        made.rollback(2)
        assert made.search("鼠", k=1).ids == [3]
    assert find_damage(tmp_path / "small") == []


def test_wrong_reductions_are_refused(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c", dim=4) as c:
        with pytest.raises(vs.InvalidInputError, match="is empty"):
            c.reduce(tmp_path / "small", 2)
        c.add([{"id": 5, "vector": [0, 0, 0, 1]}, {"id": 6, "vector": [1, 0, 0, 0]}])
        for dim in (0, 4, 5):
            with pytest.raises(vs.InvalidInputError, match="give whole numbers from 1 to 3"):
                c.reduce(tmp_path / "small", dim)
        with pytest.raises(vs.InvalidInputError, match="one of pca, truncate"):
            c.reduce(tmp_path / "small", 2, method=cast(Any, "umap"))
        with pytest.raises(
            vs.InvalidInputError, match="the vector of 5 has length zero in 2 dimensions"
        ):
            c.reduce(tmp_path / "small", 2, method="truncate")
        with pytest.raises(vs.CollectionExistsError):
            c.reduce(tmp_path / "c", 2)
        with failing(tmp_path, 12, KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            c.reduce(tmp_path / "small", 2)
        assert [path.name for path in tmp_path.iterdir()] == ["c"]
        ran = CliRunner().invoke(
            app,
            ["reduce", str(tmp_path / "c"), str(tmp_path / "small"), "2"],
            env={"COLUMNS": "200"},
        )
        assert ran.exit_code == 0 and "2 documents in 2 dimensions" in ran.stdout
