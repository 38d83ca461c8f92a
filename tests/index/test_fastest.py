"""The recipe `fastest`: a graph with codes of neighbors, through the user's door."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from support.data import brute_force, clustered
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app
from vecsearch.errors import CorruptedError, RecipeError
from vecsearch.index import auto, calibrate, updating
from vecsearch.index.attached import attach
from vecsearch.index.auto import coded_components, estimated_bytes
from vecsearch.index.faiss import FaissIndex, graph, read_index, train, train_index
from vecsearch.index.faiss.near import near_of
from vecsearch.index.faiss.writing import TRAILER
from vecsearch.index.kernels.loader import LOADER, compiled_module
from vecsearch.index.kernels.neighbor_codes import NUMPY
from vecsearch.index.policy import Rules
from vecsearch.index.recipe import IndexRecipe, load_recipe, parse_recipe
from vecsearch.storage.layout import CALIBRATION_KEY

DIM, ROWS, MORE = 128, 2100, 200
JOINING = Rules(first=2000, least=60, most=60, beside_tails=60, without_codes=60, join=1 / 64)
TAILS = replace(JOINING, join=1.0)
FloatRows = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def vectors() -> FloatRows:
    return clustered(ROWS + MORE, DIM, seed=8, clusters=60)


@pytest.fixture(scope="module")
def queries(vectors: FloatRows) -> FloatRows:
    return vectors[-80:] * 0.7 + clustered(80, DIM, seed=9, clusters=60) * 0.3


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch, small_exact: None) -> None:
    """Limits for a few thousand rows, measured for fewer k."""
    monkeypatch.setattr(calibrate, "KS", (10, 20, 100))
    monkeypatch.setattr(calibrate, "AIMS", (0.95, 0.98, 0.99))
    monkeypatch.setattr(updating, "RULES", JOINING)
    monkeypatch.setattr(auto, "EXACT_BELOW", 1000)


def table(vectors: FloatRows, ids: Rows) -> pa.Table:
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors[ids].ravel()), vectors.shape[1])
    return pa.table({"id": ids, "vector": flat, "third": ids % 3})


def made(root: Path, vectors: FloatRows, metric: str = "cosine") -> vs.Collection:
    c = vs.create(root, dim=DIM, metric=metric)
    c.add(table(vectors, np.arange(ROWS)), auto_index=False)
    return c


def require_recall(
    c: vs.Collection,
    vectors: FloatRows,
    live: Rows,
    queries: FloatRows,
    target: float,
    where: str | None = None,
) -> int:
    """The target lies inside or below the 99% interval of the mean, against float64.

    Returns how many queries the index answered.
    """
    values, used = [], 0
    for query in queries:
        scores = brute_force(vectors[live], query, c.info().metric)
        hits = c.search(query, k=10, recall=target, where=where)
        used += hits.plan.method == "index"
        kth = np.sort(scores)[-10]
        of = dict(zip(live.tolist(), scores.tolist(), strict=True))
        values.append(np.mean([of[name] >= kth - 1e-6 for name in hits.ids]))
    assert np.mean(values) + 2.6 * np.std(values) / len(values) ** 0.5 >= target
    return used


def coded(c: vs.Collection, number: int = 0) -> FaissIndex:
    """An index as a search has it, whose codes are those of its links."""
    index = attach(c._snapshot).parts[number].index
    assert index is not None and index.recipe.neighbor_codes
    assert isinstance(index._near.base, np.memmap)  # mapped, not read
    assert np.array_equal(index._near, near_of(index.parts[1], maker=NUMPY))
    return index


@pytest.mark.parametrize("metric", ["cosine", pytest.param("l2", marks=pytest.mark.slow)])
def test_recall_through_a_life_of_changes(
    root: Path, vectors: FloatRows, queries: FloatRows, metric: str, few_rows: None, tmp_path: Path
) -> None:
    c = made(root, vectors, metric)
    built = c.build_index(recipe="fastest")
    assert (built.recipe, built.rows) == ("fastest", ROWS)
    assert built.bytes - 6000 <= built.memory_bytes <= built.bytes
    assert coded(c).recipe.reduced == 64
    live = np.arange(ROWS)
    for target in (0.95, 0.98, 0.99):
        assert require_recall(c, vectors, live, queries, target) > 60
    require_recall(c, vectors, live[live % 3 == 1], queries, 0.95, "third = 1")

    assert c.add(table(vectors, np.arange(ROWS, ROWS + MORE))).indexed_rows  # they join the graph
    live = np.arange(ROWS + MORE)
    assert coded(c).n == len(live)
    require_recall(c, vectors, live, queries, 0.95)
    c.delete(live[live % 7 == 0].tolist())
    live = live[live % 7 > 0]
    require_recall(c, vectors, live, queries, 0.95)
    c.compact()
    require_recall(c, vectors, live, queries, 0.98)
    found = [c.search(query, k=10).ids for query in queries]
    assert found == [hits.ids for hits in c.search_batch(queries, k=10)]
    with vs.open(root) as again:
        assert [again.search(query, k=10).ids for query in queries] == found
        assert again.check() == []
    c.backup(tmp_path / "copy.vs")
    with vs.open(tmp_path / "copy.vs") as copy:
        assert coded(copy).n == ROWS + MORE
        assert [copy.search(query, k=10).ids for query in queries] == found
    c.compact(purge=True)  # the codes of deleted rows, and of neighbors from them, are gone
    assert c.check() == [] and not list(root.glob("indexes/*.faiss"))


def test_tails_have_codes_of_neighbors_too(
    root: Path,
    vectors: FloatRows,
    queries: FloatRows,
    few_rows: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(updating, "RULES", TAILS)
    c = made(root, vectors)
    c.build_index(recipe="fastest")
    c.add(table(vectors, np.arange(ROWS, ROWS + MORE)))
    assert [coded(c, number).n for number in range(2)] == [ROWS, MORE]
    require_recall(c, vectors, np.arange(ROWS + MORE), queries, 0.95)


def test_files_follow_from_the_commits_and_damage_is_repaired(
    tmp_path: Path, vectors: FloatRows, queries: FloatRows, few_rows: None
) -> None:
    names, files = ["one.vs", "two.vs"], []
    for name in names:
        made(tmp_path / name, vectors).close()
    with vs.open(tmp_path / "one.vs") as c:
        c.build_index(recipe="fastest", threads=1)
    command = ["build", str(tmp_path / "two.vs"), "--recipe", "fastest"]
    refused = CliRunner().invoke(app, [*command, "--memory", "1MB"])
    assert refused.exit_code != 0 and "more than the 1,000,000 allowed" in refused.output
    built = CliRunner().invoke(app, command)
    assert built.exit_code == 0 and "fastest" in built.output
    for name in names:
        with vs.open(tmp_path / name) as c:
            files.append(tmp_path / name / coded_file(c))
    assert files[0].read_bytes() == files[1].read_bytes()
    content = bytearray(files[0].read_bytes())
    content[metadata_of(files[0])["near"] + 5000] ^= 1
    files[0].write_bytes(content)
    root = tmp_path / "one.vs"
    exact = brute_force(vectors[:ROWS], queries[0], "cosine")
    with vs.open(root) as c, pytest.warns(RuntimeWarning, match="searches are exact"):
        assert [damage.file for damage in c.check()] == [f"indexes/{files[0].name}"]
        assert set(c.search(queries[0], 10).ids) == set(np.argsort(-exact)[:10].tolist())
    done = vs.repair(root)
    assert all(done.version not in damage.versions for damage in done.left)
    with vs.open(root) as c:
        assert coded(c).n == ROWS


def test_without_numba_the_codes_are_left_out(
    root: Path,
    vectors: FloatRows,
    queries: FloatRows,
    few_rows: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    c = made(root, vectors)
    monkeypatch.setattr(LOADER, "available", lambda: False)
    with pytest.warns(RuntimeWarning, match="numba is not available: the index is built without"):
        built = c.build_index(recipe="fastest")
    assert built.recipe == "fastest" and built.bytes < ROWS * (64 + 128 + 40) + 60_000
    require_recall(c, vectors, np.arange(ROWS), queries[:40], 0.95)
    monkeypatch.undo()
    assert "neighbor_codes" not in c.info().indexes[0].recipe


def coded_file(c: vs.Collection) -> str:
    entry = attach(c._snapshot).entry
    assert entry is not None
    return entry.files[0].name


def metadata_of(path: Path) -> dict[str, int]:
    """What the end of an index file says, read by hand."""
    content = path.read_bytes()
    assert content[-8:] == TRAILER
    length = int.from_bytes(content[-16:-8], "little")
    arrays = np.load(io.BytesIO(content[-16 - length : -16]))
    found: dict[str, int] = json.loads(arrays[CALIBRATION_KEY].tobytes())
    return found


@pytest.fixture(scope="module")
def index() -> FaissIndex:
    rows = clustered(1500, 128, seed=2)
    recipe = replace(load_recipe("fastest"), reduced=64)
    return train_index(recipe, "l2", 128, lambda: iter([rows]), len(rows), rows)


def test_codes_stand_behind_the_part_of_faiss(index: FaissIndex, tmp_path: Path) -> None:
    """At a whole line of the cache, up to what is behind them; a part of an index has none."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    index.write(whole)
    index.write_part(part)
    near = near_of(index.parts[1], maker=NUMPY)
    assert near.shape == (1500, 64 * 4 + 256)
    start = metadata_of(whole)["near"]
    assert start % 64 == 0 and start - part.stat().st_size < 0
    assert whole.read_bytes()[start : start + near.size] == near.tobytes()
    assert read_index(whole)._near.tobytes() == near.tobytes()
    assert "near" not in metadata_of(part)
    again = read_index(part, mmap=False)
    again.write(part)
    assert part.read_bytes() == whole.read_bytes()


