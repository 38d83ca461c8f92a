"""Data sets of Hugging Face in and out of a collection."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from support.doc_blocks import run_page
from support.doctests import run_examples

import vecsearch as vs
from vecsearch.integrations import datasets as adapter
from vecsearch.integrations.datasets import to_dataset

ROOT = Path(__file__).parents[2]
ROWS = {
    "id": [f"d{n}" for n in range(50)],
    "text": [f"a text about the number {n}" for n in range(50)],
    "n": list(range(50)),
    "tags": [["odd"] * (n % 2) for n in range(50)],
}


@pytest.fixture
def data() -> datasets.Dataset:
    return datasets.Dataset.from_dict(ROWS)


def collection(path: Path, **options: Any) -> vs.Collection:
    return vs.create(path / "c.vs", **({"embedder": "toy:32"} | options))


def test_in_and_out(data: datasets.Dataset, tmp_path: Path) -> None:
    with collection(tmp_path) as c:
        assert c.add(data).added == 50
        assert c.to_arrow(["id", "text", "n", "tags"]).to_pydict() == ROWS
        back = to_dataset(c)
        assert back.column_names == [*ROWS, "vector"]
        assert back.remove_columns("vector").to_dict() == ROWS
        assert np.allclose(back.with_format("numpy")["vector"][:], c.features(ROWS["id"]))
        some = to_dataset(c, ["n"], where="n >= 45", ids=["d44", "d45", "d46"])
        assert some.to_dict() == {"n": [45, 46]}
        hits = c.search("number 7", k=3)
        found = to_dataset(hits, ["id"])
        assert found["id"][:] == hits.ids and found["rank"][:] == [1, 2, 3]


def test_what_was_chosen_is_what_comes_in(data: datasets.Dataset, tmp_path: Path) -> None:
    chosen = data.shuffle(seed=1).select(range(10)).filter(lambda row: row["n"] % 2 == 0)
    with collection(tmp_path) as c:
        c.add(chosen)
        assert c.to_arrow(["n"])["n"].to_pylist() == chosen["n"][:]
        c.add(data.select([1]).with_format("numpy", columns=["id", "text"]))
        assert c.get("d1")[0]["n"] is None
        c.add(data.select([3]).to_iterable_dataset())
        assert c.get("d3", ["n", "tags"]) == [{"n": 3, "tags": ["odd"]}]


def test_vectors_and_labels(tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "vector": datasets.List(datasets.Value("float32"), 4),
            "label": datasets.ClassLabel(names=["no", "yes"]),
        }
    )
    vectors = np.eye(4, dtype=np.float32)
    data = datasets.Dataset.from_dict(
        {"vector": vectors.tolist(), "label": [0, 1, 1, 0]}, features=features
    )
    with collection(tmp_path, embedder=None, dim=4) as c:
        c.add(data)
        assert c.to_arrow(["label"])["label"].to_pylist() == [0, 1, 1, 0]
        assert c.search(vectors[2], k=1).ids == [2]


def test_json_is_text(tmp_path: Path) -> None:
    with collection(tmp_path, json_columns=["meta"]) as c:
        c.add([{"text": "a", "meta": {"x": 1}}])
        assert to_dataset(c, ["meta"])[0] == {"meta": '{"x":1}'}


def test_pictures_are_pictures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.new("RGB", (8, 8), "red").save(file, "PNG")
    data = datasets.Dataset.from_dict(
        {"text": [{"bytes": file.getvalue(), "path": None}]},
        features=datasets.Features({"text": datasets.Image()}),
    )
    with pytest.raises(vs.VecsearchError) as caught, collection(tmp_path) as c:
        c.add(data)
    assert "embeds strings, not bytes" in str(caught.value)  # its pictures, as files


def test_errors(data: datasets.Dataset, tmp_path: Path) -> None:
    with collection(tmp_path) as c:
        splits = datasets.DatasetDict({"train": data, "test": data})
        with pytest.raises(vs.InvalidInputError, match=r"data\['train'\]"):
            c.add(splits)
        assert c.add(splits["train"]).added == 50
        with pytest.raises(vs.DuplicateIdError):
            c.add(splits["test"])
        for wrong in (lambda: to_dataset(c, ["no"]), lambda: to_dataset(c.search("x"), ids=["d1"])):
            with pytest.raises(vs.InvalidInputError):
                wrong()
        with pytest.raises(vs.VecsearchError):
            to_dataset("c.vs")  # type: ignore[arg-type]


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(adapter)


def test_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "datasets.md"
    result = run_page(page.read_text(encoding="utf-8"), tmp_path)
    assert not result.mismatches, "\n\n".join(map(str, result.mismatches))
