"""What is fuzzed: functions of bytes that may raise nothing but vecsearch's own errors, with the
seeds to begin from.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from support.postings import places_of

import vecsearch as vs
from vecsearch.index import auto, recipe
from vecsearch.index.kernels import numpy_bm25
from vecsearch.ingest.rows import check_times
from vecsearch.ingest.sources import open_source
from vecsearch.query.filter import compile_filter
from vecsearch.storage import disk, manifest_json
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.manifest import EmbedderEntry, IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.named_vectors import VectorColumn
from vecsearch.storage.text_files import read_postings, write_postings
from vecsearch.text.analyzer import Analyzer
from vecsearch.text.dictionary import Dictionary
from vecsearch.text.postings import Postings, postings_of

ROWS = pa.record_batch(
    {
        "id": pa.array([1, 2, 3]),
        "text": pa.array(["one", None, "三"], pa.large_string()),
        "price": pa.array([1.5, None, -3.0]),
        "day": pa.array([0, 1, None], pa.date32()),
        "tags": pa.array([["a"], [], None], pa.list_(pa.large_string())),
        "flag": pa.array([True, None, False]),
    }
)


@dataclass(frozen=True)
class Target:
    """`run` gets any bytes. `modules` are those whose branches guide the search for new inputs."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    modules: tuple[str, ...]


def _filter(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        mask = compile_filter(text, ROWS.schema).mask(ROWS)
    except vs.FilterError as error:
        assert len(str(error)) < 10_000
        return
    assert mask.shape == (3,) and mask.dtype == bool


def _recipe(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        made = recipe.parse_recipe(text)
    except vs.RecipeError:
        return
    assert recipe.parse_recipe(made.to_toml()) == made
    auto.estimated_bytes(made, 1000, 64)


def signed(body: Any) -> str:
    """A manifest with the checksum that its body asks for."""
    return manifest_json.sign(body)


def _manifest(data: bytes) -> None:
    """As it is, and with the right checksum, so that the reader looks inside."""
    text = data.decode("utf-8", "replace")
    texts = [text]
    with contextlib.suppress(ValueError, RecursionError):
        texts.append(signed(json.loads(text)))
    for each in texts:
        try:
            manifest = manifest_json.from_json(each, "m.json")
        except vs.CorruptedError as error:
            assert "m.json" in str(error)
            continue
        assert manifest_json.from_json(manifest_json.to_json(manifest), "m.json") == manifest


def _schema(data: bytes) -> None:
    """The Arrow schema in a manifest is decoded by C++ code."""
    body = json.loads(_manifest_body())
    body["schema"] = base64.b64encode(data).decode()
    try:
        manifest_json.from_json(signed(body), "m.json")
    except vs.CorruptedError as error:
        assert "m.json" in str(error)


def _file(suffix: str) -> Callable[[bytes], None]:
    folder = Path(tempfile.mkdtemp(prefix="vecsearch-fuzz-"))
    path = folder / f"data{suffix}"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            for number, batch in enumerate(open_source(path).batches):
                try:
                    batch.validate(full=True)  # as `add` does before it looks at the values
                except pa.ArrowInvalid:
                    return
                check_times(batch, 0)
                batch.to_pylist()
                if number == 20:
                    break
        except vs.VecsearchError as error:
            assert str(error)

    return run


def _some_postings() -> Postings:
    texts = ["one two three", "three running three", "三三两两", ""]
    return postings_of([texts, [None, "two", "two runs", "x"]], Analyzer())


def _postings(data: bytes) -> None:
    """A file of postings with right checksums: it is refused, or every list of it can be read."""
    folder = Path(tempfile.mkdtemp(prefix="vecsearch-fuzz-"))
    path = folder / "a.text.arrow"
    path.write_bytes(data)
    try:
        postings = read_postings(CheckedFile(folder, disk.describe(folder, path, path.name)), 4, 2)
    except vs.CorruptedError as error:
        assert path.name in str(error)
        return
    finally:
        path.unlink()
        folder.rmdir()
    places = places_of(postings)
    found, scores = np.empty(4, np.int64), np.empty(4)
    count = numpy_bm25.best_rows(
        *(places, np.ones(len(places)), np.arange(len(places) + 1)),
        *(np.ones(len(places)), np.ones(len(places))),
        *(1 / (1.0 + postings.lengths), 1.2, np.empty(0, bool), 0, np.zeros(4), np.zeros(4)),
        *(np.empty(5, np.int64), found, scores),
    )
    assert 0 <= count <= 4 and np.isfinite(scores[:count]).all()
    for words in (postings.terms, postings.forms):
        dictionary = Dictionary(words)
        for number, word in enumerate(words.to_pylist()):
            assert dictionary.find(word) == number


def _postings_file() -> bytes:
    path = Path(tempfile.mkdtemp(prefix="vecsearch-fuzz-")) / "a.text.arrow"
    write_postings(path, _some_postings())
    content = path.read_bytes()
    path.unlink()
    path.parent.rmdir()
    return content


def _manifest_body() -> str:
    ref = FileRef("segments/a.arrow", 100, "00000000")
    index = FileRef("indexes/b.faiss", 100, "00000000")
    manifest = {
        "surface": [[16, 20, 10, 0.9, 0.8, 30.5]],
        "seed": 1,
        "queries": 3,
        "exact_micros_per_row": 0.2,
    }
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("文", pa.large_string()),
            pa.field(
                "vector",
                pa.list_(pa.field("item", pa.float32(), nullable=False), 2),
                nullable=False,
            ),
            VectorColumn(3, vs.Metric.COSINE, multi=True).field("tokens"),
        ]
    )
    version = Manifest(
        3,
        schema,
        vs.Metric.L2,
        2,
        "float32",
        "文",
        EmbedderEntry("toy:2", "0a"),
        None,
        (SegmentEntry(ref, ref, 4, 3, 1, ref),),
        (
            IndexEntry(
                "b", (index,), (ref.name,), 30, {"name": "x", "kind": "hnsw"}, index, None, manifest
            ),
        ),
        vector_indexes={
            "tokens": (IndexEntry("b", (index,), (ref.name,), 30, {"name": "x"}, None, index),)
        },
    )
    return json.dumps(json.loads(manifest_json.to_json(version))["body"], ensure_ascii=False)