def test_an_interrupted_build_resumes_to_the_same_file(
    index: FaissIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a part that is written as a checkpoint, without codes of neighbors."""
    rows = clustered(1500, 128, seed=2)
    for module in (graph, train):
        monkeypatch.setattr(module, "BLOCK", 400)
    parts: list[int] = []

    def checkpoint(part: FaissIndex) -> None:
        if not parts:
            part.write_part(tmp_path / "part")
        parts.append(part.n)

    data = ("l2", 128, lambda: iter([rows]), len(rows), rows)
    whole = train_index(index.recipe, *data, checkpoint=checkpoint)
    assert parts[0] < 1500 and "near" not in metadata_of(tmp_path / "part")
    resumed = train_index(index.recipe, *data, start=read_index(tmp_path / "part", mmap=False))
    whole.write(tmp_path / "whole")
    resumed.write(tmp_path / "resumed")
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("moved", [64, -64, 1, -(10**9), 10**9])
def test_codes_at_a_wrong_place_are_refused(index: FaissIndex, moved: int, tmp_path: Path) -> None:
    path, near = tmp_path / "forged", near_of(index.parts[1], maker=NUMPY)
    index.write_part(tmp_path / "part")
    size = (tmp_path / "part").stat().st_size
    length = int.from_bytes((tmp_path / "part").read_bytes()[-16:-8], "little")
    body = (tmp_path / "part").read_bytes()[: size - 16 - length]
    body += bytes(-len(body) % 64)
    path.write_bytes(body + near.tobytes())
    index._write_trailer(path, near=len(body))
    assert read_index(path).n == 1500
    path.write_bytes(body + near.tobytes())
    index._write_trailer(path, near=len(body) + moved)
    with pytest.raises(CorruptedError, match="codes of neighbors have another size"):
        read_index(path)


def test_an_index_without_its_codes_or_links_for_them_is_refused(
    index: FaissIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.write_part(tmp_path / "part")
    with pytest.raises(CorruptedError, match="near"):
        read_index(tmp_path / "part")
    rows = clustered(300, 40, seed=3)
    recipe = IndexRecipe("graph", "hnsw", code="sq8", M=24, ef_construction=20)
    other = train_index(recipe, "l2", 40, lambda: iter([rows]), 300, rows)
    values = recipe.to_mapping() | {"M": 16, "neighbor_codes": True}
    monkeypatch.setattr(IndexRecipe, "to_mapping", lambda self: values)
    other.write(tmp_path / "other")
    with pytest.raises(CorruptedError, match="cannot hold codes of neighbors"):
        read_index(tmp_path / "other")


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
def test_compiled_code_makes_the_same_codes(index: FaissIndex) -> None:
    maker = compiled_module("numba_neighbor_maker").MAKER
    expected = near_of(index.parts[1], maker=NUMPY)
    for threads in (1, 3):
        assert np.array_equal(near_of(index.parts[1], threads, maker), expected)


@pytest.mark.parametrize("dim", [128, 200, 256, 300, 384, 512, 768, 1024, 1536])
def test_an_index_is_no_larger_than_float32_in_a_graph(dim: int) -> None:
    """Rows of 4 bytes a component with 64 links of 4 bytes, from some ten thousand rows on."""
    recipe = replace(load_recipe("fastest"), reduced=coded_components(dim, 16))
    assert recipe.reduced is not None and recipe.reduced % 32 == 0 and 64 <= recipe.reduced < dim
    assert estimated_bytes(recipe, 50_000, dim) <= 50_000 * (4 * dim + 256)
    more = replace(recipe, reduced=recipe.reduced + 32)
    assert recipe.reduced == 384 or estimated_bytes(more, 50_000, dim) > 50_000 * (4 * dim + 224)
    assert dim != 384 or recipe.reduced == 256


@pytest.mark.parametrize(
    ("dim", "options", "message"),
    [
        (100, {}, "make the index larger than float32 vectors .* at 100 dimensions"),
        (128, {"metric": "ip"}, "not the metric 'ip'"),
        (128, {"dtype": "float16"}, "not vectors of float16"),
    ],
)
def test_what_the_recipe_cannot_be_built_of_is_named(
    root: Path, dim: int, options: dict[str, str], message: str
) -> None:
    c = vs.create(root, dim=dim, **options)
    c.add(table(clustered(50, dim), np.arange(50)))
    with pytest.raises(RecipeError, match=f"recipe 'fastest' .*{message}"):
        c.build_index(recipe="fastest")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("code", "fp16", "'neighbor_codes' needs the code 'sq8', not 'fp16'"),
        ("M", 24, "'neighbor_codes' needs 'M' to be a multiple of 16, not 24"),
        ("reduced", 1056, "at most 1,024 components: 'reduced' is 1,056"),
        ("neighbor_codes", "yes", "'neighbor_codes' is 'yes'; it must be true or false"),
        ("kind", "ivf", "does not apply to kind 'ivf'"),
    ],
)
def test_a_wrong_key_is_named(key: str, value: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        replace(load_recipe("fastest"), **{key: value})


def test_the_key_is_written_only_where_it_is_set() -> None:
    """Older versions would take a key that they do not know for damage."""
    recipe = load_recipe("fastest")
    assert parse_recipe(recipe.to_toml()) == recipe
    assert "neighbor_codes = true" in recipe.to_toml()
    assert recipe.to_mapping()["neighbor_codes"] is True
    plain = load_recipe("low-latency")
    assert "neighbor_codes" not in plain.to_mapping() and parse_recipe(plain.to_toml()) == plain
