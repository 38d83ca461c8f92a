"""Make the golden collections of the current format: `python tests/golden/make.py`, once for each
new format, never again. `python tests/golden/make.py NAME` adds a collection that is new here.

They stay as they are: every later version of vecsearch must open them and give the answers in
`expected.json`.
"""

from __future__ import annotations

import datetime
import decimal
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import vecsearch as vs
from vecsearch.embedders.projected import truncated
from vecsearch.embedders.words import WordEmbedder
from vecsearch.storage.manifest import FORMAT

HERE = Path(__file__).parent


def texts(root: Path) -> None:
    """Embedded texts in two languages, every kind of column, deleted and replaced rows, several
    versions.
    """
    with vs.create(root, embedder="toy:8", keep_versions=4) as c:
        c.add(
            pa.table(
                {
                    "id": ["a", "b", "猫", "d"],
                    "text": [
                        "plants make food from light",
                        "cats chase mice",
                        "猫在夜里抓老鼠",
                        "to be deleted",
                    ],
                    "n": pa.array([1, None, 3, 4], pa.int16()),
                    "price": pa.array(
                        [decimal.Decimal("1.50"), None, None, decimal.Decimal("2.00")],
                        pa.decimal128(8, 2),
                    ),
                    "day": [datetime.date(2024, 2, 29), None, datetime.date(1999, 12, 31), None],
                    "when": pa.array([0, None, 10**15, 1], pa.timestamp("us", "UTC")),
                    "tags": [["x", None], [], None, ["标签"]],
                    "nested": [{"k": 1}, None, {"k": None}, {"k": 4}],
                    "flag": [True, None, False, True],
                }
            )
        )
        c.delete(["d"])
        c.add([{"id": "b", "text": "cats sleep all day", "n": 22}], on_conflict="replace")
        c.update("id = 'a'", {"flag": False})


def halves(root: Path) -> None:
    """float16 vectors, Euclidean, whole numbers as ids."""
    with vs.create(root, dim=3, metric="l2", dtype="float16") as c:
        c.add(np.arange(12, dtype=np.float32).reshape(4, 3))
        c.delete([2])


def indexed(root: Path) -> None:
    """An index with a labels file, rows outside it, and rows deleted since."""
    vectors = np.random.default_rng(1).standard_normal((64, 4)).astype(np.float32)
    with vs.create(root, dim=4, limits=vs.Limits(smallest_index_rows=20)) as c:
        c.add(vectors[:60])
        c.build_index("HNSW8")
        c.delete([5])
        c.compact()
        c.add(vectors[60:])
        c.delete([61])


def chunked(root: Path) -> None:
    """Documents of several passages."""
    with vs.create(root, embedder="toy:8", chunker=80) as c:
        c.add(
            [
                {"id": 1, "text": "Plants make food from light. " * 6 + "猫在夜里抓老鼠。" * 12},
                {"id": 2, "text": "short"},
            ]
        )


def trained(root: Path) -> None:
    """A model inside the collection: word vectors, and their reduction."""
    words = WordEmbedder(
        ["cat", "dog", "猫", "狗"],
        np.array([[1, 0, 2], [0, 1, 2], [1, 0.5, 2], [0.5, 1, 2]], np.float32),
    )
    with vs.create(root, embedder=words) as c:
        c.add([{"id": word, "text": word} for word in words.keys])
        c.reembed(truncated(words, 2))


def named(root: Path) -> None:
    """The user's own names of ids and texts, several texts, passages, JSON, a column of nothing but
    NA, and one that became wider.
    """
    columns = ["title", "body"]
    with vs.create(
        root,
        embedder="toy:8",
        id_column="isbn",
        text_columns=columns,
        chunker=80,
        json_columns=["meta"],
    ) as c:
        rows = [
            {"title": "Boats", "body": "A boat crosses the wide sea. " * 5, "meta": {"lang": "en"}},
            {"title": "猫", "body": "猫在夜里抓老鼠。" * 12, "meta": {"lang": "zh", "n": [1, "a"]}},
            {"title": "Gone", "body": "to be deleted", "meta": None},
        ]
        c.add([{"isbn": f"97{n}", "pages": n, **row} for n, row in enumerate(rows)])
        c.add_column("later", "null")
        c.delete(["972"])
        c.add([{"isbn": "979", "title": "More", "body": "short", "pages": 0.5, "meta": "x"}])


