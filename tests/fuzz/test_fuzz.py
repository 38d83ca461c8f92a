"""What reads files and texts of others gets spoiled bytes. The long part lets atheris look for
inputs that reach new code.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from targets import TARGETS  # noqa: E402

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
SEED = int(os.environ.get("VECSEARCH_SEED", random.SystemRandom().randrange(10**6) if SOAK else 1))
SECONDS = int(os.environ.get("VECSEARCH_FUZZ_SECONDS", "60"))


def spoiled(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut out, doubled or put in."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.randrange(1, 16))
        change = rng.choice(
            (
                bytes(rng.randrange(256) for _ in range(end - at)),
                b"",
                data[at:end] * 2,
                b"\xff" * 8,
                b"\0" * (end - at),
                b"((((",
                b"9" * 30,
                "文\u202e".encode(),
            )
        )
        data[at:end] = change
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_spoiled_bytes_raise_only_our_own_errors(name: str) -> None:
    target = TARGETS[name]
    rng = random.Random(f"{SEED} {name}")
    for seed in target.seeds:
        target.run(seed)
        for _ in range(1000 if SOAK else 20):
            data = spoiled(seed, rng)
            try:
                target.run(data)
            except Exception as error:
                raise AssertionError(f"{name}, seed {SEED}: {data!r}") from error
    target.run(b"")


def index_outside() -> bytes:
    """An Arrow file with an index of a dictionary that leads outside of it."""
    outside = pa.DictionaryArray.from_arrays(pa.array([0, 65536]), pa.array(["k"]), safe=False)
    batch = pa.record_batch({"id": ["a", "b"], "kind": outside})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def damaged_vector_column() -> bytes:
    """A manifest whose schema describes a column of vectors by what is not JSON."""
    body = json.loads(TARGETS["manifest"].seeds[0])
    schema = base64.b64decode(body["schema"])
    assert b'"dim": 3' in schema
    body["schema"] = base64.b64encode(schema.replace(b'"dim": 3', b'"dim": x')).decode()
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("arrow", index_outside()),
        ("manifest", damaged_vector_column()),
        ("postings", TARGETS["postings"].seeds[0].replace(b"form_terms", b"fo\x89m_terms")),
        ("filter", b"day BETWEEN DATE '2$00-02-29' AND tags IS NOTar"),
        ("filter", b"text = '$1' AND id IN (1, 2) AND"),
        ("parquet", TARGETS["parquet"].seeds[0].replace(b"kind", b"k\x95nd")),
        ("arrow", TARGETS["arrow"].seeds[0].replace(b"kind", b"k\x95nd")),
        ("arrow", TARGETS["arrow"].seeds[0].replace(b"UTC", b"\x95TC")),
        ("arrow", TARGETS["arrow"].seeds[0].replace(b"UTC", b"UTX")),
        ("npy", TARGETS["npy"].seeds[0].replace(b"(2, 3)", b"((((((")),
    ],
)
def test_what_was_found(name: str, data: bytes) -> None:
    """Inputs that once raised another error."""
    assert data not in TARGETS[name].seeds
    TARGETS[name].run(data)


@pytest.mark.skipif(not SOAK, reason="part of make soak: minutes")
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed (it has wheels for Linux only)",
)
@pytest.mark.parametrize("name", TARGETS)
def test_guided_by_coverage(name: str) -> None:
    command = [
        sys.executable,
        str(HERE / "run.py"),
        name,
        "--seconds",
        str(SECONDS),
        "--seed",
        str(SEED),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 600,
        check=False,
    )
    assert done.returncode == 0, f"{name}, seed {SEED}: {done.stderr[-3000:]}"
    print(
        name,
        "".join(
            line for line in done.stderr.splitlines(True) if line.startswith(("Done", "stat::"))
        )[-200:],
    )
