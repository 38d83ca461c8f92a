"""The manifest on disk: the same bytes as before, and what the model derives from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import vecsearch as vs
from vecsearch.storage import log, manifest_json
from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import CALIBRATION_KEY
from vecsearch.storage.manifest import SegmentEntry, replace
from vecsearch.storage.manifest_check import require_consistent

GOLDEN = Path(__file__).parents[1] / "golden"
MANIFESTS = sorted(GOLDEN.glob("format*/*/manifests/*.json"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[-4:]))
def test_a_manifest_is_written_as_it_was_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    manifest = manifest_json.from_json(text, str(path))
    body = json.loads(text)["body"]
    if "settings" in body and "full_dim" in (body["embedder"] or {"full_dim": 0}):
        assert manifest_json.to_json(manifest) == text
    assert manifest_json.is_as_written(text)


def test_the_golden_manifests_were_found() -> None:
    assert len(MANIFESTS) > 5


def test_the_calibration_has_its_old_name_on_disk(root: Path) -> None:
    with vs.create(root, dim=2, limits=vs.Limits(smallest_index_rows=1)) as c:
        c.add([{"id": number, "vector": [1.0, number]} for number in range(50)])
        c.build_index("Flat")
    text = max((root / "manifests").iterdir()).read_text(encoding="utf-8")
    outer = json.loads(text)
    (entry,) = outer["body"]["indexes"]
    assert CALIBRATION_KEY in entry and "calibration" not in entry
    plain = json.dumps(outer["body"], ensure_ascii=False, sort_keys=True, indent=1)
    checksum = hashlib.sha256(plain.encode()).hexdigest()
    assert text == f'{{"checksum": "{checksum}",\n"body": {plain}}}\n'
    assert log.load(root).indexes[0].calibration == entry[CALIBRATION_KEY]


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
        changed = replace(entry, calibration={**entry.calibration, **points})
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
