"""Search by words beside bm25s and tantivy: time a query, also with filters.

    python -m benchmarks.full_text texts.tsv --vectors texts.npy --save

Takes a file with one text in each line, of which the last tab-separated column is read. Queries are
words of random texts. All three search the same terms: texts are analyzed once, by vecsearch, and
the others are given the terms. Each query is one call on one thread, whose processor time counts;
the engines take turns. A hybrid search is timed beside a search by words and one by vectors, by the
clock, as it makes its halves on two cores. bm25s and tantivy are in
peers.txt; an environment of their own with vecsearch[fast] is best.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np

import vecsearch as vs
from benchmarks import measure
from vecsearch.index.kernels.loader import LOADER, TEXT_LOADER
from vecsearch.text.analyzer import Analyzer

K = 10
PACKAGES = ("vecsearch", "numpy", "numba", "bm25s", "tantivy")
MOST_MORE = 100  # microseconds that a hybrid search may add to its halves
SHARES = (50, 10, 1)  # percent of the rows that a filter keeps


def read_texts(path: Path) -> list[str]:
    """The last column of each line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.rsplit("\t", 1)[-1] for line in lines if line.rsplit("\t", 1)[-1].strip()]


def make_queries(texts: Sequence[str], count: int, words: int, seed: int = 0) -> list[str]:
    """Words of random texts."""
    chosen = random.Random(seed)
    queries = []
    while len(queries) < count:
        found = re.findall(r"[a-z]+", texts[chosen.randrange(len(texts))].lower())
        if len(found) >= words:
            queries.append(" ".join(chosen.sample(found, words)))
    return queries


def micros(search: Callable[[str], Any], queries: Sequence[str]) -> list[float]:
    """Processor time of each query of this thread, in microseconds."""
    times = []
    for query in queries:
        start = time.thread_time()
        search(query)
        times.append((time.thread_time() - start) * 1e6)
    return times


