"""How many searches a second does `vecsearch serve` answer, and does its memory stay flat?

    python benchmarks/serving.py [DATA.npy] [--seconds 600] [--connections 16] [--rows 48000]

The server is a process of its own on this machine; the client holds so many connections open and
sends the next search by vector over each as soon as the answer is there: JSON in, JSON with ids
out. Both share the cores. Results go to results/serving.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import vecsearch as vs
from benchmarks import measure

PROGRAM = "from vecsearch.cli import main; main()"
DATA = Path("../shared/data/ann/package-summaries-minilm-50k.f16.npy")
QUERIES = 1_000


def request(port: int, vector: Any, k: int) -> bytes:
    """A search as it goes over the wire."""
    numbers = [round(float(each), 6) for each in vector]
    body = json.dumps({"query": numbers, "k": k, "columns": ["id"]}).encode()
    head = (
        "POST /v1/collections/served/search HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(port: int, requests: list[bytes], first: int, until: float) -> list[float]:
    """Send searches over one connection; the seconds of each. A failed one is infinite."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    seconds: list[float] = []
    number = first
    while time.monotonic() < until:
        number += 1
        started = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        took = time.perf_counter() - started
        seconds.append(took if head.startswith(b"HTTP/1.1 200") else float("inf"))
    writer.close()
    return seconds


async def load(port: int, requests: list[bytes], connections: int, seconds: float) -> list[float]:
    """What all connections measured."""
    until = time.monotonic() + seconds
    found = await asyncio.gather(
        *(ask(port, requests, 37 * number, until) for number in range(connections))
    )
    return [each for part in found for each in part]


def anonymous_mb(process: int) -> float:
    """Resident memory of a process that no file backs."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("data", nargs="?", type=Path, default=DATA)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--rows", type=int, default=48_000)
    options.add_argument("-k", type=int, default=10)
    given = options.parse_args()
    vectors = np.load(given.data).astype(np.float32)
    base, queries = vectors[: given.rows], vectors[given.rows :][:QUERIES]
    if not len(queries):
        options.error("--rows leaves no vectors to ask with")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "served.vs")
        with vs.create(root, dim=vectors.shape[1]) as c:
            c.add(base, progress=False)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-c", PROGRAM, "serve", str(root), "--port", str(port)]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while server.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            requests = [request(port, query, given.k) for query in queries]
            asyncio.run(load(port, requests, given.connections, min(5.0, given.seconds)))
            before = anonymous_mb(server.pid)
            taken = asyncio.run(load(port, requests, given.connections, given.seconds))
            after = anonymous_mb(server.pid)
        finally:
            server.terminate()
            server.wait()
    good = np.array([each for each in taken if each != float("inf")]) * 1000
    results = {
        "rows": len(base),
        "dim": int(vectors.shape[1]),
        "connections": given.connections,
        "seconds": given.seconds,
        "searches_per_second": len(good) / given.seconds,
        "p50_ms": float(np.median(good)),
        "p99_ms": float(np.percentile(good, 99)),
        "errors": len(taken) - len(good),
        "memory_before_mb": before,
        "memory_after_mb": after,
    }
    for name, value in results.items():
        print(f"{name:20} {value:,.5g}")
    packages = ["vecsearch", "fastapi", "starlette", "uvicorn", "httptools", "uvloop", "pydantic"]
    print(f"written: {measure.save('serving', results, packages)}")


if __name__ == "__main__":
    main()
