"""`sync` and a second `add` of the same data: what is new, changed, gone, and the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.sources import Write
from test_cli import Answer, fails, ok

import vecsearch as vs


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=64)


def texts(c: vs.Collection) -> dict[Any, str]:
    return {row["id"]: row["text"] for row in c.to_arrow(["id", "text"]).to_pylist()}


def counts(result: vs.SyncResult) -> tuple[int, int, int, int]:
    return result.added, result.replaced, result.deleted, result.unchanged


def test_a_folder_is_followed(c: vs.Collection, write: Write, tmp_path: Path) -> None:
    c.add([{"id": "mine", "text": "by hand", "source": None, "digest": None}])
    write("other/o.txt", "another folder")
    c.add(tmp_path / "other")
    write("f/a.txt", "one")
    write("f/b.md", "two")
    write("f/t.csv", "id,text\nx,first row\ny,second row\n")
    folder = tmp_path / "f"
    assert counts(c.sync(folder)) == (4, 0, 0, 0)
    version = c.info().version
    assert counts(c.sync(folder)) == (0, 0, 0, 4)
    assert c.info().version == version  # nothing was written
    write("f/a.txt", "one, and more")
    write("f/t.csv", "id,text\nx,first row\n")
    (folder / "b.md").unlink()
    write("f/sub/d.txt", "four")
    planned = c.sync(folder, dry_run=True)
    assert planned.new_files == ("sub/d.txt",)
    assert planned.changed_files == ("a.txt", "t.csv")
    assert planned.gone_files == ("b.md",)
    assert c.info().version == version
    result = c.sync(folder)
    assert counts(result) == (1, 2, 2, 0)
    assert result.embedded == 2  # the first row of the table keeps its vector
    expected = {
        "mine": "by hand",
        "o.txt": "another folder",
        "a.txt": "one, and more",
        "t.csv#x": "first row",
        "sub/d.txt": "four",
    }
    assert texts(c) == expected
    assert c.search("one, and more", k=1).ids == ["a.txt"]
    assert counts(c.sync(folder)) == (0, 0, 0, 3)
    with vs.open(tmp_path / "c.vs") as again:
        assert texts(again) == expected


def test_only_content_counts_not_time(c: vs.Collection, write: Write, tmp_path: Path) -> None:
    path = write("f/a.txt", "one")
    c.sync(tmp_path / "f")
    path.touch()
    assert counts(c.sync(tmp_path / "f")) == (0, 0, 0, 1)


def test_more_than_half_is_deleted_only_if_insisted(
    c: vs.Collection, write: Write, tmp_path: Path
) -> None:
    folder = tmp_path / "f"
    with pytest.raises(vs.InvalidInputError, match="there is no folder"):
        c.sync(folder)
    for name in "abcd":
        write(f"f/{name}.txt", name)
    c.sync(folder)
    for name in "abc":
        (folder / f"{name}.txt").unlink()
    with pytest.raises(vs.InvalidInputError, match="is a file, and sync takes a folder"):
        c.sync(folder / "d.txt")
    with pytest.raises(vs.InvalidInputError, match=r"3 of the 4 documents .* would be deleted"):
        c.sync(folder)
    with pytest.warns(UserWarning, match="refused: 3 of the 4 documents"):
        planned = c.sync(folder, dry_run=True)
    assert (planned.deleted, planned.unchanged) == (3, 1)
    assert planned.gone_files == ("a.txt", "b.txt", "c.txt")
    assert len(c) == 4
    assert c.sync(folder, delete_all=True, dry_run=True).deleted == 3
    assert counts(c.sync(folder, delete_all=True)) == (0, 0, 3, 1)
    (folder / "d.txt").unlink()
    with pytest.raises(vs.InvalidInputError, match="holds no file that is read"):
        c.sync(folder)
    assert counts(c.sync(folder, delete_all=True)) == (0, 0, 1, 0)
    assert len(c) == 0


def test_a_dry_run_names_new_files_that_hold_something(
    c: vs.Collection, write: Write, tmp_path: Path
) -> None:
    folder = tmp_path / "f"
    write("f/a.txt", "one")
    write("f/empty.txt", "")
    write("f/blank.md", " \n\u3000")
    write("f/cut.json", "{")
    write("f/settings.json", '{"level": 3}')
    write("f/picture.png", "no picture")
    write("f/t.csv", "id,text\nx,first row\n")
    (folder / "dangling.txt").symlink_to("nowhere")
    planned = c.sync(folder, dry_run=True)
    assert (planned.new_files, planned.added) == (("a.txt", "t.csv"), 2)
    skipped = {file.file for file in planned.report.skipped_files}
    assert skipped == {"cut.json", "settings.json", "picture.png", "dangling.txt"}
    assert set(planned.report.empty_files) == {"empty.txt", "blank.md"}
    assert len(c) == 0
    assert c.sync(folder).added == 2
    write("f/b.txt", "two")
    planned = c.sync(folder, dry_run=True)
    assert (planned.new_files, planned.unchanged) == (("b.txt",), 2)


def test_half_is_deleted(c: vs.Collection, write: Write, tmp_path: Path) -> None:
    for name in "ab":
        write(f"f/{name}.txt", name)
    c.sync(tmp_path / "f")
    (tmp_path / "f" / "a.txt").unlink()
    assert counts(c.sync(tmp_path / "f")) == (0, 0, 1, 1)


def test_a_file_that_cannot_be_read_any_more_keeps_its_document(
    c: vs.Collection, write: Write, tmp_path: Path
) -> None:
    write("f/a.txt", "one")
    write("f/b.txt", "two")
    c.sync(tmp_path / "f")
    write("f/a.txt", b"\xff\xfe\xfa\x00\x01")
    result = c.sync(tmp_path / "f")
    assert [each.file for each in result.report.skipped_files] == ["a.txt"]
    assert texts(c) == {"a.txt": "one", "b.txt": "two"}
    write("f/a.txt", "")  # but one that is empty has none
    c.sync(tmp_path / "f")
    assert texts(c) == {"b.txt": "two"}


def test_what_is_excluded_now_is_gone(c: vs.Collection, write: Write, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "draft.txt"):
        write(f"f/{name}", name)
    c.sync(tmp_path / "f")
    assert counts(c.sync(tmp_path / "f", exclude="draft*")) == (0, 0, 1, 2)


def test_documents_from_elsewhere_are_not_replaced(
    c: vs.Collection, write: Write, tmp_path: Path
) -> None:
    c.add([{"id": "a.txt", "text": "by hand"}])
    write("f/a.txt", "of the folder")
    write("f/b.txt", "two")
    write("f/t.csv", "id,text\nx,first\n")
    c.add([{"id": "t.csv#x", "text": "by hand, too"}])
    result = c.sync(tmp_path / "f")
    assert sorted(each.file for each in result.report.skipped_files) == ["a.txt", "t.csv#x"]
    assert texts(c) == {"a.txt": "by hand", "b.txt": "two", "t.csv#x": "by hand, too"}
    assert c.info().columns.keys() >= {"title", "modified", "source", "digest"}


def test_a_folder_that_was_moved_is_taken_over(
    c: vs.Collection, write: Write, tmp_path: Path
) -> None:
    write("old/a.txt", "one")
    write("old/b.txt", "two")
    c.sync(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    result = c.sync(tmp_path / "new")
    assert (result.added, result.replaced, result.embedded) == (0, 2, 0)
    assert {row["source"] for row in c.to_arrow(["source"]).to_pylist()} == {
        str(tmp_path / "new" / name) for name in ("a.txt", "b.txt")
    }


def test_a_collection_inside_the_folder_is_no_document(write: Write, tmp_path: Path) -> None:
    write("f/a.txt", "one")
    with vs.create(tmp_path / "f" / "c.vs", embedder="toy:8") as c:
        for expected in ((1, 0, 0, 0), (0, 0, 0, 1)):
            result = c.sync(tmp_path / "f")
            assert counts(result) == expected
            assert [str(each) for each in result.report.skipped_files] == ["c.vs/ (a collection)"]


def test_an_interrupted_sync_is_finished_by_the_next(
    c: vs.Collection, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are added in one commit, and what a file no longer holds is deleted in the next."""
    write("f/t.csv", "id,text\n1,one\n2,two\n3,three\n")
    write("f/a.txt", "a")
    c.sync(tmp_path / "f")
    write("f/t.csv", "id,text\n1,one\n2,changed\n")

    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(vs.Collection, "delete", interrupted)
        with pytest.raises(KeyboardInterrupt):
            c.sync(tmp_path / "f")
    assert len(c) == 4
    c.sync(tmp_path / "f")
    assert texts(c) == {"a.txt": "a", "t.csv#1": "one", "t.csv#2": "changed"}


