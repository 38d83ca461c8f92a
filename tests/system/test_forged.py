"""A stranger's collection, with checksums that are right, ends no process and reads nothing outside
its files: data is refused by name, and without derived data searches are exact.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pytest
from support import forge

import vecsearch as vs
from vecsearch.index.faiss import read_index
from vecsearch.storage import log
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.text_files import read_postings, write_postings
from vecsearch.text.postings import Postings

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
SEED = int(os.environ.get("VECSEARCH_SEED", random.SystemRandom().randrange(10**6) if SOAK else 1))
CHILD = Path(forge.__file__).with_name("hostile_child.py")
Forgery = Callable[[Path], None]
ROWS, INDEXED = 58, 59  # of the first segment, and of the index of `forge.make`


def segment(root: Path) -> Any:
    return log.load(root).segments[0]


def offsets(column: str, at: Any, value: int, kind: type = np.int64) -> Forgery:
    def poke(part: bytearray) -> None:
        np.frombuffer(part, kind)[at] = value

    return lambda root: forge.patch_buffer(root, segment(root).file, column, 1, poke)


def not_utf8(column: str) -> Forgery:
    def poke(part: bytearray) -> None:
        part[:] = b"\xff" * len(part)

    return lambda root: forge.patch_buffer(root, segment(root).file, column, 2, poke)


def arrow(of: Callable[[Path], FileRef], table: dict[str, Any]) -> Forgery:
    content = forge.arrow_bytes(pa.record_batch(table))
    return lambda root: forge.replace_file(root, of(root).name, content)


def ids(**table: Any) -> Forgery:
    return arrow(lambda root: segment(root).ids, table)


def dead(rows: Any) -> Forgery:
    return arrow(lambda root: segment(root).tombstones, {"row": rows})


def dead_bits(mask: Any) -> Forgery:
    return arrow(lambda root: segment(root).tombstones, {"deleted": mask})


def labels(rows: Any) -> Forgery:
    return arrow(lambda root: log.load(root).indexes[0].labels, {"row": rows})


def calibration(content: bytes) -> Forgery:
    return lambda root: forge.replace_file(
        root, log.load(root).indexes[0].calibration.name, content
    )


def whole_segment(change: Callable[[pa.RecordBatch], bytes]) -> Forgery:
    def forgery(root: Path) -> None:
        name = segment(root).file.name
        batch = pa.ipc.open_file(pa.BufferReader((root / name).read_bytes())).get_batch(0)
        forge.replace_file(root, name, change(batch))

    return forgery


def with_column(name: str, column: pa.Array) -> Callable[[pa.RecordBatch], bytes]:
    def change(batch: pa.RecordBatch) -> bytes:
        at = batch.schema.get_field_index(name)
        field = pa.field(name, column.type, nullable=False)
        return forge.arrow_bytes(batch.set_column(at, field, column))

    return change


def part(**arrays: Any) -> Forgery:
    """Other arrays in the index file; None removes one."""

    def change(_: Any, rest: dict[str, Any]) -> None:
        for name, array in arrays.items():
            rest.pop(name)
            if array is not None:
                rest[name] = array

    return lambda root: forge.change_index(root, change)


def graph(name: str, at: Any, value: int) -> Forgery:
    """Numbers in one of FAISS's arrays of a graph, or its entry point or highest level."""

    def change(index: Any, _: dict[str, Any]) -> None:
        if at is None:
            setattr(index.hnsw, name, value)
        else:
            vector = getattr(index.hnsw, name)
            faiss.rev_swig_ptr(vector.data(), vector.size())[at] = value

    return lambda root: forge.change_index(root, change)


