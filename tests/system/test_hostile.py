"""Hostile input: nothing that is passed in may end the process, blow up the memory, or raise
anything but a clear error.
"""

from __future__ import annotations

import ast
import base64
import gzip
import json
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import vecsearch as vs
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import log, manifest, manifest_json

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
SEED = int(os.environ.get("VECSEARCH_SEED", random.SystemRandom().randrange(10**6) if SOAK else 1))
EXAMPLES = 2000 if SOAK else 40
fuzzing = settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.just(object())
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    """A collection that hostile questions are put to; what changes it must not be accepted."""
    c = vs.create(tmp_path_factory.mktemp("hostile") / "c.vs", embedder="toy:8")
    c.add([{"id": f"id {n}", "text": f"text {n}", "n": n, "tags": ["a"]} for n in range(20)])
    return c


# -- ids -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200 if SOAK else 20)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        min_size=1,
        max_size=20,
        unique=True,
    )
)
@example(
    [
        "\0",
        "\0\0",
        "../../etc/passwd",
        "\u202e\u200b",
        "é",
        "e\u0301",
        " ",
        "\n",
        "NULL",
        "'; DROP TABLE x; --",
    ]
)
@example(["\U0010ffff", "\ufeff", "\ufffe", "𝒳", "👩‍👩‍👧‍👦", "ﷺ", "𠮷野家", "-1", "1e5", "nan"])
def test_ids_are_any_text(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    c = vs.create(tmp_path_factory.mktemp("ids") / "c.vs", dim=2)
    c.add([{"id": name, "vector": [1.0, n], "n": n} for n, name in enumerate(ids)])
    assert c.get(ids, ["id", "n"]) == [{"id": name, "n": n} for n, name in enumerate(ids)]
    assert sorted(c.search([1, 1], k=100).ids) == sorted(ids)
    assert c.delete(ids[:1]).deleted == 1 and c.get(ids[:1]) == [None] and len(c) == len(ids) - 1
    with (
        pytest.raises(vs.DuplicateIdError) if len(ids) > 1 else pytest.raises(vs.InvalidInputError)
    ):
        c.add([{"id": ids[-1] if len(ids) > 1 else "", "vector": [1, 1], "n": 0}])


@pytest.mark.parametrize(
    "bad",
    [
        "\ud800",
        "a\udfffb",
        "",
        None,
        1.5,
        float("nan"),
        True,
        b"bytes",
        [1],
        {"a": 1},
        2**63,
        -(2**70),
    ],
)
def test_ids_that_cannot_be(tmp_path: Path, bad: object) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2)
    with pytest.raises(vs.InvalidInputError):
        c.add([{"id": bad, "vector": [1, 2]}])
    for first in (1, "text"):
        with vs.create(tmp_path / f"{first}.vs", dim=2) as other:
            other.add([{"id": first, "vector": [1, 2]}])
            for call in (other.get, other.delete):
                if not (bad == "" and first == "text"):
                    with pytest.raises(vs.InvalidInputError):
                        call([bad])
            with pytest.raises(vs.InvalidInputError):
                other.add([{"id": bad, "vector": [1, 2]}])
            assert len(other) == 1