def vecsearch_engine(
    texts: Sequence[str], root: Path, vectors: Any, segments: int = 1
) -> tuple[vs.Collection, dict[str, Callable[[str], Any]]]:
    numbers = np.random.default_rng(0).permutation(len(texts))
    limits = vs.Limits()
    if segments > 1:
        rows = -(-len(texts) // segments)
        limits = vs.Limits(window_rows=rows, segment_rows=rows, compact_rows=rows)
    c = vs.create(root, dim=vectors.shape[1], limits=limits)
    for part in np.array_split(np.arange(len(texts)), 5):
        c.add(
            [
                {"id": n, "text": texts[n], "vector": vectors[n], "n": int(numbers[n])}
                for n in part.tolist()
            ],
            progress=False,
        )
    c.compact()
    start = time.process_time()
    c.build_text_index(["text"], progress=False)
    seconds = time.process_time() - start
    print(f"postings of {len(texts):,} texts, {c.info().segments} segments: {seconds:.2f} s")
    searches: dict[str, Callable[[str], Any]] = {
        "all": lambda query: c.search(query, K, mode="text").ids
    }
    for share in SHARES:
        where = f"n < {len(texts) * share // 100}"
        searches[f"{share}%"] = lambda query, where=where: (
            c.search(query, K, mode="text", where=where).ids
        )
    return c, searches


def bm25s_engine(terms: Sequence[Sequence[str]]) -> dict[str, Callable[[str], Any]]:
    import bm25s

    analyzer = Analyzer()
    model = bm25s.BM25(k1=1.2, b=0.75, method="lucene", backend="numba")
    model.index([list(each) for each in terms], show_progress=False)
    numbers = np.random.default_rng(0).permutation(len(terms))

    def search(query: str, mask: Any = None) -> Any:
        options = {} if mask is None else {"weight_mask": mask}
        return model.retrieve(
            [analyzer.terms(query)], k=K, show_progress=False, n_threads=1, **options
        )

    searches: dict[str, Callable[[str], Any]] = {"all": search}
    for share in SHARES:
        mask = (numbers < len(terms) * share // 100).astype(np.float32)
        searches[f"{share}%"] = lambda query, mask=mask: search(query, mask)
    return searches


def tantivy_engine(terms: Sequence[Sequence[str]]) -> dict[str, Callable[[str], Any]]:
    import tantivy

    analyzer = Analyzer()
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("id", stored=True)
    builder.add_integer_field("n", indexed=True, fast=True)
    builder.add_text_field("text", tokenizer_name="whitespace", index_option="freq")
    schema = builder.build()
    index = tantivy.Index(schema)
    writer = index.writer(heap_size=50_000_000, num_threads=1)
    numbers = np.random.default_rng(0).permutation(len(terms)).tolist()
    for number, (text, n) in enumerate(zip(terms, numbers, strict=True)):
        writer.add_document(tantivy.Document(id=number, n=n, text=" ".join(text)))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()
    query_of, should = tantivy.Query, tantivy.Occur.Should

    def words(query: str) -> Any:
        return query_of.boolean_query(
            [
                (should, query_of.term_query(schema, "text", term, "freq"))
                for term in analyzer.terms(query)
            ]
        )

    def search(query: Any) -> list[int]:
        found = searcher.search(query, K, count=False).hits
        return [searcher.doc(address)["id"][0] for _, address in found]

    searches: dict[str, Callable[[str], Any]] = {"all": lambda query: search(words(query))}
    must = tantivy.Occur.Must
    for share in SHARES:
        kept = query_of.range_query(
            schema, "n", tantivy.FieldType.Integer, 0, len(terms) * share // 100 - 1
        )
        searches[f"{share}%"] = lambda query, kept=kept: search(
            query_of.boolean_query(
                [(must, words(query)), (must, query_of.const_score_query(kept, 0.0))]
            )
        )
    return searches


def hybrid_times(
    c: vs.Collection, queries: Sequence[str], vectors: Any, rounds: int
) -> dict[str, float]:
    """Medians of a hybrid search and of its halves, which take turns search by search.

    So a half finds the processor's caches filled by other searches, as within a hybrid search.
    `apart` are medians of searches of one kind in a row instead. The halves are searched for as
    many hits as are wanted, and for as many as are fused.
    """
    rows = np.random.default_rng(1).integers(len(vectors), size=len(queries))
    pairs = list(zip(queries, vectors[rows], strict=True))
    forms: dict[str, Callable[[Any], Any]] = {
        "text": lambda pair: c.search(pair[0], K, mode="text"),
        "vector": lambda pair: c.search(pair[1], K),
        "text, 100 hits": lambda pair: c.search(pair[0], 100, mode="text"),
        "vector, 100 hits": lambda pair: c.search(pair[1], 100),
        "hybrid": lambda pair: c.search(text=pair[0], vector=pair[1], k=K, mode="hybrid"),
    }
    for form in forms.values():
        for pair in pairs[:60]:
            form(pair)
    times: dict[str, list[float]] = {name: [] for name in forms}
    apart: dict[str, list[float]] = {f"{name}, apart": [] for name in forms}

    def timed(form: Callable[[Any], Any], pair: Any) -> float:
        start = time.perf_counter()
        form(pair)
        return (time.perf_counter() - start) * 1e6

    for _ in range(rounds):
        for at in range(len(pairs)):
            for place, (name, form) in enumerate(forms.items()):  # each has a question of its own
                pair = pairs[(at + place * len(pairs) // len(forms)) % len(pairs)]
                times[name].append(timed(form, pair))
        for name, form in forms.items():
            apart[f"{name}, apart"] += [timed(form, pair) for pair in pairs]
    times |= apart
    medians = {name: round(statistics.median(each), 1) for name, each in times.items()}
    for at, ending in ((K, ""), (100, ", 100 hits")):
        halves = medians[f"text{ending}"] + medians[f"vector{ending}"]
        medians[f"hybrid minus halves of {at}"] = round(medians["hybrid"] - halves, 1)
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--vectors", type=Path, help="a .npy file with a row for each text")
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--words", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--segments", type=int, default=1, help="also a collection of about so many segments"
    )
    parser.add_argument("--save", action="store_true", help="write results/full-text.json")
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts)
    if arguments.vectors is None:
        vectors = np.random.default_rng(0).normal(size=(len(texts), 8)).astype(np.float32)
    else:
        vectors = np.load(arguments.vectors)[: len(texts)].astype(np.float32)
        texts = texts[: len(vectors)]
    queries = make_queries(texts, arguments.queries, arguments.words)
    LOADER.load()
    TEXT_LOADER.load()
    analyzer = Analyzer()
    terms = [analyzer.terms(text) for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        c, ours = vecsearch_engine(texts, Path(folder) / "c.vs", vectors)
        engines = {
            "vecsearch": ours,
            "bm25s-numba": bm25s_engine(terms),
            "tantivy": tantivy_engine(terms),
        }
        if arguments.segments > 1:
            root = Path(folder) / "segments.vs"
            several, more = vecsearch_engine(texts, root, vectors, arguments.segments)
            engines[f"vecsearch, {several.info().segments} segments"] = more
        times: dict[str, dict[str, list[float]]] = {name: {} for name in engines}
        for searches in engines.values():
            for search in searches.values():
                micros(search, queries[:60])
        for _ in range(arguments.rounds):
            for name, searches in engines.items():
                for kind, search in searches.items():
                    times[name].setdefault(kind, []).extend(micros(search, queries))
        results: dict[str, Any] = {
            "texts": len(texts),
            "queries": len(queries),
            "words": arguments.words,
            "median_micros": {
                name: {kind: round(statistics.median(found), 1) for kind, found in kinds.items()}
                for name, kinds in times.items()
            },
        }
        if arguments.vectors is not None:
            c.build_index(progress=False)
        results["hybrid_median_micros"] = hybrid_times(c, queries, vectors, arguments.rounds)
        c.close()
    print(json.dumps(results, indent=1))
    kept = True
    medians = results["median_micros"]
    for kind, own in medians["vecsearch"].items():
        peer = min(found[kind] for name, found in medians.items() if "vecsearch" not in name)
        print(f"{kind}: {own:.1f} us, the faster peer {peer:.1f} us (promise: no slower)")
        kept &= own <= peer
    for ending in (K, 100):
        more = results["hybrid_median_micros"][f"hybrid minus halves of {ending}"]
        promise = f"promise: at most {MOST_MORE}"
        print(f"hybrid minus its halves of {ending} hits: {more:.1f} us ({promise})")
        kept &= ending == K or more <= MOST_MORE
    if arguments.save:
        print(measure.save("full-text", results, PACKAGES))
    if not kept:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
