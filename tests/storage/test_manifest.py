"""The manifest on disk: the same bytes as before, and what the model derives from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import vecsearch as vs
from vecsearch.storage import log, manifest_json
from vecsearch.storage.layout import CALIBRATION_KEY

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
