"""What `tune_fusion` brings on queries that it did not see, beside words and vectors alone.

    python -m benchmarks.fusion --data ../shared/data/beir --out results/fusion.json

Each set is added with a model made for its language, and tuned from the same beginning with several
seeds, each of which divides the queries in other halves. All figures are nDCG@10 of the half that
was not tuned on; "tuned" is what the collection has afterwards, which is the untuned fusion where
the choice was not proved better.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import vecsearch as vs

SETS = {
    "cranfield": "all-MiniLM-L6-v2",
    "xquad-en": "all-MiniLM-L6-v2",
    "xquad-zh": "use:multilingual",
    "cmrc2018-dev": "use:multilingual",
}


def tuned(folder: Path, model: str, seeds: int) -> list[dict[str, Any]]:
    """One row for each seed."""
    qrels = folder / "qrels" / "test.tsv"
    rows = []
    with tempfile.TemporaryDirectory() as place:
        c = vs.create(Path(place) / "c.vs", embedder=model, chunker=None, keep_versions=20)
        c.add(folder / "corpus.jsonl", progress=False)
        first = c.info().version
        for seed in range(seeds):
            report = c.tune_fusion(folder / "queries.jsonl", qrels, seed=seed)
            best = max(report.before, report.text, report.vector)
            after = report.after if report.kept else report.before
            rows.append(
                {
                    "seed": seed,
                    "queries": report.queries,
                    "text": round(report.text, 4),
                    "vector": round(report.vector, 4),
                    "untuned": round(report.before, 4),
                    "tuned": round(after, 4),
                    "tuned minus best other": round(after - best, 4),
                    "kept": report.kept,
                    "chosen": str(report.best),
                    "chosen without proof": round(report.after, 4),
                }
            )
            if report.kept:
                c.rollback(first)
        c.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=[*SETS])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for name in arguments.sets:
        results[name] = tuned(arguments.data / name, SETS[name], arguments.seeds)
        print(json.dumps({name: results[name]}, indent=1), flush=True)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
