"""Near-duplicates: every text that says nearly the same, by range search over 50,000 package summaries.

1,000 summaries are edited as people edit: words dropped, swapped, misspelt, in other case. The threshold is chosen on the
first half of them and measured on the second. Right is the first text, and any that is the same but for case and marks.

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


def edited(text: str, draw: random.Random) -> str:
    """The text after one to three small edits."""
    words = text.split()
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(words))
        kind = draw.choice(("drop", "swap", "misspell", "case"))
        if kind == "drop" and len(words) > 3:
            del words[at]
        elif kind == "swap" and at:
            words[at - 1], words[at] = words[at], words[at - 1]
        elif kind == "misspell" and len(words[at]) > 3:
            letter = draw.randrange(1, len(words[at]) - 1)
            words[at] = words[at][:letter] + words[at][letter + 1 :]
        else:
            words[at] = words[at].swapcase()
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
    draw = random.Random(0)
    long = [row for row in range(count) if len(summaries[row].split()) >= 6]
    chosen = draw.sample(long, 40 if QUICK else 1_000)
    with tempfile.TemporaryDirectory() as folder:
        embedder = resolve_embedder("all-MiniLM-L6-v2")
        collection = vs.create(Path(folder) / "summaries.vs", embedder=embedder, dtype="float16")
        collection.add(
            pa.table(
                {"id": range(count), "text": summaries[:count], "vector": list(vectors[:count])}
            )
        )
        queries = embedder.embed_queries([edited(summaries[row], draw) for row in chosen])
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
        f"{count} summaries, {len(same)} different; {len(chosen)} edited; cosine of at least {best:.2f} by the first half"
    )
    print(
        f"near-duplicates of the second half: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}"
    )


if __name__ == "__main__":
    main()
