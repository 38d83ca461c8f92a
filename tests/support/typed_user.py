"""What a user may write, as a type checker sees it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import vecsearch as vs

notes: vs.Collection = vs.create("notes.vs", embedder="toy:64", chunker=200, metric="cosine")
points = vs.create(Path("points.vs"), dim=2, metric=vs.Metric.L2, dtype="float16")
typed = vs.create("t.vs", dim=2, schema={"year": "int64", "day": pa.date32()}, chunker=None)
split = vs.create("s.vs", embedder="toy:64", chunker=str.splitlines, text_columns=["title", "text"])
done: vs.AddResult = notes.add([{"id": 1, "text": "a boat", "year": 1999, "tags": ["a", "b"]}])
notes.add({"id": number, "text": str(number)} for number in range(3))
notes.add(["a text", "another"], on_conflict="skip", on_error="skip")
notes.add("papers.csv", csv={"delimiter": ";", "null": ["NA"]}, encoding="latin-1")
notes.add([Path("a.txt"), Path("b.md")])
points.add(np.zeros((2, 2), np.float32))
points.add([[0.0, 1.0], [1.0, 0.0]])
points.add([[0, 1], [1, 0]])
points.add(pa.table({"id": [1], "vector": [[1.0, 0.0]]}))
hits: vs.Hits = notes.search("boat", k=3, where="year > 2000", ids=[1, 2], recall=0.9)
hit: vs.Hit = hits[0]
rank, score, ident = hit.rank, hit.score, hit.id
number: int = rank
real: float = score
key: int | str = ident
first: vs.Hits = hits[:2]
texts: list[str | None] = hits.texts
mark = hit.highlight()
if mark is not None:
    start, end = mark.sentence
    print(mark.text[start:end], mark.words, mark.marked(html=True))
points.search(np.array([1.0, 0.0]), where=pc.field("year") > 2000)
points.search([1.0, 0.0])
points.search([1, 0], ids=np.array([1, 2]))
several: list[vs.Hits] = notes.search_batch(["a", "b"], where=[None, "year > 1"])
points.search_batch(np.zeros((3, 2)))
notes.update("year < 2000", {"year": 2000})
notes.update(ids=[1, 2], values=[{"year": 1}, {"year": 2}])
notes.delete([1], dry_run=True)
notes.delete(where="year > 3")
rows: list[dict[str, object] | None] = [dict(row) if row else None for row in notes.get([1])]
notes.add_column("seen", "bool", False)
result: vs.BuildResult = points.build_index("low-latency", recall=0.95, memory="2GB")
report: vs.RecallReport = points.measure_recall(k=10, queries=np.zeros((3, 2)))
quality = notes.evaluate({"q1": "boat"}, {"q1": {"1": 1}}, k=[10, 100])
print(quality.scores["nDCG@10"].mean, notes.info().columns["year"], notes.plan("x").method)
with vs.open("notes.vs") as other:
    print(len(other), other.count("year > 2000"), other.versions()[0].created)