def words(root: Path) -> None:
    """Postings of two columns, a segment without them, deleted rows, an analyzer of its own."""
    with vs.create(root, embedder="toy:8", full_text="german") as c:
        fill = "und noch viele andere Worte " * 12
        c.add(
            [
                {
                    "id": n,
                    "text": f"Die Schiffe {n} fahren, 重置密碼, {fill}",
                    "title": f"Titel {n}",
                }
                for n in range(30)
            ]
        )
        c.build_text_index(["title", "text"], {"language": "german"})
        c.add([{"id": 99, "text": "Ein Schiff ohne Datei", "title": "Schiff"}])
        c.delete([3])


def vectors(root: Path) -> None:
    """Named vectors, one and several a row, some missing, with an index of each."""
    rng = np.random.default_rng(6)
    kinds = {"picture": 4, "tokens": vs.NamedVector(3, metric="ip", multi=True)}
    limits = vs.Limits(smallest_index_rows=20)
    with vs.create(root, dim=2, vectors=kinds, limits=limits) as c:
        rows: list[dict[str, Any]] = []
        for n in range(60):
            row: dict[str, Any] = {"id": n, "vector": [1, n + 2]}
            row["picture"] = rng.standard_normal(4).round(2).tolist() if n % 7 else None
            row["tokens"] = rng.standard_normal((n % 4, 3)).round(2).tolist()
            rows.append(row)
        c.add(rows)
        for name in kinds:
            c.build_index("HNSW8", using=name)
        c.delete([8])
        c.add([{"id": 100, "vector": [1, 0], "picture": [1, 0, 0, 0], "tokens": [[1, 0, 0]]}])


COLLECTIONS = {
    "vectors": vectors,
    "words": words,
    "named": named,
    "texts": texts,
    "halves": halves,
    "indexed": indexed,
    "chunked": chunked,
    "trained": trained,
}


def answers(root: Path) -> dict[str, Any]:
    """What a collection says, in a form that JSON keeps."""
    with vs.open(root) as c:
        info = c.info()
        query = np.ones(info.dim, np.float32)
        hits = [c.search(query, k=3), c.search(query, k=3, exact=True)]
        found_words = {}
        if c._snapshot.manifest.full_text is not None:
            for question in ("Schiff", "密码 -Titel", "title:schif* OR text:4"):
                listed = c.search(question, k=5, mode="text")
                found_words[question] = [[hit.id, round(hit.score, 4)] for hit in listed]
        more: dict[str, Any] = {"words": found_words} if found_words else {}
        if info.vector_indexes:
            asked = {"picture": [1.0, 0, 0, 1], "tokens": [[1.0, 0, 0], [0, 1, 1]]}
            more["named"] = {
                name: [
                    [index.rows for index in info.vector_indexes[name]],
                    [[hit.id, round(hit.score, 4)] for hit in c.search(query, 5, using=name)],
                ]
                for name, query in asked.items()
            }
        return more | {
            "documents": info.documents,
            "rows": info.rows,
            "versions": [(item.version, item.operation, item.documents) for item in c.versions()],
            "columns": dict(info.columns),
            "embedder": [info.embedder, info.fingerprint],
            "indexed": [index.rows for index in info.indexes],
            "content": json.loads(json.dumps(c.to_arrow().to_pylist(), default=str)),
            "hits": [[[hit.id, round(hit.score, 4)] for hit in found] for found in hits],
        }


def main() -> None:
    folder = HERE / f"format{FORMAT}"
    folder.mkdir(exist_ok=True)
    stored = folder / "expected.json"
    expected = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    for name in sys.argv[1:] or COLLECTIONS:
        COLLECTIONS[name](folder / name)
        (folder / name / "LOCK").unlink()
        (folder / name / "staging").rmdir()
        expected[name] = answers(folder / name)
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    stored.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
