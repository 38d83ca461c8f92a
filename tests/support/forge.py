"""Forge files of a collection: other content, with checksums and a manifest that are right."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import faiss
import numpy as np
import pyarrow as pa

import vecsearch as vs
from vecsearch.index.faiss.writing import TRAILER
from vecsearch.storage import disk, log, manifest_json, segment_texts
from vecsearch.storage.disk import FileRef


def make(root: Path, recipe: Any = None, *, ids: str = "text", rows: int = 60) -> Path:
    """A collection with a file of every kind: segments, ids, words, tombstones, index, labels."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(rows + 2, 8)).astype(np.float32)
    recipe = recipe or vs.IndexRecipe(name="g", kind="hnsw", code="sq8", M=4, ef_construction=20)

    def row(n: int) -> dict[str, Any]:
        name = f"id {n}" if ids == "text" else n
        tags = ["a", None, f"tag {n}"][: n % 4]
        return {"id": name, "vector": vectors[n], "n": n, "note": f"note {n}", "tags": tags}

    limits = vs.Limits(smallest_index_rows=20)
    with (
        patch.object(segment_texts, "LITTLE_TEXT", 0),
        vs.create(root, dim=8, metric="l2", limits=limits) as c,
    ):
        c.add([row(n) for n in range(rows)])
        c.build_text_index(["note"], progress=False)
        c.delete([row(3)["id"]])
        c.compact()
        c.build_index(recipe)
        c.delete([row(5)["id"]])
        c.compact()
        c.add([row(rows), row(rows + 1)])
        c.delete([row(7)["id"], row(rows)["id"]])
    return root


def change_manifest(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the body of the latest manifest and sign it."""
    latest = log.load(root)
    body = json.loads(manifest_json.to_json(latest))["body"]
    change(body)
    log.path_of(root, latest.version).write_text(manifest_json.sign(body))


def older_manifest(signed: bytes) -> bytes:
    """A manifest as it was first written: indented, with a checksum that no white space changes."""
    body = json.dumps(json.loads(signed)["body"], ensure_ascii=False, sort_keys=True, indent=1)
    checksum = hashlib.sha256(body.encode()).hexdigest()
    return f'{{"checksum": "{checksum}",\n"body": {body}}}\n'.encode()


def replace_file(root: Path, name: str, content: bytes) -> None:
    """Give a file of the latest version other content, and its entry the checksums of it."""
    (root / name).unlink(missing_ok=True)
    (root / name).write_bytes(content)
    ref = disk.describe(root, root / name, name)

    def change(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("name") == name and "crc32" in value:
                value |= {"bytes": ref.bytes, "crc32": ref.crc32}
            for each in value.values():
                change(each)
        elif isinstance(value, list):
            for each in value:
                change(each)

    change_manifest(root, change)


def arrow_bytes(batch: pa.RecordBatch, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def patch_buffer(
    root: Path, ref: FileRef, column: str, buffer: int, change: Callable[[bytearray], None]
) -> None:
    """Change the bytes of one buffer of a column in place."""
    content = bytearray((root / ref.name).read_bytes())
    whole = pa.py_buffer(bytes(content))
    batch = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0)
    part = batch.column(column).buffers()[buffer]
    at = part.address - whole.address
    inside = content[at : at + part.size]
    change(inside)
    content[at : at + part.size] = inside
    replace_file(root, ref.name, bytes(content))


def change_index(root: Path, change: Callable[[Any, dict[str, Any]], None]) -> None:
    """Change the FAISS index and the npz of the index file."""
    (ref,) = log.load(root).indexes[-1].files
    content = (root / ref.name).read_bytes()
    size = int.from_bytes(content[-16:-8], "little")
    with np.load(io.BytesIO(content[-16 - size : -16])) as arrays:
        rest = dict(arrays)
    index = faiss.read_index(str(root / ref.name))
    change(index, rest)
    faiss.write_index(index, str(root / "forged.faiss"))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **rest)
    tail = buffer.getvalue()
    first = (root / "forged.faiss").read_bytes()
    (root / "forged.faiss").unlink()
    replace_file(root, ref.name, first + tail + len(tail).to_bytes(8, "little") + TRAILER)


def copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def use(root: Path) -> tuple[list[str], list[str]]:
    """All that reads a collection, and then what changes it: errors said, and warnings.

    Raises whatever is no VecsearchError.
    """
    said: list[str] = []
    queries = np.random.default_rng(6).normal(size=(3, 8)).astype(np.float32)
    calls: list[Callable[[vs.Collection], Any]] = [
        lambda c: [c.search(q, k=5).to_arrow() for q in queries],
        lambda c: c.search(queries[0], k=5, where="n < 40", recall=0.5).to_arrow(),
        lambda c: c.search_batch(queries, k=30, recall=0.99),
        lambda c: c.search(queries[0], k=5, where="note LIKE 'note 1%'").to_arrow(),
        lambda c: c.get(["id 1", "id 30", "id 61"] if _texts(c) else [1, 30, 61]),
        lambda c: c.to_arrow(),
        lambda c: c.search("note OR 1* OR nots~", k=30, mode="text").to_arrow(),
        lambda c: c.search(text="note 12", vector=queries[0], mode="hybrid").to_arrow(),
        lambda c: (c.info(), c.count("n > 3"), c.check()),
        lambda c: c.delete(where="n = 20"),
        lambda c: c.build_index(vs.IndexRecipe(name="g2", kind="ivf", code="sq8", nlist=2)),
        lambda c: c.compact(),
    ]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for number, call in enumerate(calls):
            try:
                with vs.open(root, limits=vs.Limits(smallest_index_rows=20)) as c:
                    call(c)
            except vs.VecsearchError as error:
                said.append(f"{number} {type(error).__name__}: {error}")
            except Exception as error:
                raise AssertionError(f"call {number}: {type(error).__name__}: {error}") from error
    return said, [str(item.message) for item in warned]


def _texts(c: vs.Collection) -> bool:
    return bool(pa.types.is_large_string(c._snapshot.manifest.schema.field("id").type))
