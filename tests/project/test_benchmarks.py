"""The benchmarks' own arithmetic: data sets, cases, grid, curves, reports; and one small run from
data to report.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import ann, cases, curves, datasets, grid, measure, quality, report  # noqa: E402
from benchmarks.peers import ADAPTERS, Task  # noqa: E402
from benchmarks.worker import Worker, WorkerError, write_task  # noqa: E402


def vectors(n: int, dim: int = 8, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


# -- data sets


def test_queries_held_out_of_an_npy_file_leave_the_base(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", vectors(100).astype(np.float16))
    data = datasets.load(str(tmp_path / "set.npy"), queries=10)
    assert data.base.shape == (90, 8)
    assert data.base.dtype == data.queries.dtype == np.float32
    assert (data.metric, data.held_out, len(data.queries)) == ("cosine", True, 10)
    np.testing.assert_allclose(np.linalg.norm(data.base, axis=1), 1, rtol=1e-6)
    everything = {row.tobytes() for row in np.concatenate([data.base, data.queries])}
    assert len(everything) == 100


def test_a_limit_draws_rows_and_keeps_them_apart_from_the_queries(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", vectors(100))
    data = datasets.load(str(tmp_path / "set.npy"), queries=10, limit=30, metric="ip")
    assert data.base.shape == (30, 8)
    assert not {row.tobytes() for row in data.base} & {row.tobytes() for row in data.queries}
    again = datasets.load(str(tmp_path / "set.npy"), queries=10, limit=30, metric="ip")
    np.testing.assert_array_equal(data.base, again.base)


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".fvecs", "<f4"), (".ivecs", "<i4"), (".bvecs", "u1")]
)
def test_vecs_files(tmp_path: Path, suffix: str, kind: str) -> None:
    values = np.random.default_rng(1).integers(0, 200, (7, 5)).astype(kind)
    content = b"".join(np.int32(5).tobytes() + row.tobytes() for row in values)
    (tmp_path / f"x_base{suffix}").write_bytes(content)
    read = datasets.read_vecs(tmp_path / f"x_base{suffix}")
    assert read.dtype == np.dtype(kind)
    np.testing.assert_array_equal(read, values)


def test_vecs_queries_stand_beside_the_base(tmp_path: Path) -> None:
    for name, count in (("x_base.fvecs", 20), ("x_query.fvecs", 4)):
        (tmp_path / name).write_bytes(
            b"".join(np.int32(8).tobytes() + row.tobytes() for row in vectors(count))
        )
    data = datasets.load(str(tmp_path / "x_base.fvecs"))
    assert (len(data.base), len(data.queries), data.metric, data.held_out) == (20, 4, "l2", False)


@pytest.mark.parametrize(
    "content", [b"", b"\x05\0\0\0\1", b"\2\0\0\0" + bytes(8) + b"\3\0\0\0" + bytes(8)]
)
def test_damaged_vecs_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.fvecs").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.fvecs"):
        datasets.read_vecs(tmp_path / "x.fvecs")


def test_hdf5_of_ann_benchmarks(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["train"], file["test"] = vectors(30), vectors(5, seed=1)
        file.attrs["distance"] = "euclidean"
    data = datasets.load(str(tmp_path / "x.hdf5"))
    assert (len(data.base), len(data.queries), data.metric, data.held_out) == (30, 5, "l2", False)
    np.testing.assert_array_equal(data.queries, vectors(5, seed=1))
    with h5py.File(tmp_path / "x.hdf5", "a") as file:
        file.attrs["distance"] = "jaccard"
    with pytest.raises(ValueError, match="jaccard"):
        datasets.load(str(tmp_path / "x.hdf5"))


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = vectors(12)
    pq.write_table(
        pa.table({"id": range(12), "emb": [row.tolist() for row in values]}), tmp_path / "x.parquet"
    )
    data = datasets.load(str(tmp_path / "x.parquet"), column="emb", metric="ip", queries=3)
    assert data.base.shape == (9, 8)
    with pytest.raises(ValueError, match="no column 'vector'; it has id, emb"):
        datasets.load(str(tmp_path / "x.parquet"))


def test_a_beir_folder_uses_its_own_questions(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(
        '{"_id": "a", "title": "Über", "text": "水"}\n{"_id": "b", "text": "fire"}\n', "utf-8"
    )
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "what burns"}\n', "utf-8")
    assert datasets.read_texts(folder / "corpus.jsonl") == {"a": "Über 水", "b": "fire"}
    for part, count in (("corpus", 2), ("queries", 1)):  # as if embedded before
        np.save(tmp_path / f"tiny.some_model.{part}.npy", vectors(count))
    data = datasets.load(str(folder), model="some/model", cache=tmp_path)
    assert (len(data.base), len(data.queries), data.held_out) == (2, 1, False)


def test_bad_vectors_are_named(tmp_path: Path) -> None:
    values = vectors(10)
    values[:, 3] = 0
    values[4] = 0
    np.save(tmp_path / "zero.npy", values)
    with pytest.raises(ValueError, match="is zero"):
        datasets.load(str(tmp_path / "zero.npy"), queries=2)
    values[4] = np.nan
    np.save(tmp_path / "nan.npy", values)
    with pytest.raises(ValueError, match="not finite"):
        datasets.load(str(tmp_path / "nan.npy"), queries=2, metric="l2")
    with pytest.raises(FileNotFoundError):
        datasets.load(str(tmp_path / "none.npy"))
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(ValueError, match="not a kind of file"):
        datasets.load(str(tmp_path / "x.txt"))


def test_judgements_of_questions_without_a_relevant_document_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n2\ta\t0\n", "utf-8"
    )
    assert quality.read_qrels(tmp_path / "test.tsv") == {"1": {"a": 2.0, "b": 0.0}}


# -- cases


def make_data(n: int = 4000, metric: str = "cosine") -> datasets.Dataset:
    everything = vectors(n + 40, 16)
    if metric == "cosine":
        everything /= np.linalg.norm(everything, axis=1, keepdims=True)
    return datasets.Dataset("made", everything[:n], everything[n:], metric, True)


def test_filters_keep_the_shares_they_say() -> None:
    data = make_data()
    columns, centroids = cases.make_columns(data)
    assert [int(columns[f"f{i}"].sum()) for i in range(4)] == [2000, 400, 40, 4]
    assert set(columns["cluster"]) <= set(range(40))
    nearest = ((data.base[:50, None] - centroids[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (columns["cluster"][:50] == nearest).all()


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("name", cases.CASES)
def test_cases_against_brute_force(name: str, metric: str) -> None:
    data = make_data(1500, metric)
    columns, centroids = cases.make_columns(data)
    case = cases.make_case(name, data, columns, centroids, 10, 7)
    assert len(case.wheres) == 7
    for i, where in enumerate(case.wheres):
        query = data.queries[i].astype(np.float64)
        scores = -((data.base - query) ** 2).sum(axis=1) if metric == "l2" else data.base @ query
        kept = (
            np.arange(len(data.base))
            if where is None
            else np.flatnonzero(columns[where[0]] == where[1])
        )
        expected = kept[np.argsort(-scores[kept])][:10]
        assert case.matching[i] == len(kept)
        assert case.rows[i, : len(expected)].tolist() == expected.tolist()
        assert (case.rows[i, len(expected) :] == -1).all()
        np.testing.assert_allclose(
            cases.true_scores(data, case.rows)[i, : len(expected)], scores[expected], rtol=1e-5
        )


def test_correlated_filters_are_the_nearest_and_the_farthest_cluster() -> None:
    data = make_data()
    columns, centroids = cases.make_columns(data)
    near = cases.make_case(cases.CORRELATED, data, columns, centroids, 10, 20)
    far = cases.make_case(cases.ANTI_CORRELATED, data, columns, centroids, 10, 20)
    best_near = cases.true_scores(data, near.rows)[:, 0]
    best_far = cases.true_scores(data, far.rows)[:, 0]
    assert (best_near > best_far).all()


def test_hits_outside_the_filter_do_not_count() -> None:
    data = make_data(1500)
    columns, centroids = cases.make_columns(data)
    case = cases.make_case("10%", data, columns, centroids, 10, 3)
    recall, broken = cases.judge(data, case, columns, case.rows.tolist(), 10)
    assert (recall.tolist(), broken) == ([1.0, 1.0, 1.0], 0)
    outside = int(np.flatnonzero(columns["f1"] == 0)[0])
    found = [[outside, *line[1:]] for line in case.rows.tolist()]
    recall, broken = cases.judge(data, case, columns, found, 10)
    assert (recall.tolist(), broken) == (pytest.approx([0.9, 0.9, 0.9]), 3)
    impossible = [[len(data.base), -7, 2**46, *found[0][3:]], *found[1:]]
    assert cases.judge(data, case, columns, impossible, 10)[0][0] <= 0.7
    recall, _ = cases.judge(data, case, columns, [[], *found[1:]], 10)
    assert recall[0] == 0.0


# -- grid and curves


def test_the_declared_grid_covers_every_adapter() -> None:
    variants = grid.read()
    assert {variant.peer for variant in variants} == set(ADAPTERS)
    assert len({variant.name for variant in variants}) == len(variants)
    assert all(variant.query and variant.filtered for variant in variants)
    quick = grid.read(quick=True)
    assert len(quick) == len(ADAPTERS)
    assert all(len(variant.query) <= 3 for variant in quick)


def test_the_grid_is_every_combination() -> None:
    assert grid.expand({"a": [1, 2], "b": [3, 4]}) == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
    ]
    assert grid.expand({}) == [{}]
    assert grid.for_k([{"ef": 10}, {"ef": 100}, {"leaves": 5}], 100) == [{"ef": 100}, {"leaves": 5}]


def test_an_unknown_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'nobody'"):
        grid.read(only=["nobody"])
    (tmp_path / "grid.toml").write_text("[hnswlib]\nbuild = {}\nquery = {}\n")
    with pytest.raises(ValueError, match="usearch"):
        grid.read(tmp_path / "grid.toml", only=["usearch"])


def test_the_frontier_drops_what_is_beaten() -> None:
    points = [(0.9, 100.0), (0.95, 50.0), (0.94, 40.0), (0.95, 60.0), (0.5, 90.0)]
    assert curves.frontier(points) == [(0.9, 100.0), (0.95, 60.0)]
    assert curves.frontier([]) == []


def test_reading_a_curve() -> None:
    points = [(0.8, 1000.0), (0.9, 100.0), (1.0, 1.0)]
    assert curves.qps_at(points, 0.9) == pytest.approx(100.0)
    assert curves.qps_at(points, 0.85) == pytest.approx(math.sqrt(1000 * 100))  # halfway in log QPS
    assert curves.qps_at(points, 0.925) == pytest.approx(100 * (1 / 100) ** 0.25)
    assert curves.qps_at(points, 0.5) == 1000.0  # the cheapest setting has it already
    assert curves.qps_at(points[:2], 0.95) is None
    assert curves.qps_at([], 0.5) is None


# -- report


def point(recall: float, qps: float, **more: Any) -> dict[str, Any]:
    latency = {"p50_ms": 1e3 / qps, "p95_ms": 2e3 / qps, "p99_ms": 3e3 / qps, "outside_filter": 0}
    details = {
        "threads": "one",
        "case": cases.UNFILTERED,
        "k": 10,
        "query": {"ef": 1},
        "rounds_qps": [qps],
    }
    return (
        details
        | latency
        | {"recall": recall, "recall_low": recall, "recall_high": recall, "qps": qps}
        | more
    )


def results(entries: list[dict[str, Any]]) -> dict[str, Any]:
    plan = {"ks": [10], "cases": [cases.UNFILTERED, "1%"], "rounds": 3, "batch": False}
    data = {
        "name": "made",
        "rows": 1000,
        "dim": 8,
        "metric": "cosine",
        "queries": 100,
        "held_out": True,
    }
    hardware = {
        "cpu": "a | b",
        "cores": 2,
        "vector_instructions": "avx2",
        "memory_gb": 8,
        "system": "x",
        "python": "3",
    }
    details = {
        "name": "made",
        "date": "2030-01-02",
        "minutes": 1,
        "hardware": hardware,
        "versions": {"numpy": "2"},
        "quick": False,
    }
    defaults: dict[str, Any] = {"version": "1", "error": None, "points": []}
    return details | {
        "plan": plan,
        "data": data,
        "entries": [defaults | entry for entry in entries],
    }


ENTRIES: list[dict[str, Any]] = [
    {
        "peer": "vecsearch",
        "build": {"recall": 0.95},
        "points": [
            point(0.94, 4000.0, query={"recall": 0.9}),
            point(0.96, 2000.0, query={"recall": 0.95}),
            point(0.97, 500.0, case="1%", query={"recall": 0.95}),
        ],
    },
    {
        "peer": "hnswlib",
        "build": {"M": 16},
        "points": [point(0.94, 2000.0), point(0.96, 500.0), point(0.90, 900.0, case="1%")],
    },
    {
        "peer": "hnswlib",
        "build": {"M": 32},
        "points": [point(0.90, 1500.0), point(0.99, 400.0), point(0.96, 100.0, case="1%")],
    },
    {"peer": "faiss-flat", "build": {}, "points": [point(1.0, 100.0)]},
    {"peer": "usearch", "build": {}, "error": "build: it | broke"},
]


def test_a_library_is_shown_at_its_fastest_build_for_the_recall() -> None:
    best = report.best_at(results(ENTRIES), "one", 10, 0.95)
    assert {peer: build for peer, (_, build) in best.items()} == {
        "vecsearch": "recall=0.95",
        "hnswlib": "M=16",
        "faiss-flat": "—",
    }
    assert best["vecsearch"][0] == pytest.approx(math.sqrt(4000 * 2000))
    assert best["hnswlib"][0] == pytest.approx(math.sqrt(2000 * 500))
    qps, build = report.best_at(results(ENTRIES), "one", 10, 0.99)["hnswlib"]
    assert build == "M=32"
    assert qps == pytest.approx(400.0)


def test_the_summary_says_who_is_faster_and_who_failed() -> None:
    page = report.summary(results(ENTRIES))
    assert (
        f"| vecsearch ÷ best peer | 2.00× (hnswlib) | {math.sqrt(8):.2f}× (hnswlib) | — | — |"
        in page
    )
    rival = 1500 * (400 / 1500) ** (
        2 / 3
    )  # hnswlib M=32 at recall .96: two thirds of the way from .90 to .99
    row = (
        f"| 0.9600 (0.9600–0.9600) | 2,000 | 0.500 / 1.000 / 1.500 | hnswlib {rival:,.0f} | "
        f"{2000 / rival:.2f}× |"
    )
    assert f"| recall=0.95 | 0.95 {row}" in page
    assert "| usearch | — | build: it / broke |" in page
    filtered = page[page.index("## Filter: 1%") :]
    assert filtered.index("**vecsearch**") < filtered.index("hnswlib")
    assert "0.9600" in filtered  # of the two builds of hnswlib, the slower one keeps the recall
    assert "below the recall" not in filtered


def test_the_recipe_fastest_is_no_peer_and_has_ratios_of_its_own() -> None:
    fastest = {
        "peer": "vecsearch-fastest",
        "build": {"recall": 0.95},
        "points": [
            point(0.90, 6000.0, query={"recall": 0.9}),
            point(0.99, 800.0, query={"recall": 0.99}),
        ],
    }
    page = report.summary(results([*ENTRIES, fastest]))
    assert (
        f"| vecsearch ÷ best peer | 2.00× (hnswlib) | {math.sqrt(8):.2f}× (hnswlib) | — | — |"
        in page
    )
    assert "| vecsearch-fastest ÷ best peer | 3.00× (hnswlib) |" in page
    row = page[page.index("| vecsearch-fastest ÷ best peer") :].partition("\n")[0]
    assert row.endswith("| 2.00× (hnswlib) |  |")
    assert "vecsearch-fastest)" not in page
    assert "## The promise of vecsearch, k=10" in page
    assert "## The promise of vecsearch-fastest, k=10" in page


def test_a_library_below_the_recall_says_so() -> None:
    entries = [
        {
            "peer": "hnswlib",
            "build": {"M": 16},
            "points": [point(0.5, 900.0, case="1%"), point(0.7, 10.0, case="1%")],
        }
    ]
    filtered = report.summary(results(entries)).split("## Filter: 1%")[1]
    assert "0.7000" in filtered
    assert "below the recall asked for" in filtered


def test_writing_a_report(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = report.write(results(ENTRIES), tmp_path)
    assert [path.name for path in paths] == ["made.json", "made.md", "made.png"]
    assert json.loads(paths[0].read_text())["entries"][1]["points"][0]["qps"] == 2000.0
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_floats_are_rounded_at_any_depth() -> None:
    assert measure.rounded({"a": [1 / 3, (2, "x")]}) == {"a": [0.333333, [2, "x"]]}


# -- measuring


def test_memory_of_a_process_grows_with_what_it_holds() -> None:
    before = measure.memory()
    held = np.ones(8 << 20, dtype=np.float64)
    after = measure.memory()
    assert after["anonymous"] - before["anonymous"] == pytest.approx(
        held.nbytes / measure.MB, rel=0.2
    )
    assert after["peak"] >= after["resident"] > 0


def test_a_library_that_is_not_there_is_reported_and_the_run_goes_on(tmp_path: Path) -> None:
    write_task(tmp_path / "task", Task(vectors(10), "cosine"), vectors(2))
    with pytest.raises(WorkerError, match="KeyError"):
        Worker("nobody", tmp_path / "task", tmp_path / "index", threads=1, log=tmp_path / "log")


def test_a_process_that_dies_is_an_error_with_its_exit_code(tmp_path: Path) -> None:
    write_task(tmp_path / "task", Task(vectors(10), "cosine"), vectors(2))
    worker = Worker(
        "faiss-flat", tmp_path / "task", tmp_path / "index", threads=1, log=tmp_path / "log"
    )
    worker._process.kill()
    with pytest.raises(WorkerError, match="exit code -9"):
        worker.call("open", 10.0)
    worker.stop()


def test_one_run_from_data_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bare FAISS only: exact search must come out with recall 1 under every filter, and the graph
    with less or the same.
    """
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "made.npy", vectors(1200, 16))
    arguments = [
        str(tmp_path / "made.npy"),
        "--quick",
        "--only",
        "faiss-flat",
        "faiss-hnsw",
        "--k",
        "10",
        "--queries",
        "30",
    ]
    arguments += [
        "--rounds",
        "1",
        "--seconds",
        "0.01",
        "--cases",
        cases.UNFILTERED,
        "1%",
        cases.ANTI_CORRELATED,
    ]
    ann.main([*arguments, "--results", str(tmp_path), "--work", str(tmp_path / "work")])
    assert capsys.readouterr().out.startswith("# made")
    written = json.loads((tmp_path / "made.json").read_text())
    assert str(tmp_path) not in (tmp_path / "made.json").read_text()
    assert [entry["error"] for entry in written["entries"]] == [None, None]
    by_peer = {entry["peer"]: entry for entry in written["entries"]}
    flat = by_peer["faiss-flat"]["points"]
    assert {(p["threads"], p["case"]) for p in flat} == {
        ("one", cases.UNFILTERED),
        ("one", "1%"),
        ("one", cases.ANTI_CORRELATED),
        ("all", cases.UNFILTERED),
    }
    assert all(p["recall"] == 1.0 and p["outside_filter"] == 0 and p["qps"] > 0 for p in flat)
    graph = [
        p
        for p in by_peer["faiss-hnsw"]["points"]
        if p["threads"] == "one" and p["case"] == cases.UNFILTERED
    ]
    assert [p["query"]["ef"] for p in graph] == [10, 96, 512]
    assert [p["recall"] for p in graph] == sorted(p["recall"] for p in graph)
    assert graph[-1]["recall"] > 0.95
    assert by_peer["faiss-flat"]["cold_start"]["memory_after_queries_mb"]["resident"] > 0
    assert by_peer["faiss-flat"]["build_facts"]["index_mb"] == pytest.approx(
        1170 * 16 * 4 / measure.MB, rel=0.01
    )
