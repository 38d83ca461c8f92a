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
import pyarrow.csv as csv
from _data import QUICK, data

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
    summaries = csv.read_csv(
        data("ann") / "package-summaries-50k.tsv",
        parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
    )["summary"].to_pylist()
    vectors = np.load(data("ann") / "package-summaries-minilm-50k.f16.npy", mmap_mode="r")
    count = 5_000 if QUICK else len(summaries)
    rng = random.Random(0)
    long = [row for row in range(count) if len(summaries[row].split()) >= 6]
    chosen = rng.sample(long, 40 if QUICK else 1_000)
    with tempfile.TemporaryDirectory() as folder:
        embedder = resolve_embedder("all-MiniLM-L6-v2")
        collection = vs.create(Path(folder) / "summaries.vs", embedder=embedder, dtype="float16")
        collection.add(
            pa.table(
                {"id": range(count), "text": summaries[:count], "vector": list(vectors[:count])}
            )
        )
        queries = embedder.embed_queries([edited(summaries[row], rng) for row in chosen])
        found = [collection.search_range(query, float(THRESHOLDS[0])) for query in queries]
        same: dict[str, set[int]] = {}
        for row in range(count):
            same.setdefault(plain(summaries[row]), set()).add(row)
        answers = [
            (same[plain(summaries[row])], np.array(hits.ids), hits.scores)
            for row, hits in zip(chosen, found, strict=True)
        ]
        collection.close()

    def measured(
        part: list[tuple[set[int], np.ndarray, np.ndarray]], threshold: float
    ) -> tuple[float, float, float]:
        returned = [(right, set(ids[scores >= threshold].tolist())) for right, ids, scores in part]
        hit = sum(len(right & ids) for right, ids in returned)
        precision = hit / max(sum(len(ids) for _, ids in returned), 1)
        recall = hit / sum(len(right) for right, _ in returned)
        return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)

    half = len(answers) // 2
    best = max(THRESHOLDS, key=lambda threshold: measured(answers[:half], threshold)[2])
    precision, recall, f1 = measured(answers[half:], best)
    print(
        f"{count} summaries, {len(same)} different; {len(chosen)} edited; threshold chosen on the "
        f"first half: cosine {best:.2f}"
    )
    print(
        f"near-duplicates of the second half: precision {precision:.3f}, recall {recall:.3f}, "
        f"F1 {f1:.3f}"
    )


if __name__ == "__main__":
    main()