def test_the_largest_id(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add([{"id": 2**63 - 1, "vector": [1, 2]}, {"id": -(2**63), "vector": [2, 1]}])
    assert c.get([2**63 - 1, -(2**63)], ["id"]) == [{"id": 2**63 - 1}, {"id": -(2**63)}]
    with pytest.raises(vs.InvalidInputError):
        c.add(np.ones((1, 2)))  # there is no next number
    assert len(c) == 2


# -- sizes -----------------------------------------------------------------------------------------


def test_long_strings(root: Path) -> None:
    long, text = "长" * 1_000_000 + "x" * 7_000_000, "长" * 100_000 + "x" * 700_000  # 10 and 1 MB
    c = vs.create(root, embedder="toy:8")
    c.add(
        [
            {"id": long, "text": text, "note": long},
            {"id": "short", "text": "short", "note": "short"},
        ]
    )
    assert c.get([long]) == [{"id": long, "text": text, "note": long}]
    assert c.search(text, k=1).ids == [long] and c.count("note LIKE '长%'") == 1
    with pytest.raises(vs.FilterError, match="characters"):
        c.count(f"note = '{long}'")
    with pytest.raises(vs.DuplicateIdError) as caught:
        c.add([{"id": long, "text": "again", "note": ""}])
    assert caught.value
    c.delete([long])
    assert len(c) == 1


def test_vectors_of_too_many_numbers(root: Path, tmp_path: Path) -> None:
    for dim in (100_000, 10**9, 2**63, -1):
        with pytest.raises(vs.InvalidInputError, match="must be a whole number from 1 to"):
            vs.create(tmp_path / "x.vs", dim=dim)
    c = vs.create(root, dim=3)
    long = np.ones(100_000, np.float32)
    with pytest.raises(vs.InvalidInputError, match=r"100,?000"):
        c.add([{"vector": long.tolist()}])
    with pytest.raises(vs.InvalidInputError):
        c.add(long[None])
    for ask in (c.search, lambda query: c.search_batch([query])):
        with pytest.raises(vs.InvalidInputError, match="shape"):
            ask(long)


@pytest.mark.parametrize("k", [10**9, 2**31, 2**63, 10**30, np.int64(10**15)])
def test_more_hits_than_there_are(shared: vs.Collection, k: int) -> None:
    assert len(shared.search("text", k=k)) == 20
    assert len(shared.search("text", k=k, exact=True, where="n < 5")) == 5
    assert [len(hits) for hits in shared.search_batch(["text", "more"], k=k)] == [20, 20]
    assert shared.plan("text", k=k).rows == 20


# -- calls with anything ---------------------------------------------------------------------------


@fuzzing
@given(ANYTHING)
def test_questions_of_any_kind(shared: vs.Collection, thing: Any) -> None:
    for call in (
        lambda: shared.search(thing, k=2),
        lambda: shared.search_batch([thing]),
        lambda: shared.search("text", where=thing),
        lambda: shared.count(thing),
        lambda: shared.get([thing]),
        lambda: shared.delete([thing]) if not isinstance(thing, str) else None,
        lambda: shared.search("text", k=1, recall=thing),
    ):
        try:
            call()
        except vs.VecsearchError as error:
            assert str(error)
    assert len(shared) == 20


@fuzzing
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["id", "vector", "a", "_norm", "", "\0", "列"]), ANYTHING),
        max_size=4,
    )
)
def test_rows_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    root = tmp_path_factory.mktemp("rows") / "c.vs"
    with vs.create(root, dim=2) as c:
        try:
            c.add(rows)
        except vs.VecsearchError as error:
            assert str(error) and len(c.refresh()) == 0
        assert len(c.to_arrow()) == len(c)


@fuzzing
@given(
    st.one_of(
        st.text(max_size=40), st.text("()'\"=<>!%_,.0123456789nidtagsANDORNOTINLIKE ", max_size=80)
    )
)
@example("(" * 20_000)
@example("(" * 3000 + "n = 1" + ")" * 3000)
@example("NOT " * 5000 + "n = 1")
@example("n = 1 " + "OR n = 2 " * 5000)
@example("n = 1 AND " * 20_000)
@example("n = " + "9" * 5000)
@example("n IN (" + "1," * 50_000 + "1)")
@example("text LIKE '" + "%a" * 2000 + "'")
@example("text = 'a\0b'")
@example("n = 1; DROP TABLE rows")
@example("n = (SELECT 1)")
@example("-" * 10_000 + "1 = n")
@example("n = 1 /* " + "x" * 100_000)
@example("n = 1e999999999")
@example("CAST(text AS INT) = 1")
def test_filters_of_any_text(shared: vs.Collection, text: str) -> None:
    try:
        assert 0 <= shared.count(text) <= 20
    except vs.FilterError as error:
        assert len(str(error)) < 5000