def upper_links_to_the_ground(root: Path) -> None:
    """Links of upper levels lead to a node that has only the lowest one."""

    def change(index: Any, _: dict[str, Any]) -> None:
        hnsw = index.hnsw
        levels, starts = (
            faiss.vector_to_array(each) for each in (hnsw.levels, hnsw.cum_nneighbor_per_level)
        )
        first = faiss.vector_to_array(hnsw.offsets).astype(np.int64)
        links = faiss.rev_swig_ptr(hnsw.neighbors.data(), hnsw.neighbors.size())
        ground = int(np.flatnonzero(levels == 1)[-1])
        for node in np.flatnonzero(levels > 1):
            links[first[node] + starts[1] : first[node] + starts[levels[node]]] = ground

    forge.change_index(root, change)


def u32(numbers: Any) -> Any:
    return np.array(numbers, np.uint32)


EVERY, KEYS = u32(range(ROWS)), np.arange(ROWS)
VECTOR = pa.list_(pa.field("item", pa.float32(), nullable=False), 8)

REFUSED: dict[str, Forgery] = {  # data: an error that names the file
    "an id begins far outside": offsets("id", 5, 2**40),
    "the last id ends outside": offsets("id", -1, 10**6),
    "the first id begins outside": offsets("id", 0, 2**62),
    "ids begin before the file": offsets("id", slice(None), -5),
    "a text begins far outside": offsets("note", 5, 2**40),
    "the last text ends outside": offsets("note", -1, 10**6),
    "texts end before they begin": offsets("note", slice(1, None, 2), 3),
    "a list begins outside": offsets("tags", 3, 2**31 - 1, np.int32),
    "a list ends before it begins": offsets("tags", 3, -5, np.int32),
    "ids are not UTF-8": not_utf8("id"),
    "texts are not UTF-8": not_utf8("note"),
    "rows of ids outside": ids(key=KEYS, row=u32([4 * 10**9] * ROWS)),
    "few ids": ids(key=KEYS[:5], row=EVERY[:5]),
    "ids not in order": ids(key=KEYS[::-1].copy(), row=EVERY),
    "keys are texts": ids(key=pa.array(["x"] * ROWS), row=EVERY),
    "no keys": ids(k=KEYS, row=EVERY),
    "rows of ids are null": ids(key=KEYS, row=pa.array([None] * ROWS, pa.uint32())),
    "deleted rows outside": dead(u32([4 * 10**9])),
    "a deleted row twice": dead(u32([1, 1])),
    "no deleted rows": dead(u32([])),
    "deleted rows below 0": dead(np.array([-1])),
    "deleted rows that are no numbers": dead(np.array([np.nan])),
    "deleted rows that are null": dead(pa.array([None], pa.uint32())),
    "too few bits": dead_bits(np.arange(ROWS - 1) == 0),
    "too many bits": dead_bits(np.arange(ROWS + 1) == 0),
    "two deleted, not one": dead_bits(np.arange(ROWS) < 2),
    "bits that are null": dead_bits(pa.array([None] + [True] * (ROWS - 1))),
    "bits that are numbers": dead_bits(np.zeros(ROWS, np.uint32)),
    "a compressed segment": whole_segment(lambda batch: forge.arrow_bytes(batch, "zstd")),
    "fewer rows": whole_segment(lambda batch: forge.arrow_bytes(batch.slice(0, 5))),
    "ids of another type": whole_segment(with_column("id", pa.array(range(ROWS)))),
    "ids that are null": whole_segment(
        with_column("id", pa.array([None] * ROWS, pa.large_string()))
    ),
    "vectors that are null": whole_segment(with_column("vector", pa.array([None] * ROWS, VECTOR))),
    "vectors of another length": whole_segment(
        with_column(
            "vector", pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(ROWS * 4, "f4")), 4)
        )
    ),
    "half a segment": whole_segment(lambda batch: forge.arrow_bytes(batch)[:1000]),
}