@pytest.mark.parametrize("chunker", [None, 64])
def test_rows_that_are_the_same_are_left_out(tmp_path: Path, chunker: int | None) -> None:
    rows = [
        {"id": n, "text": f"text number {n}. " * (1 + 9 * n), "n": n, "tags": [str(n)], "x": x}
        for n, x in enumerate((1.5, float("nan"), None))
    ]
    c = vs.create(tmp_path / "c.vs", embedder="toy:16", chunker=chunker)
    c.add(rows)
    version = c.info().version
    again = c.add(rows, on_conflict="refresh")
    assert (again.added, again.replaced, again.unchanged, again.version) == (0, 0, 3, version)
    for name, value in (("text", "other"), ("n", 9), ("tags", ["a"]), ("x", 2.5)):
        changed = [dict(rows[0]), {**rows[1], name: value}, {"id": len(c), "text": "new"}]
        result = c.add(changed, on_conflict="refresh")
        assert (result.added, result.replaced, result.unchanged) == (1, 1, 1), name
        assert c.get(1)[0] is not None and c.get(1)[0][name] == value  # type: ignore[index]
        c.add(rows[1:2], on_conflict="replace")
    with pytest.raises(vs.DuplicateIdError):
        c.add([{"id": 70, "text": "a"}] * 2, on_conflict="refresh")


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_vectors_without_ids_are_not_doubled(tmp_path: Path, metric: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 24)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    c = vs.create(tmp_path / "c.vs", dim=24, metric=metric)
    c.add(tmp_path / "v.npy")
    assert c.add(tmp_path / "v.npy", on_conflict="refresh").unchanged == 300
    more = np.vstack([vectors[::-1], vectors[:1] * np.float32(1.5), -vectors[:2]])
    result = c.add(more, on_conflict="refresh")
    assert (result.added, result.unchanged, len(c)) == (3, 300, 303)
    with_ids = [{"id": 0, "vector": vectors[0]}, {"id": 1, "vector": vectors[5]}]
    result = c.add(with_ids, on_conflict="refresh")
    assert (result.replaced, result.unchanged) == (1, 1)