@pytest.mark.parametrize(
    "options",
    [
        *({"dim": dim} for dim in ("8", 8.5, True, None)),
        *({"dim": 8, "metric": metric} for metric in (7, ["l2"], "")),
        *({"dim": 8, "dtype": dtype} for dtype in (None, "float64", ["float32"])),
        *({"dim": 8, "recall": recall} for recall in ("high", float("nan"), None)),
        *({"dim": 8, "keep_versions": keep} for keep in ("x", 1.5, None)),
        *(
            {"embedder": name}
            for name in (7, "toy:-1", "toy:" + "9" * 5000, "\0", "../../etc/passwd", "")
        ),
        *({"embedder": "toy:8", "text_column": name} for name in ("", "_norm", "vector", "id", 3)),
    ],
    ids=lambda options: repr(options)[:50],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(vs.VecsearchError):
        vs.create(tmp_path / "c.vs", **options)
    assert not (tmp_path / "c.vs").exists()


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, ""], ids=["NUL", "long", "empty"])
def test_paths_that_cannot_be(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vs.VecsearchError):
        vs.open(path)
    if path:
        with pytest.raises(vs.VecsearchError):
            vs.create(path, dim=2)


def test_names_lead_nowhere_else(root: Path) -> None:
    """Column names, ids and texts are content: none becomes a path."""
    evil = "../../../evil"
    c = vs.create(root, embedder="toy:8")
    c.add([{"id": evil, "text": evil, evil: evil}])
    c.add_column("../other", "string", evil)
    c.compact()
    assert c.get([evil])[0][evil] == evil
    assert not list(root.parent.rglob("*evil*")) and not list(root.parent.rglob("other*"))


def test_deep_nesting(root: Path, tmp_path: Path) -> None:
    c = vs.create(root, dim=2)
    deep: Any = "core"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(vs.VecsearchError):
        c.add([{"id": 1, "vector": [1, 2], "deep": deep}])
    (tmp_path / "deep.jsonl").write_text(
        '{"id": 1, "vector": [1, 2], "deep": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    )
    with pytest.raises(vs.VecsearchError):
        c.add(tmp_path / "deep.jsonl")
    assert len(c) == 0


# -- files -----------------------------------------------------------------------------------------


def test_csv_with_nul(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    (tmp_path / "nul.csv").write_bytes(b"id,text\n1,a\0b\n2,plain\n")
    try:
        c.add(tmp_path / "nul.csv")
        assert c.get([1], ["text"]) == [
            {"text": "a\0b"}
        ]  # kept as it is, or refused: never cut short
    except vs.InvalidInputError as error:
        assert "nul.csv" in str(error) and len(c) == 0
    (tmp_path / "nuls.csv").write_bytes(b"\0" * 100_000)
    with pytest.raises(vs.VecsearchError):
        c.add(tmp_path / "nuls.csv")


def test_folders_that_go_round(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "below").mkdir(parents=True)
    (folder / "a.txt").write_text("plants make food")
    (folder / "below" / "b.md").write_text("# cats")
    (folder / "below" / "round").symlink_to(folder, target_is_directory=True)
    (folder / "self.txt").symlink_to(folder / "self.txt")
    (folder / "gone.txt").symlink_to(tmp_path / "nothing.txt")
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    try:
        c.add(folder)
    except vs.VecsearchError as error:
        assert ".txt" in str(error)
        for name in ("self.txt", "gone.txt"):
            (folder / name).unlink()
        c.add(folder)
    assert len(c) == 2


def test_special_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    with pytest.raises(vs.VecsearchError):
        c.add(tmp_path / "pipe.csv")  # reading it would wait for ever


SWELLING = """
import resource, sys
import pyarrow as pa, vecsearch as vs
from pathlib import Path
path, root = Path(sys.argv[1]), Path(sys.argv[2])
c = vs.create(root, dim=2, auto_index=False)
import numpy, faiss
now = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
most = now + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
try:
    print(c.add(path).added)
except vs.VecsearchError as error:
    print(type(error).__name__, str(error)[:300])
"""


def test_a_file_that_swells(tmp_path: Path) -> None:
    """600 MB of the same text in a few kilobytes: read in pieces, or refused, within 400 MB. The
    long part has 1.6 GB.
    """
    rows, most = 160_000 if SOAK else 60_000, 400_000_000
    text = pa.array(["x" * 10_000]).dictionary_encode()
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), text.dictionary)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(2 * rows, np.float32)), 2)
    path = tmp_path / "swell.parquet"
    pq.write_table(pa.table({"vector": vectors, "note": column}), path, compression="zstd")
    assert path.stat().st_size < 3_000_000
    done = run_script(SWELLING, path, tmp_path / "c.vs", most)
    assert done.returncode == 0 and (done.stdout.strip() == str(rows) or "Error" in done.stdout), (
        done.returncode,
        done.stderr[-500:],
    )


