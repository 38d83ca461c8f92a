"""The manifest on disk: the same bytes as before, and what the model derives from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from support import forge

import vecsearch as vs
from vecsearch.storage import log, manifest_json
from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import CALIBRATION_KEY
from vecsearch.storage.manifest import Manifest, SegmentEntry, replace
from vecsearch.storage.manifest_check import require_consistent
from vecsearch.storage.parsed import ParsedManifests

GOLDEN = Path(__file__).parents[1] / "golden"
MANIFESTS = sorted(GOLDEN.glob("format*/*/manifests/*.json"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[-4:]))
def test_a_manifest_is_written_as_it_was_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    manifest = manifest_json.from_json(text, str(path))
    body = json.loads(text)["body"]
    if "settings" in body and "full_dim" in (body["embedder"] or {"full_dim": 0}):
        assert json.loads(manifest_json.to_json(manifest))["body"] == body
    assert manifest_json.is_as_written(text)
    assert manifest_json.is_as_written(manifest_json.to_json(manifest))


def test_the_golden_manifests_were_found() -> None:
    assert len(MANIFESTS) > 5


def test_a_manifest_names_the_file_of_the_calibration_and_is_signed_by_its_bytes(
    root: Path,
) -> None:
    with vs.create(root, dim=2, limits=vs.Limits(smallest_index_rows=1)) as c:
        c.add([{"id": number, "vector": [1.0, number]} for number in range(50)])
        c.build_index("Flat")
        told = c.info().indexes[0].calibration
    content = max((root / "manifests").iterdir()).read_bytes()
    outer = json.loads(content)
    (entry,) = outer["body"]["indexes"]
    assert CALIBRATION_KEY not in entry
    stored = json.loads((root / entry["calibration"]["name"]).read_bytes())
    assert stored["surface"] and stored == told
    body = content[content.index(b'"body": ') + 8 : -2]
    assert json.loads(body) == outer["body"]
    assert hashlib.sha256(body).hexdigest() == outer["checksum"]
    assert b"\n" not in body and b'": ' not in body


def test_an_older_manifest_holds_its_calibration_and_may_be_formatted_again(root: Path) -> None:
    """Manifests of before had a body indented by one space, and a checksum of just that."""
    with vs.create(root, dim=2, limits=vs.Limits(smallest_index_rows=1)) as c:
        c.add([{"id": number, "vector": [1.0, number]} for number in range(50)])
        c.build_index("Flat")
        told = c.info().indexes[0].calibration
    path = max((root / "manifests").iterdir())
    body = json.loads(path.read_bytes())["body"]
    del body["indexes"][0]["calibration"]
    body["indexes"][0][CALIBRATION_KEY] = told
    text = forge.older_manifest(manifest_json.sign(body).encode()).decode()
    for again in (text, json.dumps(json.loads(text), indent=4)):
        path.write_text(again, "utf-8")
        assert manifest_json.is_as_written(again) == (again is text)
        with vs.open(root) as c:
            assert c.info().indexes[0].calibration == told
            c.add([{"id": 100 + len(c), "vector": [2.0, 1.0]}])
            assert c.plan([1.0, 2.0]).method  # which reads the operating points
            assert c.info().indexes[0].calibration == told
            (entry,) = log.load(root).indexes  # the first change of the rows gives it a file
            assert entry.inline_calibration is None and entry.calibration is not None
            assert json.loads((root / entry.calibration.name).read_bytes()) == told
            assert [item.what[:11] for item in c.check()] == ["white space"] * (again is not text)
        max((root / "manifests").iterdir()).unlink()
        path.write_text(again.replace(json.loads(again)["checksum"], "0" * 64))
        with pytest.raises(vs.CorruptedError, match="its checksum differs"):
            log.load(root)


def test_nobody_can_change_a_manifest_that_is_remembered(root: Path) -> None:
    with vs.create(root, dim=2, limits=vs.Limits(smallest_index_rows=1)) as c:
        c.add([{"id": number, "vector": [1.0, number]} for number in range(50)])
        c.build_index("Flat")
        index = c.info().indexes[0]
        index.calibration["surface"].clear()
        index.recipe.clear()
        assert c.info().indexes[0].calibration["surface"] and c.info().indexes[0].recipe


def test_a_manifest_whose_bytes_changed_is_read_again(root: Path) -> None:
    vs.create(root, dim=2).close()
    path = log.path_of(root, 1)
    before, text = log.load(root), path.read_text()
    assert log.load(root) is before  # remembered
    body = json.loads(text)["body"] | {"operation": "create".upper()}
    path.write_text(manifest_json.sign(body))
    assert log.load(root).operation == "CREATE"
    path.write_text(text.replace("create", "CREATE"))
    with pytest.raises(vs.CorruptedError, match="its checksum differs"):
        log.load(root)


def test_what_is_remembered_of_manifests_is_bounded() -> None:
    parsed = ParsedManifests(most_bytes=100)
    version = Manifest(1, pa.schema([]), vs.Metric.L2, 1, "float32", None)
    for letter in b"abcd":
        parsed.put(bytes([letter]) * 40, version)
        assert parsed.get(b"a" * 40) is version or letter >= ord("d")
    assert [parsed.get(bytes([letter]) * 40) is not None for letter in b"abcd"] == [
        *(True, False, False, True)
    ]
    parsed.put(b"e" * 101, version)
    assert parsed.get(b"e" * 101) is None and parsed.get(b"d" * 40) is None


@pytest.mark.parametrize(
    ("effort", "depth", "k", "fits"),
    [
        *((16, 40, 10, True), (16, 10, 10, True), (1, 1, 1, True)),
        (16, 10, 11, False),  # more rows than candidates
        *((16, 40, 0, False), (16, 0, 0, False), (0, 40, 10, False)),
        *((2**24, 40, 10, True), (2**24 + 1, 40, 10, False)),
        *((16, 50, 10, True), (16, 51, 10, False)),  # of 50 rows
    ],
)
def test_an_operating_point_that_cannot_be_is_refused(
    root: Path, effort: int, depth: int, k: int, fits: bool
) -> None:
    with vs.create(root, dim=2, limits=vs.Limits(smallest_index_rows=1)) as c:
        c.add([{"id": number, "vector": [1.0, number]} for number in range(50)])
        c.build_index("Flat")
    manifest = log.load(root)
    (entry,) = manifest.indexes
    point = [effort, depth, k, 0.9, 0.8, 5.0]
    for where in ("surface", "codes"):
        scan = where == "codes"
        points = {"codes": {"surface": [point]}} if scan else {"surface": [point]}
        changed = replace(entry, calibration=None, inline_calibration=points)
        if fits or (scan and effort == 0):  # which a scan of all codes has
            require_consistent(replace(manifest, indexes=(changed,)))
        else:
            with pytest.raises(ValueError, match=r"surface\[0\] is "):
                require_consistent(replace(manifest, indexes=(changed,)))


def test_what_a_manifest_should_not_have_is_refused(root: Path) -> None:
    with vs.create(root, dim=2, limits=vs.Limits(smallest_index_rows=1)) as c:
        c.add([{"id": number, "vector": [1.0, number]} for number in range(50)])
        c.build_index("Flat")
    text = max((root / "manifests").iterdir()).read_text(encoding="utf-8")
    for place in (lambda body: body, lambda body: body["indexes"][0]):
        body = json.loads(text)["body"]
        assert manifest_json.from_json(manifest_json.sign(body), "m.json") == log.load(root)
        place(body)["later"] = 1
        with pytest.raises(vs.CorruptedError, match="later"):
            manifest_json.from_json(manifest_json.sign(body), "m.json")


def test_live_rows_are_those_not_deleted() -> None:
    ref = FileRef("segments/a", 1, "")
    assert [SegmentEntry(ref, ref, 5, 5, deleted).live for deleted in (0, 2, 5)] == [5, 3, 0]


def test_a_commit_reads_one_manifest_and_parses_what_it_writes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(name: str) -> None:
        original = getattr(log, name)

        def counting(*args: object) -> object:
            calls.append(name)
            return original(*args)

        monkeypatch.setattr(log, name, counting)

    with vs.create(root, dim=2, keep_versions=2) as c:
        c.add([[1.0, 2.0]])
        counted("_read")
        counted("from_json")
        for change in (
            lambda: c.add([[2.0, 1.0]]),
            lambda: c.delete([0]),
            lambda: c.add([[0.0, 1.0]], on_conflict="replace"),
        ):
            calls.clear()
            change()
            assert sorted(calls) == ["_read", "from_json"]
        calls.clear()
        c.search([1.0, 1.0], k=1)
        c.refresh()
        assert calls == []
        for _ in range(12):
            calls.clear()
            c.add([[2.0, 1.0]])
            assert calls.count("from_json") == 1  # also where old versions are removed
        assert len(log.versions(root)) < 12


@pytest.mark.parametrize(
    ("later", "fits"),
    [
        ([[[16, 4.5]]], True),
        ([[[16, 4.5]], 0.9], True),
        ([[[16, 4.5]], "0.9"], False),
        ([[[16, 4.5]], True], False),
        ([[[16, 4.5]], 0.9, 16], True),
        ([[[16, 4.5]], 0.9, 0.9], False),
        ([[[16, 4.5]], 0.9, -1], False),
        ([[[16, 4.5]], 0.9, 16, 0], True),
        ([[[16, 4.5]], 0.9, 16, 10], True),
        ([[[16, 4.5]], 0.9, 16, 50], True),
        ([[[16, 4.5]], 0.9, 16, 51], False),  # of 50 rows
        ([[[16, 4.5]], 0.9, 16, 9], False),  # less than its k
        ([[[16, 4.5]], 0.9, 16, 12.0], False),
        ([[[16, 4.5]], 0.9, 16, 12, 12], False),
        ([[[8, 4.5]], 0.9], False),  # less effort than the point begins with
        ([0.9, [[16, 4.5]]], False),
    ],
)
def test_what_follows_a_point_is_checked(root: Path, later: list[object], fits: bool) -> None:
    with vs.create(root, dim=2, limits=vs.Limits(smallest_index_rows=1)) as c:
        c.add([{"id": number, "vector": [1.0, number]} for number in range(50)])
        c.build_index("Flat")
    manifest = log.load(root)
    (entry,) = manifest.indexes
    points = {"surface": [[16, 40, 10, 0.9, 0.8, 5.0, 0.0, 0.9, 0.1, *later]]}
    changed = replace(entry, calibration=None, inline_calibration=points)
    if fits:
        require_consistent(replace(manifest, indexes=(changed,)))
    else:
        with pytest.raises(ValueError, match=r"surface\[0\] is "):
            require_consistent(replace(manifest, indexes=(changed,)))
