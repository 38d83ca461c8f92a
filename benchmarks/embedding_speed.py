"""What ingesting costs beyond embedding: `create` and `add` against `SentenceTransformer.encode` of
the same texts.

    python benchmarks/embedding_speed.py [--texts 5000] [--rounds 3]

Both embed the same package summaries with the same model, already loaded, one after the other in
each round, and take turns in going first. The ratio is of the median times; the promise is 1.05 at
most.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import vecsearch as vs
from benchmarks import datasets, measure
from vecsearch.embedders import resolve_embedder

PROMISE = 1.05
PACKAGES = ("vecsearch", "sentence-transformers", "torch", "pyarrow", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/embedding_speed.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lines = (
        datasets.shared("ann", "package-summaries-50k.tsv")
        .read_text(encoding="utf-8")
        .splitlines()[1:]
    )
    texts = [line.split("\t", 1)[1] for line in lines[: options.texts]]

    model = datasets.sentence_transformer(None)
    embedder = resolve_embedder("all-MiniLM-L6-v2")
    model.encode(texts[:64])
    embedder.embed_documents(texts[:64])
    work = Path(tempfile.mkdtemp(prefix="vecsearch-bench-"))

    def encode() -> None:
        model.encode(texts)

    def ingest() -> None:
        with vs.create(work / f"{time.monotonic_ns()}.vs", embedder=embedder) as collection:
            collection.add([{"id": i, "text": text} for i, text in enumerate(texts)])

    seconds: dict[str, list[float]] = {"encode": [], "ingest": []}
    try:
        for number in range(options.rounds):
            turn = [("encode", encode), ("ingest", ingest)]
            for name, task in turn[::-1] if number % 2 else turn:
                seconds[name].append(_timed(task))
            print(
                f"round {number + 1}: encode {seconds['encode'][-1]:.1f} s, ingest "
                f"{seconds['ingest'][-1]:.1f} s"
            )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    ratio = statistics.median(seconds["ingest"]) / statistics.median(seconds["encode"])
    print(
        f"{len(texts):,} texts: ingesting takes {ratio:.3f} times as long as encoding (promise: "
        f"{PROMISE} at most)"
    )
    print(
        measure.save(
            "embedding-speed", {"texts": len(texts), "seconds": seconds, "ratio": ratio}, PACKAGES
        )
    )
    sys.exit(ratio > PROMISE)


def _timed(task: Callable[[], None]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