@pytest.mark.parametrize(
    ("name", "head"),
    [("a.csv.gz", b"id,text\n1,"), ("b.jsonl.gz", b'{"id": 1, "text": "'), ("c.txt.gz", b"")],
)
def test_a_line_that_swells(tmp_path: Path, name: str, head: bytes) -> None:
    """One line of 800 MB in 3.5 MB; the short test has 80 MB of it."""
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(800 if SOAK else 80):
            file.write(b"x" * 1_000_000)
    done = run_script(
        SWELLING.replace("dim=2", "embedder='toy:4'"), path, tmp_path / "c.vs", 600_000_000
    )
    assert (
        done.returncode == 0
        and "InvalidInputError" in done.stdout
        and ("67,108,864 characters" in done.stdout or "unpacks to more than" in done.stdout)
    ), done


UNSAFE = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
MUST = {
    "np.load": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
    "SentenceTransformer": ("trust_remote_code", False),
}


@pytest.mark.parametrize(
    "path", sorted(Path(vs.__file__).parent.rglob("*.py")), ids=lambda path: path.name
)
def test_no_pickle_and_no_code_from_data(path: Path) -> None:
    """Nothing that turns bytes into code: neither in what vecsearch writes, nor in what it is
    given.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not UNSAFE & {alias.name.split(".")[0] for alias in node.names}, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNSAFE, node.lineno
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "compile", "__import__"), node.lineno
            name, wanted = MUST.get(called, ("", None))
            given = {item.arg: item.value for item in node.keywords}
            if name:
                value = given.get(name)
                assert isinstance(value, ast.Constant) and value.value is wanted, (
                    f"line {node.lineno}: {called} without {name}"
                )


OFFLINE = """
import socket, sys
from pathlib import Path

def refuse(*_):
    raise AssertionError("the network was used")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse
import vecsearch as vs

root = Path(sys.argv[1])
with vs.create(root / "c.vs", embedder="toy:8", limits=vs.Limits(smallest_index_rows=20)) as c:
    c.add([{"id": n, "text": f"text {n}"} for n in range(50)])
    c.build_index("HNSW8")
    c.delete([3])
    c.compact()
    c.backup(root / "b.vs")
    c.export(root / "x.parquet")
    assert len(c.search("text 7", k=3)) == 3 and c.check() == []
print("done")
"""


def test_no_network(tmp_path: Path) -> None:
    done = run_script(OFFLINE, tmp_path)
    assert done.stdout.strip() == "done", done.stderr[-1500:]


def run_script(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


FUZZ = """
import random, sys
from pathlib import Path
import vecsearch as vs
folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
files = sorted(path for path in folder.iterdir() if path.is_file())
contents = {path: path.read_bytes() for path in files}
refused = added = 0
for number in range(count):
    for path in files:
        content = bytearray(contents[path])
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.randrange(len(content))
            how = rng.randrange(4)
            if how == 0:
                content[at] = rng.randrange(256)
            elif how == 1:
                large = (2**31 - 1).to_bytes(8, "little")
                content[at : at + 8] = rng.choice([b"\\xff" * 8, b"\\0" * 8, large])
            elif how == 2:
                del content[at : at + rng.randrange(1, 64)]
            else:
                content[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 16)))
        path.write_bytes(content)
        Path(sys.argv[4]).write_text(f"{number} {path.name}")
        with vs.create(folder / f"{number}-{path.suffix[1:]}" / "c.vs", embedder="toy:4") as c:
            try:
                c.add(path)
                added += 1
                assert len(set(c.to_arrow(["id"])["id"].to_pylist())) == len(c)
                c.search("text", k=3)
            except vs.VecsearchError as error:
                assert str(error)
                refused += 1