def _table() -> pa.Table:
    return pa.table(
        {
            "id": ["a", "b"],
            "text": ["one", "三"],
            "tags": pa.array([["x"], None]),
            "kind": pa.array(["k", "k"]).dictionary_encode(),
            "when": pa.array([0, None], pa.timestamp("us", "UTC")),
        }
    )


def _arrow(compression: str | None, form: Any = pa.ipc.new_file) -> bytes:
    sink = io.BytesIO()
    with form(
        sink, _table().schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as writer:
        writer.write_table(_table())
    return sink.getvalue()


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(_table(), sink)
    return sink.getvalue()


def _npy() -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.ones((2, 3), np.float32))
    return sink.getvalue()


FILTERS = (
    "price >= 1.5 AND text IN ('one', '三') OR NOT flag",
    "day BETWEEN DATE '1970-01-01' AND DATE '2000-02-29' AND tags IS NOT NULL",
    "array_contains(tags, 'a') AND length(text) > 2 AND lower(text) LIKE 'o%'",
    "CAST(id AS DOUBLE) / 2 + price * -1 <> 3e5 AND (text || 'x') = 'onex'",
    "CASE WHEN flag THEN id ELSE 0 END = 1",
)
RECIPES = (
    'name = "a"\nkind = "hnsw"\ncode = "sq8"\nM = 24\nef_construction = 160\nreduced = 32\n',
    'name = "b"\nkind = "factory"\nfactory = "IVF64,Flat"\nseed = 3\n',
    'name = "c"\nkind = "ivf"\ncode = "pq4"\nnlist = 100\ndescription = "文"\n',
)
CSV = 'id,text,n,tags\n1,"one, and ""more""",1.5,\n2,三,,x\n'.encode()
JSONL = (
    '{"id": 1, "text": "one", "tags": ["a", null], "at": {"x": 1.5}}\n{"id": 2, "text": "三"}\n'
).encode()
READERS = ("vecsearch.ingest.sources",)

TARGETS = {
    "filter": Target(
        _filter, tuple(text.encode() for text in FILTERS), ("vecsearch.query.filter", "sqlglot")
    ),
    "recipe": Target(
        _recipe, tuple(text.encode() for text in RECIPES), ("vecsearch.index.recipe", "tomllib")
    ),
    "manifest": Target(
        _manifest,
        (_manifest_body().encode(),),
        ("vecsearch.storage.manifest", "vecsearch.storage.manifest_check"),
    ),
    "schema": Target(
        _schema, (_table().schema.serialize().to_pybytes(),), ("vecsearch.storage.manifest",)
    ),
    "csv": Target(
        _file(".csv"), (CSV, CSV.decode().encode("utf-16"), CSV.decode().encode("gb18030")), READERS
    ),
    "tsv": Target(_file(".tsv"), (CSV.replace(b",", b"\t"),), READERS),
    "jsonl": Target(_file(".jsonl"), (JSONL, JSONL.decode().encode("utf-16")), READERS),
    "text": Target(_file(".txt"), ("A text.\n\n三。".encode(), "三".encode("gb18030")), READERS),
    "parquet": Target(_file(".parquet"), (_parquet(),), READERS),
    "arrow": Target(
        _file(".arrow"), (_arrow(None), _arrow("zstd"), _arrow(None, pa.ipc.new_stream)), READERS
    ),
    "npy": Target(_file(".npy"), (_npy(),), READERS),
    "postings": Target(
        _postings, (_postings_file(),), ("vecsearch.storage.text_files", "vecsearch.text")
    ),
}
