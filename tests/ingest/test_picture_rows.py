"""PIL images in rows: stored as PNG without a loss, embedded by a model of pictures."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from support.pictures import BYTES, MeanColor, create, opened
from support.tiny_clip import tiny_clip

import vecsearch as vs
from vecsearch.embedders import resolve_embedder

pytestmark = pytest.mark.skipif(find_spec("PIL") is None, reason="pillow is not installed")


def picture(mode: str = "RGB", seed: int = 0) -> Any:
    from PIL import Image

    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 4), np.uint8)
    if mode == "I;16":
        return Image.fromarray(values[:, :, :2].copy().view(np.uint16)[:, :, 0])
    return Image.fromarray(values, "RGBA").convert(mode)


def solid(*color: int) -> Any:
    from PIL import Image

    return Image.new("RGB", (4, 3), color)


ROWS = [("red", (255, 0, 0)), ("green", (0, 255, 0)), ("blue", (0, 0, 255))]


@pytest.mark.parametrize("kind", ["dicts", "iterator", "pandas", "polars", "list"])
def test_pictures_in_rows_are_embedded_and_stored_as_png(tmp_path: Path, kind: str) -> None:
    rows = [{"id": name, "picture": solid(*color)} for name, color in ROWS]
    data: Any = {
        "dicts": rows,
        "iterator": iter(rows),
        "pandas": pd.DataFrame(rows),
        "polars": pl.DataFrame(
            {
                "id": [row["id"] for row in rows],
                "picture": pl.Series([row["picture"] for row in rows], dtype=pl.Object),
            }
        ),
        "list": [row["picture"] for row in rows],
    }[kind]
    c = create(tmp_path / "c.vs")
    c.add(data)
    ids = [0, 1, 2] if kind == "list" else ["red", "green", "blue"]
    for (name, color), key in zip(ROWS, ids, strict=True):
        stored = c.get(key)[0]
        assert stored is not None and stored["id"] == key, name
        again = opened(stored["picture"])
        assert again.format == "PNG" and again.mode == "RGB" and again.size == (4, 3)
        assert np.asarray(again).tolist() == np.asarray(solid(*color)).tolist()
        np.testing.assert_array_equal(c.vector(key), np.array(color, np.float32) + 1)
        assert c.search(solid(*color), k=1).ids == [key]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
def test_pixels_of_every_mode_of_png_come_back(tmp_path: Path, mode: str) -> None:
    given = picture(mode)
    c = vs.create(tmp_path / "c.vs", dim=1, metric="l2")
    c.add([{"id": 1, "vector": [1.0], "p": given}, {"id": 2, "vector": [1.0], "p": None}])
    first, second = c.get([1, 2], ["p"])
    assert first is not None and second == {"p": None}
    again = opened(first["p"])
    assert again.size == given.size
    if mode == "P":
        given, again = given.convert("RGBA"), again.convert("RGBA")
    np.testing.assert_array_equal(np.asarray(again), np.asarray(given))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB", "F", "I"])
def test_modes_that_png_does_not_have_are_refused(tmp_path: Path, mode: str) -> None:
    c = create(tmp_path / "c.vs")
    rows = [{"picture": solid(1, 2, 3)}, {"picture": _in(mode)}]
    for data in (rows, pd.DataFrame(rows)):
        with pytest.raises(vs.InvalidInputError) as caught:
            c.add(data)
        assert f"row 1, column 'picture': a picture of mode {mode}" in str(caught.value)
        assert 'convert("RGB")' in str(caught.value)
    assert len(c) == 0
    assert c.add(rows, on_error="skip").report.failures[0].row == 1 and len(c) == 1


def _in(mode: str) -> Any:
    from PIL import Image

    return Image.new(mode, (3, 3))


def test_a_turned_photo_stays_turned(tmp_path: Path) -> None:
    from PIL import Image

    photo = Image.new("RGB", (8, 4))
    photo.getexif()[0x0112] = 6
    photo.save(tmp_path / "turned.jpg", exif=photo.getexif())
    c = create(tmp_path / "c.vs")
    with Image.open(tmp_path / "turned.jpg") as given:
        c.add([{"id": 1, "picture": given}])
        stored = c.get(1)[0]
        assert stored is not None
        again = opened(stored["picture"])
        assert again.getexif()[0x0112] == 6
        np.testing.assert_array_equal(np.asarray(again), np.asarray(given))


def test_bytes_of_files_are_stored_as_given(tmp_path: Path) -> None:
    sink = io.BytesIO()
    solid(10, 20, 30).save(sink, "PNG")
    c = create(tmp_path / "c.vs")
    c.add([{"id": 1, "picture": sink.getvalue()}])
    c.add([{"id": 2, "picture": solid(200, 20, 30)}])
    assert c.get(1) == [{"id": 1, "picture": sink.getvalue()}]
    np.testing.assert_array_equal(c.vector(1), [11, 21, 31])
    with pytest.raises(vs.InvalidInputError, match="the picture is empty"):
        c.add([{"id": 3, "picture": b""}])
    with pytest.raises(vs.InvalidInputError, match="row 0: the picture cannot be read"):
        c.add([{"id": 3, "picture": b"no picture"}])
    with pytest.raises(vs.InvalidInputError, match="column 'picture'"):
        c.add([{"id": 3, "picture": "a/path.png"}])  # the column holds pictures, not paths
    assert len(c) == 2 and vs.open(c.path, embedder=MeanColor()).search(solid(11, 20, 30)).ids == [
        1,
        2,
    ]


def test_pictures_survive_changes_and_exports(tmp_path: Path) -> None:
    c = create(tmp_path / "c.vs")
    c.add([{"id": name, "picture": solid(*color)} for name, color in ROWS])
    c.update("id = 'red'", {"picture": solid(9, 9, 9)})
    np.testing.assert_array_equal(c.vector("red"), [10, 10, 10])
    before = c.get(["red", "green"])
    c.compact()
    for ending in ("jsonl", "csv", "arrow", "parquet"):
        c.export(tmp_path / f"out.{ending}")
        back = create(tmp_path / f"{ending}.vs", schema=BYTES)
        back.add(tmp_path / f"out.{ending}")
        assert back.get(["red", "green"]) == before
    assert c.check() == []


def test_a_model_of_texts_takes_no_pictures(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    with pytest.raises(vs.InvalidInputError, match="embeds strings, not bytes"):
        c.add([{"text": solid(1, 2, 3)}])
    assert len(c) == 0
    c.add([{"text": "and a text is taken afterwards"}])
    with pytest.raises(vs.InvalidInputError, match="column 'text'"):
        c.add([{"text": solid(1, 2, 3)}])


@pytest.mark.parametrize("bare", [True, False])
def test_bytes_that_are_no_picture_are_named(tmp_path: Path, bare: bool) -> None:
    data: Any = [png(), b"nonsense", png()]
    data = data if bare else [{"picture": given} for given in data]
    c = create(tmp_path / "c.vs", schema=BYTES if bare else None)
    with pytest.raises(vs.InvalidInputError, match=r"row 1: the picture.* cannot be read") as said:
        c.add(data)
    assert "object at" not in str(said.value) and len(c) == 0
    assert c.add(data, on_error="skip").added == 2
    texts = vs.create(tmp_path / "t.vs", embedder="toy:8")
    with pytest.raises(vs.InvalidInputError, match="a list of bytes" if bare else "not bytes"):
        texts.add(data if bare else [{"text": png()}])


def png() -> bytes:
    file = io.BytesIO()
    picture().save(file, "PNG")
    return file.getvalue()


def test_a_picture_and_its_caption_are_vectors_of_one_space(tmp_path: Path) -> None:
    """No weights of a CLIP can be had offline: this one is tiny and random."""
    name = f"clip:{tiny_clip(tmp_path / 'clip')}"
    words = vs.NamedVector(embedder=name, of="caption")
    c = vs.create(tmp_path / "c.vs", embedder=name, text_column="picture", vectors={"words": words})
    pictures = [picture(seed=seed) for seed in range(3)]
    captions = ["a boat", "a tree", None]
    rows = [
        {"id": number, "picture": picture, "caption": caption}
        for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True))
    ]
    c.add(rows)
    model = resolve_embedder(name)
    again = vs.open(c.path)
    for query in ("a tree", pictures[2], tmp_path / "p.png"):
        if isinstance(query, Path):
            pictures[0].save(query)
        vector = model.embed_queries([query])[0]
        for using, stored in (
            (None, model.embed_documents(pictures)),
            ("words", model.embed_queries(captions[:2])),
        ):
            found = again.search(query, k=3, using=using)
            expected = stored @ vector / np.linalg.norm(vector) / np.linalg.norm(stored, axis=1)
            best = np.argsort(-expected)
            assert found.ids == best.tolist()
            np.testing.assert_allclose(found.scores, expected[best], atol=1e-5)
    assert again.search("a tree", k=1, using="words").ids == [1]
    assert again.search(pictures[2], k=1).ids == [2]
    again.update("id = 2", {"caption": "a tree"})
    assert sorted(again.search("a tree", k=2, using="words").ids) == [1, 2]