print(added, refused)
"""


def test_spoiled_files_are_refused_or_read(tmp_path: Path) -> None:
    """In a process of its own, for a decoder that is led outside its buffers ends the process."""
    table = pa.table(
        {
            "id": [f"n{n}" for n in range(40)],
            "text": [f"text {n} 文字" for n in range(40)],
            "tags": pa.array([["a", None], [], None, ["b"]] * 10),
            "kind": pa.array(["x", "y"] * 20).dictionary_encode(),
            "when": pa.array([0, 1] * 20, pa.timestamp("us")),
        }
    )
    folder = tmp_path / "files"
    folder.mkdir()
    pq.write_table(table, folder / "a.parquet")
    with (
        pa.OSFile(str(folder / "b.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=16)
    (folder / "c.jsonl").write_text(
        "".join(json.dumps({"id": n, "text": f"t {n}", "tags": ["a"]}) + "\n" for n in range(40))
    )
    (folder / "d.csv").write_text(
        "id,text,n\n" + "".join(f'{n},"text, {n}",{n}\n' for n in range(40))
    )
    done = run_script(FUZZ, folder, SEED, 400 if SOAK else 12, tmp_path / "at")
    assert done.returncode == 0, (
        done.returncode,
        (tmp_path / "at").read_text(),
        done.stderr[-1500:],
    )
    print(f"added and refused: {done.stdout.strip()}, seed {SEED}")


# -- manifests with a good checksum and a bad mind -------------------------------------------------


def sign(body: dict[str, Any]) -> str:
    return manifest_json.sign(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    found = [path] if path else []
    items = (
        body.items()
        if isinstance(body, dict)
        else enumerate(body)
        if isinstance(body, list)
        else ()
    )
    for name, value in items:
        found += places(value, (*path, name))
    return found


@pytest.fixture(scope="module")
def forgeable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection whose manifest names something of every kind."""
    root = tmp_path_factory.mktemp("forgeable") / "c.vs"
    small = vs.Limits(smallest_index_rows=20)
    with vs.create(root, embedder="toy:8", limits=small) as c:
        c.add([{"id": f"id {n}", "text": f"text {n}", "n": n} for n in range(40)])
        c.build_index("HNSW8")
        c.delete(["id 3"])
        c.compact()
        c.add([{"id": "late", "text": "late", "n": 0}, {"id": "gone", "text": "gone", "n": 0}])
        c.delete(["gone"])
    (entry,) = log.load(root).indexes
    assert entry.labels is not None and entry.calibration is not None
    return root


def body_of(forgeable: Path, *, inline: bool = False) -> dict[str, Any]:
    """What the manifest says; `inline` has the calibration in it, as those of before did."""
    latest = log.load(forgeable)
    body: dict[str, Any] = json.loads(manifest_json.to_json(latest))["body"]
    if inline:
        (entry,) = body["indexes"]
        entry["facts"] = json.loads((forgeable / entry.pop("calibration")["name"]).read_text())
        assert entry["facts"]["surface"]
    return body


def use_forged(body: dict[str, Any], forgeable: Path, root: Path) -> list[str]:
    """Open a collection whose manifest says `body`, and do what touches all of it: what was said of
    it.
    """
    (root / "manifests").mkdir(parents=True)
    (root / "staging").mkdir()
    for name in ("segments", "indexes"):
        (root / name).symlink_to(forgeable / name)
    version = (
        body["version"]
        if isinstance(body.get("version"), int) and 0 <= body["version"] < 10**9
        else 2
    )
    (root / "manifests" / f"{version:08d}.json").write_text(sign(body))
    said = []
    for use in (
        lambda c: c.search(np.ones(8), k=3).to_arrow(),
        lambda c: c.search_batch(np.ones((2, 8)), k=30, where="n < 25"),
        lambda c: (c.to_arrow(), c.get(["id 1"]), c.info(), c.count("n > 3")),
    ):
        try:
            with vs.open(root) as c, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an index that cannot be used
                use(c)
        except vs.VecsearchError as error:
            said.append(str(error))
            assert said[-1]
    try:
        return said + [damage.what for damage in find_damage(root)]
    except vs.VecsearchError as error:
        return [*said, str(error)]