EXACT: dict[str, Forgery] = {  # derived data: a warning, and exact search
    "labels outside": labels(np.full(INDEXED, 2**40)),
    "labels below -1": labels(np.full(INDEXED, -7)),
    "labels twice": labels(np.zeros(INDEXED, np.int64)),
    "few labels": labels(np.arange(5)),
    "labels are texts": labels(pa.array(["a"] * INDEXED)),
    "a short order": part(order=np.arange(5, dtype=np.int32)),
    "an order outside": part(order=np.full(INDEXED + 1, 2**30, np.int32)),
    "an order that repeats": part(order=np.append(np.zeros(INDEXED), -1).astype(np.int32)),
    "an order without end": part(order=np.arange(INDEXED + 1, dtype=np.int32)),
    "an order of fractions": part(order=np.arange(INDEXED + 1.0)),
    "no order": part(order=None, matrix=None),
    "a small matrix": part(matrix=np.ones((3, 3), np.float32)),
    "a matrix of NaN": part(matrix=np.full((32, 8), np.nan, np.float32)),
    "a wide matrix": part(matrix=np.ones((64, 8), np.float32)),
    "a short offset": part(offset=np.ones(3, np.float32)),
    "a center of two dimensions": part(center=np.ones((8, 1), np.float32)),
    "unusual rows outside": part(outliers=np.array([10**12])),
    "unusual rows below 0": part(outliers=np.array([-7])),
    "a scale of NaN": part(scale=np.float64("nan")),
    "a radius that is a list": part(max_radius=np.arange(3)),
    "facts that are no JSON": part(facts=np.frombuffer(b"\xff[[[", np.uint8)),
    "facts too deep": part(facts=np.frombuffer(b"[" * 100_000, np.uint8)),
    "a calibration that is no JSON": calibration(b"\xff[[["),
    "a calibration too deep": calibration(b"[" * 100_000),
    "a calibration that is a list": calibration(b"[]"),
    "a calibration without end": calibration(b'{"surface": [[1e999, 1, 1, 1, 1, 1]]}'),
    "a calibration of 400 digits": calibration(
        b'{"surface": [[8, 10, 10, 1' + b"0" * 400 + b", 0.4, 2.5]]}"
    ),
    "a point deeper than the index": calibration(b'{"surface": [[8, 99, 10, 0.5, 0.4, 2.5]]}'),
    "links outside": graph("neighbors", slice(None), INDEXED),
    "a link far outside": graph("neighbors", 3, 2 * 10**9),
    "a link below -1": graph("neighbors", 3, -5),
    "links that lead to a lower level": upper_links_to_the_ground,
    "links begin outside": graph("offsets", 0, 2**40),
    "links overlap": graph("offsets", 5, 0),
    "an entry point outside": graph("entry_point", None, INDEXED),
    "no entry point": graph("entry_point", None, -1),
    "a level too high": graph("max_level", None, 500_000),
    "a node of level 50": graph("levels", 0, 50),
    "wide levels": graph("cum_nneighbor_per_level", 1, 10**6),
}


def postings(root: Path) -> Postings:
    entry = segment(root)
    return read_postings(CheckedFile(root, entry.text), entry.rows, 1)


def words(root: Path, **arrays: Any) -> None:
    """Other arrays in the postings of the first segment."""
    name = segment(root).text.name
    content = root / "forged.arrow"
    write_postings(content, replace(postings(root), **arrays))
    forged = content.read_bytes()
    content.unlink()
    forge.replace_file(root, name, forged)


