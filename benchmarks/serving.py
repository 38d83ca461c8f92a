"""How many searches a second does `vecsearch serve` answer, and does its memory stay flat?

    python benchmarks/serving.py [DATA.npy] [--seconds 600] [--connections 16] [--rows 48000]
                                 [--every 10]

The server is a process of its own on this machine; the client holds so many connections open and
sends the next search by vector over each as soon as the answer is there: JSON in, JSON with ids
out. Both share the cores. Every few seconds the server's memory, the searches a second and the
99th percentile of that time are printed. Results go to results/serving.json.
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
from benchmarks import datasets, measure

PROGRAM = "from vecsearch.cli import main; main()"
DATA = ("ann", "package-summaries-minilm-50k.f16.npy")  # of the shared data
QUERIES = 1_000
Memory = dict[str, float | int | None]


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


async def ask(
    port: int, requests: list[bytes], first: int, until: float, seconds: list[float]
) -> None:
    """Send searches over one connection; notes the seconds of each. A failed one is infinite."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
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


async def load(
    server: tuple[int, int], requests: list[bytes], connections: int, seconds: float, every: float
) -> tuple[list[float], list[Memory]]:
    """What all connections measured, and the memory meanwhile. A server is (port, process)."""
    port, process = server
    until, taken = time.monotonic() + seconds, list[float]()
    asking = [ask(port, requests, 37 * number, until, taken) for number in range(connections)]
    memory, *_ = await asyncio.gather(watch(process, every, seconds, taken), *asking)
    return taken, memory


def anonymous_mb(process: int) -> float:
    """Resident memory of a process that no file backs."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


async def watch(process: int, every: float, seconds: float, answered: list[float]) -> list[Memory]:
    """Memory and searches of each part of the time, printed as they come."""
    began, seen, found = time.monotonic(), 0, []
    print(f"{'seconds':>8} {'MB':>9} {'a second':>9} {'p99 ms':>8} {'errors':>7}")
    while (now := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(every, seconds - now))
        part, seen = answered[seen:], len(answered)
        good = [each for each in part if each != float("inf")]
        took = time.monotonic() - began
        line: Memory = {
            "seconds": round(took, 1),
            "memory_mb": round(anonymous_mb(process), 2),
            "searches_per_second": round(len(good) / max(took - now, 1e-9), 1),
            "p99_ms": round(1000 * float(np.percentile(good, 99)), 2) if good else None,
            "errors": len(part) - len(good),
        }
        found.append(line)
        shown = [line[name] for name in line]
        print("{:8} {:9} {:9} {!s:>8} {:7}".format(*shown), flush=True)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("data", nargs="?", type=Path, help="default: that of the shared data")
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--rows", type=int, default=48_000)
    options.add_argument("--every", type=float, default=10, help="seconds between two lines")
    options.add_argument("-k", type=int, default=10)
    given = options.parse_args()
    vectors = np.load(given.data or datasets.shared(*DATA)).astype(np.float32)
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
            place = (port, server.pid)
            print("warming up")
            asyncio.run(load(place, requests, given.connections, min(5.0, given.seconds), 5.0))
            before = anonymous_mb(server.pid)
            taken, memory = asyncio.run(
                load(place, requests, given.connections, given.seconds, given.every)
            )
            after = anonymous_mb(server.pid)
        finally:
            server.terminate()
            server.wait()
    good = np.array([each for each in taken if each != float("inf")]) * 1000
    results: dict[str, Any] = {
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
    results["memory_over_time"] = memory
    packages = ["vecsearch", "fastapi", "starlette", "uvicorn", "httptools", "uvloop", "pydantic"]
    print(f"written: {measure.save('serving', results, packages)}")


if __name__ == "__main__":
    main()
