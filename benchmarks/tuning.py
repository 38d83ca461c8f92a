"""Does fine-tuning help on held-out queries? all-MiniLM-L6-v2 on the queries and judgements of a
BEIR folder.

    python benchmarks/tuning.py [cranfield] [--epochs 3] [--least 1] [--characters N] [--model NAME]

A judged pair is a row for `vecsearch tune`, its grade the score; pairs below --least are left out.
Queries are parted by their own text: what is measured with was never trained on. The held-out
queries choose the epoch, so the gain is slightly optimistic.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import datasets, measure
from benchmarks.quality import read_qrels
from vecsearch.errors import EmbedderError
from vecsearch.training.finetune import Settings, tune

PACKAGES = ("vecsearch", "sentence-transformers", "torch", "transformers")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/tuning.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "set", nargs="?", default="cranfield", help="a folder of the shared data's beir/"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--least", type=float, default=1, help="the lowest grade that counts as a pair"
    )
    parser.add_argument("--characters", type=int, help="cut documents to so many, which is quicker")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    folder = datasets.shared("beir", options.set)
    rows = pairs(folder, options.least, options.characters)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="vecsearch-bench-") as work:
        try:
            report = tune(
                options.model,
                rows,
                Path(work) / "tuned",
                settings=Settings(epochs=options.epochs),
                scored=lambda epoch, score: print(
                    f"epoch {epoch}: held-out nDCG@10 {score:.4f}", flush=True
                ),
            )
        except EmbedderError as error:
            raise SystemExit(str(error)) from error
    seconds = time.perf_counter() - start
    print(
        f"{report.before:.4f} → {report.after:.4f} (gain {report.low:+.4f} to {report.high:+.4f} "
        f"at 95%), {seconds:.0f} s"
    )
    details = {
        "set": options.set,
        "model": options.model,
        "least_grade": options.least,
        "characters": options.characters,
        "training": {
            "queries": report.queries,
            "pairs": report.pairs,
            "documents": report.documents,
        },
        "held_out_queries": report.held_out_queries,
        "ndcg_at_10": {
            "before": report.before,
            "epochs": list(report.epoch_scores),
            "kept": report.after,
        },
        "gain_interval_95": [report.low, report.high],
        "settings": {name: getattr(report.settings, name) for name in Settings.__slots__},
        "seconds": seconds,
    }
    print(measure.save(f"tuning-{options.set}", details, PACKAGES))


def pairs(folder: Path, least: float, characters: int | None = None) -> list[dict[str, object]]:
    """Rows of query, document and score out of a BEIR folder's judgements; documents without a text
    are left out.
    """
    documents = datasets.read_texts(folder / "corpus.jsonl")
    queries = datasets.read_texts(folder / "queries.jsonl")
    return [
        {"query": queries[query], "document": documents[document][:characters], "score": grade}
        for query, row in read_qrels(folder / "qrels" / "test.tsv").items()
        for document, grade in row.items()
        if grade >= least and query in queries and documents.get(document)
    ]


if __name__ == "__main__":
    main()