def spoiled_words(root: Path, rng: random.Random) -> None:
    """Some numbers of one array of postings changed."""
    name = rng.choice(("starts", "rows", "counts", "lengths"))
    array = getattr(postings(root), name).copy()
    flat = array.reshape(-1)
    most = int(np.iinfo(array.dtype).max)
    for _ in range(rng.choice((1, 1, 3, len(flat)))):
        value = rng.choice((0, 1, 57, 58, len(flat), most, most // 2, rng.randrange(most)))
        flat[rng.randrange(len(flat))] = value
    words(root, **{name: array})


class Children:
    """Processes that use collections in children of theirs, one for each kind of kernels."""

    def __init__(self, honest: Path, folder: Path) -> None:
        self._honest, self._folder = honest, folder
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def use(self, kernels: str, roots: list[Path]) -> list[dict[str, Any]]:
        """What each child said, and how it ended."""
        if kernels not in self._processes:
            self._processes[kernels] = self._start(kernels)
        process = self._processes[kernels]
        assert process.stdin is not None and process.stdout is not None
        answers = []
        for root in roots:
            print(root, file=process.stdin, flush=True)
            said = iter(process.stdout.readline, "")
            line = next((line for line in said if line.startswith("{")), None)  # FAISS prints too
            assert line, (root, (self._folder / f"{kernels}.txt").read_text()[-2000:])
            answers.append(json.loads(line))
        return answers

    def _start(self, kernels: str) -> subprocess.Popen[str]:
        copy = forge.copy(self._honest, self._folder / f"{kernels}.vs")
        with (self._folder / f"{kernels}.txt").open("w") as errors:
            return subprocess.Popen(
                [sys.executable, "-W", "ignore", str(CHILD), kernels, str(copy)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def close(self) -> None:
        for process in self._processes.values():
            process.communicate()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = forge.make(tmp_path_factory.mktemp("whole") / "c.vs")
    entry = log.load(root)
    assert (entry.segments[0].rows, entry.segments[0].deleted) == (ROWS, 1)
    assert entry.indexes[0].rows == INDEXED and entry.indexes[0].labels is not None
    return root


@pytest.fixture(scope="module")
def children(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    children = Children(whole, tmp_path_factory.mktemp("children"))
    yield children
    children.close()


@pytest.mark.parametrize("kernels", ["numba", "faiss"])
def test_what_is_forged_is_refused_or_searched_without(
    kernels: str, whole: Path, tmp_path: Path, children: Children
) -> None:
    cases = EXACT if kernels == "faiss" else REFUSED | EXACT
    roots = []
    for number, forgery in enumerate(cases.values()):
        roots.append(forge.copy(whole, tmp_path / f"{number}.vs"))
        forgery(roots[-1])
    wrong = []
    for name, root, answer in zip(cases, roots, children.use(kernels, roots), strict=True):
        said, warned = "\n".join(answer["said"]), "\n".join(answer["warned"])
        # A damaged id file is derived data, and needed all the same: without it nothing is found.
        right = str(root) in said if name in REFUSED else "searches are exact" in warned
        if answer["code"] or not right or (name in EXACT and said):
            wrong.append((name, answer["code"], said[:300], warned[:300]))
    assert not wrong, wrong


def test_an_honest_collection_says_nothing(whole: Path, tmp_path: Path, children: Children) -> None:
    (answer,) = children.use("numba", [forge.copy(whole, tmp_path / "c.vs")])
    assert answer == {"code": 0, "said": [], "warned": []}


def test_searches_without_the_index_are_exact(whole: Path, tmp_path: Path) -> None:
    root = forge.copy(whole, tmp_path / "c.vs")
    graph("neighbors", slice(None), INDEXED)(root)
    queries = np.random.default_rng(3).normal(size=(5, 8)).astype(np.float32)
    with vs.open(whole) as right, vs.open(root) as forged:
        with pytest.warns(RuntimeWarning, match="searches are exact"):
            found = [forged.search(query, k=7).ids for query in queries]
        assert found == [right.search(query, k=7, exact=True).ids for query in queries]
        assert forged.plan(queries[0]).method == "exact"


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few numbers of a file changed, mostly near its ends, where its parts are described."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        near = min(2000, len(data))
        at = rng.choice((rng.randrange(len(data)), rng.randrange(near), -1 - rng.randrange(near)))
        at %= len(data)
        value = rng.choice((b"\xff" * 8, b"\0" * 8, (2**31 - 1).to_bytes(8, "little"), b"\x01"))
        data[at : at + len(value)] = value[: len(data) - at]
    return bytes(data)


def test_mutated_files_end_no_process(whole: Path, tmp_path: Path, children: Children) -> None:
    """Files of every kind with changed bytes, and the checksums of what they became."""
    rng = random.Random(SEED)
    latest = log.load(whole)
    entry, index = latest.segments[0], latest.indexes[0]
    assert entry.tombstones is not None and entry.text is not None
    assert index.labels is not None and index.calibration is not None
    refs = (
        entry.file,
        entry.ids,
        entry.tombstones,
        entry.text,
        index.labels,
        index.calibration,
        *index.files * 3,
    )
    roots = []
    for number in range(len(refs) * (100 if SOAK else 3)):
        name = refs[number % len(refs)].name
        roots.append(forge.copy(whole, tmp_path / f"{number}.vs"))
        forge.replace_file(roots[-1], name, mutated((whole / name).read_bytes(), rng))
    answers = children.use("numba", roots)
    wrong = [(root.name, answer) for root, answer in zip(roots, answers, strict=True)]
    assert not [pair for pair in wrong if pair[1]["code"]], (SEED, wrong)


def test_forged_words_end_no_process_and_other_answers_stay(
    whole: Path, tmp_path: Path, children: Children
) -> None:
    """Postings with other numbers and right checksums: texts are read where they do not fit."""
    rng = random.Random(SEED)
    roots = []
    for number in range(400 if SOAK else 6):
        roots.append(forge.copy(whole, tmp_path / f"{number}.vs"))
        spoiled_words(roots[-1], rng)
    roots.append(forge.copy(whole, tmp_path / "text.vs"))
    forge.replace_file(roots[-1], segment(roots[-1]).text.name, b"no Arrow file")
    with vs.open(whole) as c:
        right = c.search("note", k=100, mode="text")
    refused = 0
    for root in roots:
        try:
            postings(root)
        except vs.CorruptedError:
            with vs.open(root) as c:
                found = c.search("note", k=100, mode="text")
            assert (found.ids, found.scores.tolist()) == (right.ids, right.scores.tolist())
            refused += 1
    assert refused > len(roots) // 2
    answers = children.use("numba", roots)
    wrong = [(root.name, each) for root, each in zip(roots, answers, strict=True)]
    assert not [pair for pair in wrong if pair[1]["code"] or pair[1]["said"]], (SEED, wrong)


@pytest.mark.parametrize("recipe", ["Flat", "IVF2,Flat", "IVF2,SQ8", "PCA4,HNSW4", "PQ4x4", "SQ8"])
def test_lists_and_codes_of_other_kinds(recipe: str, tmp_path: Path) -> None:
    """An honest index of each kind opens; one that lacks a row does not."""
    root = forge.make(tmp_path / "c.vs", recipe)
    path = root / log.load(root).indexes[0].files[0].name
    assert read_index(path).n == INDEXED

    def change(index: Any, _: dict[str, Any]) -> None:
        inner = faiss.downcast_index(index)
        if isinstance(inner, faiss.IndexIVF):
            for number in range(inner.nlist):
                if size := inner.invlists.list_size(number):
                    faiss.rev_swig_ptr(inner.invlists.get_ids(number), size)[:] = 10**9
        else:
            index.ntotal -= 1

    forge.change_index(root, change)
    with pytest.raises(vs.CorruptedError, match="Build the index again"):
        read_index(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_vectors_that_end_a_process_within_k_means_are_refused(value: float) -> None:
    """FAISS throws from a thread of OpenMP, which ends the process. In a child, if it were so."""
    script = """
import numpy as np, sys
from vecsearch.errors import CorruptedError
from vecsearch.index.faiss.regions import regions_of
vectors = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
vectors[3] = np.float32(sys.argv[1])
try:
    regions_of(vectors, vectors[:5], 4, 0)
except CorruptedError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(value)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "stored vectors are damaged" in done.stdout, done