@pytest.mark.parametrize("chunker", [None, 64])
def test_texts_without_ids_are_not_doubled(tmp_path: Path, chunker: int | None) -> None:
    rows = [{"text": f"word{n % 50} " * (n % 40 + 1), "n": n} for n in range(200)]
    c = vs.create(tmp_path / "c.vs", embedder="toy:16", chunker=chunker)
    c.add(rows)
    assert c.add(rows, on_conflict="refresh").unchanged == 200
    result = c.add([{**rows[7], "n": 1000}, rows[8]], on_conflict="refresh")
    assert (result.added, result.unchanged) == (1, 1)


def test_a_second_ingest_changes_nothing(tmp_path: Path, write: Write) -> None:
    write("f/a.txt", "one")
    rows = write("r.jsonl", '{"text": "two", "n": 1}\n')
    folder, table = tmp_path / "f", tmp_path / "t.vs"
    assert "1 document added" in ok("ingest", folder, tmp_path / "f.vs", "--embedder", "toy:8").out
    shown = ok("ingest", folder, tmp_path / "f.vs").out
    assert "0 documents added, 1 unchanged; " in shown
    assert "1 document added" in ok("ingest", rows, table, "--embedder", "toy:8").out
    assert "1 unchanged" in ok("ingest", rows, table).out
    write("r.jsonl", '{"text": "two", "n": 1}\n{"text": "three", "n": 1}\n')
    answer = ok("ingest", rows, table)
    assert "1 document added, 1 unchanged; " in answer.out
    assert "the data has no ids" in answer.err


def test_the_command_says_what_it_did(tmp_path: Path, write: Write) -> None:
    write("f/a.txt", "one")
    write("f/b.txt", "two")
    words = ("sync", tmp_path / "f", tmp_path / "c.vs")
    assert "2 documents added" in ok(*words, "--embedder", "toy:8").out
    (tmp_path / "f" / "a.txt").unlink()
    assert "gone: a.txt" in ok(*words, "--dry-run").out
    found = json.loads(ok(*words, "--json").out)
    assert (found["deleted"], found["unchanged"]) == (1, 1)
    (tmp_path / "f" / "b.txt").unlink()
    assert "--delete-all insists" in fails(*words)
    assert "no folder" in fails("sync", tmp_path / "nope", tmp_path / "c.vs")
    assert "1 deleted" in ok(*words, "--delete-all").out
    fails("sync", tmp_path / "f", tmp_path / "new.vs", "--embedder", "toy:8")
    assert not (tmp_path / "new.vs").exists()
    (tmp_path / "odd").mkdir()
    assert "holds no file that is read" in fails("sync", tmp_path / "odd", tmp_path / "new.vs")


def test_watch_syncs_again_when_a_file_changes(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchfiles = pytest.importorskip("watchfiles")
    write("f/a.txt", "one")

    def watch(folder: Path, *, watch_filter: Any, **options: bool) -> Any:
        assert options == {"raise_interrupt": True, "yield_on_timeout": True}
        assert not watch_filter(None, str(tmp_path / "f" / "c.vs" / "LOCK"))
        assert watch_filter(None, str(tmp_path / "f" / "b.txt"))
        write("f/b.txt", "two")
        yield set()  # the time is over, and nothing changed since watching began: b.txt came before
        write("f/c.txt", "is not seen")
        yield set()
        (tmp_path / "f" / "c.txt").unlink()
        for path in (tmp_path / "f").glob("*.txt"):
            path.unlink()
        yield {(2, "b.txt")}  # more than half: an error is shown, and watching goes on
        write("f/a.txt", "one")
        write("f/b.txt", "three")
        yield {(1, "b.txt")}
        raise KeyboardInterrupt

    monkeypatch.setattr(watchfiles, "watch", watch)
    answer = Answer(
        "sync", tmp_path / "f", tmp_path / "f" / "c.vs", "--embedder", "toy:8", "--watch"
    )
    assert answer.code == 130
    assert answer.out.count("1 document added") == 2 and "1 replaced" in answer.out
    assert "holds no file that is read" in answer.err
    with vs.open(tmp_path / "f" / "c.vs") as c:
        assert texts(c) == {"a.txt": "one", "b.txt": "three"}
