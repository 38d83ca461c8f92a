"""Files of postings: nothing of deleted rows stays after a purge, and forged ones harm nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.storage import disk, log, manifest_json
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.manifest import replace
from vecsearch.storage.text_files import read_postings, write_postings
from vecsearch.text.postings import Postings

TEXTS = [f"word{n} shared words {'filler ' * 60}" for n in range(60)]


def filled(root: Path) -> vs.Collection:
    c = vs.create(root, embedder="toy:16")
    c.add([{"id": n, "text": text} for n, text in enumerate(TEXTS)], progress=False)
    return c


def test_a_purge_leaves_no_word_of_a_deleted_document(root: Path) -> None:
    c = filled(root)
    c.add([{"id": 99, "text": f"Zanzibar secretly zanzibars {'x ' * 5000}"}], progress=False)
    assert any(b"zanzibar" in file.read_bytes() for file in root.rglob("*.text.arrow"))
    c.delete(99)
    c.compact(purge=True)
    for file in root.rglob("*"):
        if file.is_file():
            content = file.read_bytes().lower()
            assert b"zanzibar" not in content
            assert b"secretly" not in content
    assert c.check() == []
    assert c.search("shared", k=100, mode="text").ids == list(range(60))


def test_a_backup_and_a_restored_export_have_their_words(root: Path, tmp_path: Path) -> None:
    c = filled(root)
    c.backup(tmp_path / "backup.vs")
    c.export(tmp_path / "c.parquet")
    vs.restore(tmp_path / "c.parquet", tmp_path / "restored.vs")
    wanted = c.search("word7 shared", mode="text")
    for path in (tmp_path / "backup.vs", tmp_path / "restored.vs"):
        assert list((path / "segments").glob("*.text.arrow"))
        with vs.open(path) as other:
            hits = other.search("word7 shared", mode="text")
            assert (hits.ids, hits.scores.tolist()) == (wanted.ids, wanted.scores.tolist())


def changed(postings: Postings, **arrays: Any) -> Postings:
    names = ("terms", "starts", "rows", "counts", "lengths", "forms", "form_terms")
    return Postings(**{name: arrays.get(name, getattr(postings, name)) for name in names})


def _with(array: Any, at: int, value: int) -> Any:
    copy = array.copy()
    copy.reshape(-1)[at] = value
    return copy


FORGERIES: dict[str, Callable[[Postings], Postings]] = {
    "a row too large": lambda p: changed(p, rows=_with(p.rows, 5, 10**6)),
    "a row of the next segment": lambda p: changed(p, rows=_with(p.rows, len(p.rows) - 1, 60)),
    "rows in another order": lambda p: changed(p, rows=p.rows[::-1].copy()),
    "a start outside": lambda p: changed(p, starts=_with(p.starts, 3, 10**9)),
    "a start below zero": lambda p: changed(p, starts=_with(p.starts, 0, -5)),
    "starts that go back": lambda p: changed(p, starts=p.starts[::-1].copy()),
    "too few starts": lambda p: changed(p, starts=p.starts[:-1]),
    "too few counts": lambda p: changed(p, counts=p.counts[:-1]),
    "a count of zero": lambda p: changed(p, counts=_with(p.counts, 0, 0)),
    "a count too large": lambda p: changed(p, counts=_with(p.counts, 0, 60_000)),
    "a length too small": lambda p: changed(p, lengths=_with(p.lengths, 3, 1)),
    "a length too large": lambda p: changed(p, lengths=_with(p.lengths, 3, 2**31)),
    "a row of another text": lambda p: changed(p, rows=_with(p.rows, 0, 59)),
    "too few lengths": lambda p: changed(p, lengths=p.lengths[:, :-1]),
    "terms in another order": lambda p: changed(p, terms=p.terms.take(pa.array([1, 0]))),
    "unsorted terms": lambda p: changed(
        p, terms=p.terms.take(pa.array(np.arange(len(p.terms))[::-1].copy()))
    ),
    "a form of no term": lambda p: changed(p, form_terms=_with(p.form_terms, 0, 10**6)),
    "too few forms": lambda p: changed(p, form_terms=p.form_terms[:-1]),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_postings_are_not_used(
    root: Path, forgery: str, caplog: pytest.LogCaptureFixture
) -> None:
    filled(root).close()
    version = log.load(root)
    (entry,) = version.segments
    assert entry.text is not None
    postings = read_postings(CheckedFile(root, entry.text), entry.rows, 1)
    path = root / entry.text.name
    path.unlink()
    write_postings(path, FORGERIES[forgery](postings))
    ref = disk.describe(root, path, entry.text.name)
    forged = replace(version, segments=(replace(entry, text=ref),))
    log.path_of(root, version.version).write_text(manifest_json.to_json(forged))
    with vs.open(root) as c:
        assert c.search("word7", mode="text").ids == [7]
        assert c.search("shared", k=100, mode="text").ids == list(range(60))
        assert "texts are read instead" in caplog.text
        assert [damage.file for damage in c.check()] == [ref.name]
        c.compact()
    vs.repair(root)
    with vs.open(root) as c:
        c.compact(purge=True)
        assert c.check() == []
        assert c.search("word7", mode="text").ids == [7]


def test_a_manifest_that_names_postings_of_no_full_text_is_refused(root: Path) -> None:
    filled(root).close()
    version = log.load(root)
    for wrong in (
        replace(version, full_text=None),
        replace(version, full_text=replace(version.full_text, columns=("nothing",))),
        replace(version, full_text=replace(version.full_text, columns=("vector",))),
        replace(version, full_text=replace(version.full_text, columns=("text", "text"))),
        replace(version, full_text=replace(version.full_text, analyzer={"language": []})),
    ):
        log.path_of(root, version.version).write_text(manifest_json.to_json(wrong))
        with pytest.raises(vs.CorruptedError):
            vs.open(root, version=version.version)


def test_an_add_beside_a_change_of_the_analyzer_has_the_new_words(root: Path) -> None:
    c = filled(root)
    with vs.open(root) as other:

        def rows() -> Any:
            for n in range(100, 140):
                if n == 120:
                    other.build_text_index(analyzer={"language": None})
                yield {"id": n, "text": f"ships {'filler ' * 60}"}

        c.add(rows(), progress=False)
    assert len(c.search("ships", k=100, mode="text")) == 40
    assert len(c.search("ship", k=100, mode="text")) == 0
    assert c.check() == []