WRONG: list[tuple[tuple[Any, ...], Any, str]] = [
    (("dim",), "8", "dim: expected `int`, got `str`"),
    (("dim",), 7, "column 'vector' is fixed_size_list"),
    (("dim",), 2**62, "dim is 4611686018427387904"),
    (("recall",), 1.5, "recall is 1.5"),
    (("recall",), True, "recall: expected `float`, got `bool`"),
    (("keep_versions",), 0, "keep_versions is 0"),
    (("dtype",), "float64", "dtype is 'float64'"),
    (("metric",), "hamming", "hamming"),
    (("text_column",), "colour", "text_column is 'colour'"),
    (("text_column",), 7, "text_column: expected `str | null`, got `int`"),
    (("embedder",), [], "embedder: expected `object | null`, got `array`"),
    (("embedder", "spec"), None, "embedder.spec: expected `str`, got `null`"),
    (("chunker",), {"max_chars": 3}, "no column '_chunk'"),
    (("segments",), {"a": 1}, "segments: expected `array`, got `object`"),
    (("segments", 0, "rows"), 41, "segments"),
    (("segments", 0, "rows"), 2**40, "segments[0].rows"),
    (("segments", 0, "rows"), -1, "segments[0].rows: expected `int` >= 0"),
    (("segments", 0, "deleted"), 7, "segments[0].documents: 39 in 32 rows"),
    (("segments", 0, "documents"), 10**6, "segments[0].documents"),
    (("segments", 0, "file"), "segments/x.arrow", "segments[0].file: expected `object`"),
    (("segments", 0, "file", "name"), "segments/../x", "segments[0].file: 'segments/../x' is not"),
    (("segments", 0, "spare"), 1, "segments[0]: object contains unknown field `spare`"),
    (("segments", 0, "file", "bytes"), 2**50, "digits of checksums"),
    (("segments", 0, "file", "crc32"), "zz", "checksums"),
    (("segments", 0, "tombstones"), [], "segments[0].tombstones: expected `object | null`"),
    (("indexes", 0, "covers"), [7], "indexes[0].covers[0]: expected `str`, got `int`"),
    (("indexes", 0, "covers"), ["segments/other"], "segments that the version does not have"),
    (("indexes", 0, "rows"), 39, "40 rows where the manifest says 39"),
    (("indexes", 0, "labels"), "x", "indexes[0].labels: expected `object | null`, got `str`"),
    (("indexes", 0, "calibration"), {}, "indexes[0].calibration: object missing required field"),
    (("indexes", 0, "calibration"), None, "indexes[0] has no calibration"),
    (("indexes", 0, "facts"), {}, "indexes[0] has more than one calibration"),
    (("indexes", 0, "facts"), [], "indexes[0].facts: expected `object | null`, got `array`"),
    (("indexes", 0, "facts", "seed"), "x", "indexes[0].facts.seed"),
    (("indexes", 0, "facts", "surface"), [["a", 1, 2]], "indexes[0].facts.surface[0]"),
    (
        ("indexes", 0, "facts", "surface"),
        [[16, 10**12, 10, 1.0, 1.0, 1.0]],
        "indexes[0].facts.surface[0]",
    ),
    (
        ("indexes", 0, "facts", "surface"),
        [[2**40, 16, 10, 1.0, 1.0, 1.0]],
        "indexes[0].facts.surface[0]",
    ),
    (("indexes", 0, "facts", "surface"), [[16, 16, 10]], "indexes[0].facts.surface[0]"),
    (
        ("indexes", 0, "facts", "surface"),
        [[16, 8, 10, 1.0, 1.0, 1.0]],
        "indexes[0].facts.surface[0]",
    ),
    (("indexes", 0, "facts", "codes"), "segments/\0", "indexes[0].facts.codes is"),
    (
        ("indexes", 0, "facts", "codes"),
        {"surface": [[0, 10**12, 10, 1.0, 1.0, 1.0]]},
        "indexes[0].facts.codes.surface[0]",
    ),
    (
        ("indexes", 0, "facts", "codes"),
        {"micros_per_row": "x"},
        "indexes[0].facts.codes.micros_per_row",
    ),
    (("indexes", 0, "facts", "exact_micros_per_row"), None, "exact_micros_per_row"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=lambda part: repr(part)[:40])
def test_a_forged_value_is_named(
    path: tuple[Any, ...], value: Any, message: str, forgeable: Path, tmp_path: Path
) -> None:
    body = body_of(forgeable, inline="facts" in path and value != {})
    holder = body
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    said = use_forged(body, forgeable, tmp_path / "c.vs")
    assert any(message in text for text in said), said


@fuzzing
@given(st.data())
def test_manifests_with_anything_in_them(
    forgeable: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    body = body_of(forgeable, inline=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(places(body)))
        holder = body
        for name in path:
            holder = holder[name]
        holder[last] = data.draw(
            JSON
            | st.sampled_from(
                ["segments/\0", "segments/..", "/etc/passwd", -1, 2**62, "x" * 10_000]
            )
        )
    use_forged(body, forgeable, tmp_path_factory.mktemp("manifest") / "c.vs")


@fuzzing
@given(st.binary(max_size=400), st.integers(0, 10**6))
def test_a_schema_of_any_bytes(content: bytes, at: int) -> None:
    """The Arrow schema in a manifest is decoded by C++ code."""
    version = manifest.Manifest(
        1,
        pa.schema({"id": pa.int64(), "t": pa.list_(pa.struct({"a": pa.int8()}))}),
        vs.Metric.L2,
        1,
        "float32",
        None,
    )
    body = json.loads(manifest_json.to_json(version))["body"]
    whole = bytearray(base64.b64decode(body["schema"]))
    at %= len(whole)
    whole[at : at + len(content)] = content
    body["schema"] = base64.b64encode(whole).decode()
    try:
        manifest_json.from_json(sign(body), "m.json")
    except vs.CorruptedError as error:
        assert "m.json" in str(error)


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([0, 2**62], pa.timestamp("us")),
        ([1, -(2**40)], pa.timestamp("s", "Asia/Shanghai")),
        ([0, 4_000_000], pa.date32()),
        ([1, 2**62], pa.duration("s")),
    ],
    ids=str,
)
def test_times_that_python_cannot_hold_are_refused(
    numbers: list[int], kind: pa.DataType, root: Path
) -> None:
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    when = pa.array(numbers, width).view(kind)
    vectors = pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32(), 2))
    with vs.create(root, dim=2) as c:
        with pytest.raises(vs.InvalidInputError, match="row 1, column 'when'"):
            c.add(pa.table({"id": [1, 2], "vector": vectors, "when": when}))
        nested = pa.array(
            [{"at": [None]}, {"at": [numbers[1]]}], pa.struct([("at", pa.list_(width))])
        )
        kinds = pa.struct([("at", pa.list_(kind))])
        with pytest.raises(vs.InvalidInputError, match="column 'when'"):
            c.add(pa.table({"id": [1, 2], "vector": vectors, "when": nested.cast(kinds)}))
        assert len(c) == 0
        c.add(pa.table({"id": [1], "vector": vectors[:1], "when": when[:1]}))
        assert c.get([1])[0]["when"] == when[0].as_py()


def test_nanoseconds_are_kept(root: Path) -> None:
    when = pa.array([5, 10**18 + 1], pa.timestamp("ns"))
    with vs.create(root, dim=2) as c:
        c.add(
            pa.table(
                {
                    "vector": pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32(), 2)),
                    "when": when,
                }
            )
        )
        assert c.search([1.0, 0.0], k=2).to_arrow()["when"].to_pylist() == when.to_pylist()
