"""Reembedding equals a new collection with the model, whatever others do meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.data import clustered
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.embedders.words import WordEmbedder
from vecsearch.index.build import build_index
from vecsearch.maintenance.check import find_damage

# Several windows and segments out of few rows, and an index of so few.
SMALL = vs.Limits(window_rows=8, segment_rows=16, smallest_index_rows=20)


class Watched(ToyEmbedder):
    """A toy that tells what it embeds, and lets something happen before the n-th call."""

    def __init__(self, dim: int, before: Callable[[int], object] = lambda call: None) -> None:
        super().__init__(dim)
        self.before = before
        self.calls: list[list[str]] = []

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        self.before(len(self.calls))
        self.calls.append(list(documents))
        return super().embed_documents(documents)

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call]


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"文-{n}", "text": f"number {n} 号文件", "n": n} for n in range(first, first + count)
    ]


def content(c: vs.Collection) -> dict[Any, Any]:
    """Everything but the vectors, which are compared with what the model says."""
    table = c.to_arrow([name for name in c.info().columns if name not in ("vector", "_norm")])
    return {(row["id"], row.get("_chunk", 0)): row for row in table.to_pylist()}


def assert_under(c: vs.Collection, model: Any) -> None:
    """Every row has the vector that the model makes of its text."""
    table = c.to_arrow(["text", "vector"])
    made = model.embed_documents(table["text"].to_pylist())
    np.testing.assert_allclose(np.stack(table["vector"].to_numpy()), made, rtol=1e-5, atol=1e-6)
    assert find_damage(c.path) == []


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("chunker", [None, 60])
def test_reembed_equals_a_new_collection_with_the_model(
    metric: str, chunker: int | None, tmp_path: Path
) -> None:
    if chunker:
        pytest.importorskip("chonkie")
    long = [{**row, "text": f"{row['text']}. " * (1 + row["n"] % 5)} for row in rows(0, 40)]
    with vs.create(
        tmp_path / "a", embedder="toy:8", metric=metric, chunker=chunker, limits=SMALL
    ) as c:
        c.add(long)
        c.add(rows(100, 3))
        c.delete(["文-3", "文-101"])
        c.update("n = 7", {"n": 70})
        before, ids = content(c), c.to_arrow(["id"])
        done = c.reembed("toy:24")
        assert (done.documents, done.version) == (len(c), c.info().version)
        texts = c.to_arrow(["text"])["text"].to_pylist()
        assert (
            len(set(texts)) <= done.embedded <= len(texts)
        )  # a text that comes again in another window is embedded again
        assert content(c) == before and c.to_arrow(["id"]).equals(ids)
        info = c.info()
        assert (info.dim, info.embedder, info.deleted_rows) == (24, "toy:24", 0)
        assert c.versions()[-1].operation == "reembed"
        assert_under(c, ToyEmbedder(24))
        with vs.create(
            tmp_path / "b", embedder="toy:24", metric=metric, chunker=chunker, limits=SMALL
        ) as new:
            new.add([row for row in c.get(ids["id"].unique().to_pylist()) if row is not None])
            for query in ("number 7 号文件", "文件"):
                assert c.search(query, k=5).scores == pytest.approx(
                    new.search(query, k=5).scores, abs=1e-5
                )
        c.add(rows(200, 2))
        assert_under(c, ToyEmbedder(24))


def test_readers_see_the_new_model_after_refresh_and_rollback_restores_the_old(
    tmp_path: Path,
) -> None:
    with (
        vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c,
        vs.open(tmp_path / "c", limits=SMALL) as other,
    ):
        c.add(rows(0, 20))
        other.refresh()
        hits = other.search("number 7 号文件", k=3)
        seen: list[Any] = []
        model = Watched(16, lambda call: seen.append(other.search("number 7 号文件", k=1).ids))
        c.reembed(model)
        assert seen == [["文-7"]] * 3  # answered meanwhile
        assert (other.info().dim, other.search("number 8 号文件", k=1).ids) == (8, ["文-8"])
        assert other.refresh().info().dim == 16 and other.search("number 8 号文件", k=1).ids == [
            "文-8"
        ]
        assert hits[0]["n"] == 7 and hits.snapshot.manifest.dim == 8
        code = (
            "import sys, vecsearch as vs\n"
            "print(vs.open(sys.argv[1]).search('number 9 号文件', k=1).ids[0] == '文-9')"
        )
        assert (
            subprocess.run(
                [sys.executable, "-c", code, c.path], capture_output=True, text=True
            ).stdout
            == "True\n"
        )
        c.rollback(2)
        assert (c.info().dim, c.info().embedder, c.search("number 8 号文件", k=1).ids) == (
            8,
            "toy:8",
            ["文-8"],
        )
        c.add(rows(50, 1))
        assert_under(c, ToyEmbedder(8))
        assert_under(other.refresh(), ToyEmbedder(8))
        with vs.open(tmp_path / "c", version=3, limits=SMALL) as old:
            assert old.search("number 8 号文件", k=1).ids == ["文-8"] and old.info().dim == 16


def test_a_writer_that_opened_before_adds_with_the_new_model(tmp_path: Path) -> None:
    with (
        vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c,
        vs.open(tmp_path / "c", limits=SMALL) as other,
    ):
        c.add(rows(0, 3))
        c.reembed(
            WordEmbedder(
                ["号", "文", "件", "number"], np.eye(4, 8, dtype=np.float32), cutting="words"
            )
        )  # the same dimension
        other.add(rows(3, 3))
        assert_under(
            other,
            WordEmbedder(
                ["号", "文", "件", "number"], np.eye(4, 8, dtype=np.float32), cutting="words"
            ),
        )


def test_an_interrupted_reembed_resumes(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(call: int) -> None:
        if call == 3:
            raise StopError

    with vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c:
        c.add(rows(0, 60))
        before = c.info()
        first, second = Watched(16, stop), Watched(16)
        with pytest.raises(vs.EmbedderError) as stopped:
            c.reembed(first)
        assert isinstance(stopped.value.__cause__, StopError)
        assert c.refresh().info() == before and c.search("number 8 号文件", k=1).ids == ["文-8"]
        done = c.reembed(second)
        assert done.embedded == len(second.texts) == 60 - 24
        assert sorted(first.texts + second.texts) == sorted(row["text"] for row in rows(0, 60))
        assert max(len(call) for call in second.calls) <= 8
        assert_under(c, ToyEmbedder(16))
        assert list((c.path / "staging").iterdir()) == []


CHANGES: dict[str, Callable[[vs.Collection], object]] = {
    "add": lambda o: o.add(rows(1000 + 100 * o.info().version, 3)),
    "delete": lambda o: o.delete(where=f"n % 7 = {o.info().version % 7}"),
    "replace": lambda o: o.add(
        [{**row, "text": f"new {o.info().version} {row['n']}"} for row in rows(10, 9)],
        on_conflict="replace",
    ),
    "update": lambda o: o.update(None, {"n": o.info().version}),
    "compact": lambda o: (o.delete(["文-1", "文-30"]), o.compact()),
    "add a column": lambda o: o.add_column(f"tag{o.info().version}", "string", "x"),
    "bring deleted rows back": lambda o: o.rollback(2),
    "restore": lambda o: (o.add(rows(500, 2)), o.rollback(o.info().version - 1)),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("often", [False, True])
def test_changes_committed_during_reembed_are_kept(name: str, often: bool, tmp_path: Path) -> None:
    """Once in the middle, or at each call of the model, so that the last round holds the lock."""
    with (
        vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c,
        vs.open(tmp_path / "c", limits=SMALL) as other,
    ):
        c.add(rows(0, 40))
        c.delete(["文-2", "文-20"])
        c.add(rows(40, 5))

        def meanwhile(call: int) -> None:
            if (often or call == 3) and not locked():
                CHANGES[name](other.refresh())

        def locked() -> bool:
            return c._store._threads._is_owned()

        model = Watched(16, meanwhile)
        c.reembed(model)
        expected = content(other.refresh())
        assert content(c) == expected
        assert_under(c, ToyEmbedder(16))
        if not often and name not in ("add", "replace", "restore"):
            again = 2 if name == "bring deleted rows back" else 0
            assert (
                len(model.texts) == len(set(model.texts)) == 43 + again
            )  # found by text, wherever the rows went


def test_an_add_that_runs_during_reembed_is_refused(tmp_path: Path) -> None:
    """The add embeds with the old model while the move commits."""
    moved = threading.Event()
    with vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c:
        c.add(rows(0, 5))

        def move(call: int) -> None:
            if not moved.is_set():
                moved.set()
                with vs.open(tmp_path / "c", limits=SMALL) as other:
                    other.reembed(
                        WordEmbedder(["号"], np.ones((1, 8), np.float32), cutting="words")
                    )

        with vs.open(tmp_path / "c", embedder=Watched(8, move), limits=SMALL) as adder:
            with pytest.raises(vs.ConflictError, match="run it again"):
                adder.add(rows(5, 3))
            adder.add(rows(5, 3))
        assert_under(
            c.refresh(), WordEmbedder(["号"], np.ones((1, 8), np.float32), cutting="words")
        )


def test_reembed_drops_the_index_and_refuses_one_being_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c:
        c.add(rows(0, 60))
        c.build_index("HNSW8")
        assert c.info().indexes
        c.reembed("toy:16")
        assert not c.info().indexes
        c.build_index("HNSW8")
        assert c.search("number 8 号文件", k=1).ids == ["文-8"]
        snapshot = c._store.snapshot()
        with vs.open(c.path, limits=SMALL) as other:
            other.reembed("toy:12")
        monkeypatch.setattr(
            c._store,
            "snapshot",
            lambda real=c._store.snapshot, first=[snapshot], **given: (
                first.pop() if first else real(**given)
            ),
        )
        with pytest.raises(vs.ConflictError, match="moved to another model while the index"):
            build_index(
                c._store, "HNSW8", recall=None, memory=None, queries=None, seed=1, threads=1
            )


def test_reembed_without_text_is_refused(tmp_path: Path) -> None:
    with vs.create(tmp_path / "a", dim=4, limits=SMALL) as c:
        c.add(clustered(5, 4))
        with pytest.raises(
            vs.InvalidInputError, match="has no text column, only vectors that were given"
        ):
            c.reembed("toy:8")
    with vs.create(tmp_path / "b", embedder="toy:8", limits=SMALL) as c:
        c.add(rows(0, 3))
        version = c.info().version
        assert c.reembed(ToyEmbedder(8)) == vs.ReembedResult(3, 0, version)  # has it already
        with pytest.raises(vs.EmbedderError, match=r"a zero vector.*for the text 'number 0"):
            c.reembed(WordEmbedder(["nothing"], np.ones((1, 8), np.float32)))
        c.add([{"id": "given", "text": None, "vector": np.ones(8)}])
        with pytest.raises(vs.InvalidInputError, match="document 'given' has a vector but no text"):
            c.reembed("toy:16")
        assert c.info().dim == 8 and c.info().version == version + 1
        c.delete(["given"])
        assert c.reembed("toy:16").embedded == 3
        with (
            vs.open(tmp_path / "b", version=version, limits=SMALL) as old,
            pytest.raises(vs.InvalidInputError, match="is history"),
        ):
            old.reembed("toy:8")
    with vs.create(tmp_path / "empty", embedder="toy:8", limits=SMALL) as c:
        assert c.reembed("toy:16").documents == 0
        c.add(rows(0, 2))
        assert_under(c, ToyEmbedder(16))


def test_reembed_refuses_vectors_of_the_wrong_shape(tmp_path: Path) -> None:
    class Liar(ToyEmbedder):
        def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
            return np.ones((len(documents), 3), np.float32)

    with vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c:
        c.add(rows(0, 3))
        with pytest.raises(vs.EmbedderError, match="returned an array of shape"):
            c.reembed(Liar(16))


def test_reembed_keeps_float16(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c", embedder="toy:8", dtype="float16", limits=SMALL) as c:
        c.add(rows(0, 20))
        c.reembed("toy:16")
        assert c.info().dtype == "float16" and c.info().dim == 16
        np.testing.assert_allclose(
            c.features([f"文-{n}" for n in range(20)]),
            ToyEmbedder(16).embed_documents([row["text"] for row in rows(0, 20)]),
            rtol=2e-3,
            atol=2e-3,
        )


def test_the_reembed_command_reports_what_it_did(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c", embedder="toy:8", limits=SMALL) as c:
        c.add(rows(0, 30))
        c.build_index("HNSW8")
    ran = CliRunner().invoke(
        app, ["reembed", str(tmp_path / "c"), "toy:16"], env={"COLUMNS": "200"}
    )
    assert (
        ran.exit_code == 0
        and "30 documents embedded by toy:16, 30 texts just now" in ran.stdout
        and "vecsearch build" in ran.stdout
    )
    ran = CliRunner().invoke(app, ["reembed", str(tmp_path / "c"), "toy:16", "--json"])
    assert ran.stdout.startswith('{"documents": 30, "embedded": 0, "version": ')
    ran = CliRunner().invoke(app, ["reembed", str(tmp_path / "c"), "tyo:16"])
    assert ran.exit_code == 1 and "did you mean 'toy'" in ran.stderr
