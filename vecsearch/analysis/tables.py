"""Answers about a whole collection: an Arrow table, and a report on how it came out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.gate import gate
from vecsearch.display import html_table, one_line, text_table
from vecsearch.errors import InvalidInputError
from vecsearch.query.result_tables import frame_of
from vecsearch.storage.disk import move, write_file
from vecsearch.types import counted


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file, in the place of one that exists; on an error, that one stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    write_file(temporary, write)
    move(temporary, path)


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)


def _write_csv(table: pa.Table, path: Path) -> None:
    import pyarrow.csv as pacsv

    pacsv.write_csv(table, path)


def _write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in table.to_pylist():
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".arrow": _write_arrow,
}


@gate
@dataclass(frozen=True)
class TableReport:
    """An Arrow table with a report; pyarrow, polars and DuckDB take it as a table.

    Attributes:
        table: The rows.
    """

    table: pa.Table = field(repr=False)

    def to_arrow(self) -> pa.Table:
        """The table."""
        return self.table

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame_of(self.table)

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        return list(self.table.to_pylist())

    def to_pydict(self) -> dict[str, list[Any]]:
        """The columns as lists."""
        return dict(self.table.to_pydict())

    def head(self, count: int = 10) -> list[dict[str, Any]]:
        """The first rows as dicts."""
        return list(self.table.slice(0, count).to_pylist())

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the table into a file, in the place of one that exists.

        Args:
            path: A .parquet, .csv, .jsonl or .arrow file.

        Raises:
            InvalidInputError: The ending is none of these.
            StorageError: The file cannot be written.
        """
        target = Path(path)
        if target.suffix not in WRITERS:
            raise InvalidInputError(
                f"{target.name} ends in {target.suffix!r}; a table is written as "
                f"{', '.join(WRITERS)}"
            )
        replace_file(target, lambda part: WRITERS[target.suffix](self.table, part))

    @property
    def column_names(self) -> list[str]:
        """The names of the table's columns."""
        return list(self.table.column_names)

    @property
    def num_rows(self) -> int:
        """How many rows the table has."""
        return int(self.table.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of the table."""
        return self.table.column(name)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.table.column(name)

    def __len__(self) -> int:
        return self.num_rows

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


@dataclass(frozen=True)
class Neighbors(TableReport):
    """The nearest neighbors of each document, from `Collection.neighbors`.

    Attributes:
        table: `id`, `neighbor`, `rank` (int32, from 1) and `score` (float32).
        k: How many neighbors were asked for.
        documents: Documents that were compared.
        recall: The share of true neighbors found, measured on some documents; 1.0 for exact search.
        measured_on: How many documents it was measured on; 0 if all were searched exactly.
        plan: How the search ran.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("points.vs", dim=2)
        >>> _ = c.add([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0]])
        >>> print(c.neighbors(1))
        1 neighbor of each of 3 documents, all searched exactly
    """

    k: int
    documents: int
    recall: float
    measured_on: int
    plan: str

    def __str__(self) -> str:
        how = "all searched exactly"
        if self.measured_on:
            how = f"recall {self.recall:.3f} measured on {counted(self.measured_on, 'document')}"
        return (
            f"{counted(self.k, 'neighbor')} of each of {counted(self.documents, 'document')}, {how}"
        )


@dataclass(frozen=True)
class Duplicates(TableReport):
    """Pairs of near-duplicates, from `Collection.duplicates`.

    Attributes:
        table: `id` (the earlier row), `duplicate` (the later one) and `score` (float32), best
            first.
        threshold: The least score of a pair.
        documents: Documents that were compared.
        groups: Sets of documents that are connected by pairs.
        recall: The share of true pairs found, measured on some documents; 1.0 for exact search.
        measured_on: How many documents it was measured on; 0 if all were searched exactly.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("points.vs", dim=2)
        >>> _ = c.add([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0]])
        >>> c.duplicates(0.99).to_pydict()["duplicate"]
        [1]
    """

    threshold: float
    documents: int
    groups: int
    recall: float
    measured_on: int

    def __str__(self) -> str:
        found = f"{counted(self.num_rows, 'pair')} in {counted(self.groups, 'group')}"
        how = "all compared exactly"
        if self.measured_on:
            how = f"recall {self.recall:.3f} measured on {counted(self.measured_on, 'document')}"
        return (
            f"{found} score at least {self.threshold:g} among "
            f"{counted(self.documents, 'document')}, {how}"
        )


@dataclass(frozen=True)
class Joined(TableReport):
    """For each document of a collection the nearest of another, from `Collection.join`.

    Attributes:
        table: `id`, `other`, `rank` (int32, from 1) and `score` (float32).
        documents: Documents of the first collection.
        others: Documents of the other one.
        matched: How many of the first have a partner.

    Example:
        >>> import vecsearch as vs
        >>> left, right = vs.create("left.vs", dim=2), vs.create("right.vs", dim=2)
        >>> _ = left.add([[0.0, 1.0]]), right.add([[1.0, 0.0], [0.1, 1.0]])
        >>> left.join(right).to_pylist()[0]["other"]
        1
    """

    documents: int
    others: int
    matched: int

    def __str__(self) -> str:
        return (
            f"{self.matched:,} of {counted(self.documents, 'document')} have a partner among "
            f"{self.others:,}"
        )


@dataclass(frozen=True)
class Outliers(TableReport):
    """How far each document is from what is usual, from `Collection.outliers`.

    Attributes:
        table: `id` and `score` (float64), the greatest first.
        neighbors: How many neighbors each document was compared with.
        documents: Documents that were compared.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("points.vs", dim=2, metric="l2")
        >>> _ = c.add([[0, 0], [0, 1], [1, 0], [1, 1], [9, 9]])
        >>> c.outliers(k=2)["id"][0].as_py()
        4
    """

    neighbors: int
    documents: int

    def __str__(self) -> str:
        scores = self.table["score"].to_pylist()
        far = sum(score > FAR for score in scores)
        return (
            f"{far:,} of {counted(self.documents, 'document')} are more than {FAR:g} times as far "
            f"from their {counted(self.neighbors, 'neighbor')} as these are from theirs"
        )


FAR = 1.5


@dataclass(frozen=True)
class LinkReport:
    """Communities by links and vectors beside those by links alone.

    Attributes:
        links: Pairs of documents with a link.
        ignored: Links that lead to something else than the documents.
        modularity: Of the links, in the clusters by links and vectors.
        alone: How many communities Leiden finds by the links alone.
        alone_modularity: Of the links, in those.
    """

    links: int
    ignored: int
    modularity: float
    alone: int
    alone_modularity: float

    def __str__(self) -> str:
        ignored = f" ({self.ignored:,} others lead elsewhere)" if self.ignored else ""
        return (
            f"by {counted(self.links, 'link')}{ignored} and vectors, modularity of the links "
            f"{self.modularity:.3f}; by links alone {self.alone:,} communities, modularity "
            f"{self.alone_modularity:.3f}"
        )


@dataclass(frozen=True)
class Clusters(TableReport):
    """Documents in clusters, from `Collection.cluster`.

    Attributes:
        table: `id`, `cluster` (int32; 0 is the largest), `label` and `score` (float32, the
            similarity to the cluster's center). With links also `by_links` (int32), the community
            by the links alone.
        labels: The label of each cluster: words that are frequent in it and rare elsewhere, or the
            id of its most central document where there are no texts.
        sizes: How many documents each has.
        centers: The id of the most central document of each.
        silhouette: How well they are separated, from -1 to 1, measured on some documents.
        chosen: Whether the number of clusters was chosen.
        links: What the links gave, beside communities of the links alone; None without links.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add(["red apple", "green apple", "fast car", "old car"])
        >>> sorted(c.cluster(2).labels)
        ['apple, green, red', 'car, fast, old']
    """

    labels: tuple[str, ...]
    sizes: tuple[int, ...]
    centers: tuple[Any, ...]
    silhouette: float
    chosen: bool
    links: LinkReport | None = None

    def __str__(self) -> str:
        head = f"{counted(len(self.sizes), 'cluster')}, silhouette {self.silhouette:.3f}"
        heads = [head] if self.links is None else [head, str(self.links)]
        several = [(label, size) for label, size in zip(self.labels, self.sizes, strict=True)]
        if self.links is not None:
            several = [(label, size) for label, size in several if size > 1]
        lines = [f"{size:7,}  {label}" for label, size in several]
        alone = len(self.sizes) - len(several)
        if alone:
            lines.append(f"and {counted(alone, 'document')} alone")
        return "\n".join([*heads, *lines])


@dataclass(frozen=True)
class Classification(TableReport):
    """Labels learned from those that are there, from `Collection.classify`.

    Attributes:
        table: `id`, `label`, `confidence` (float32, 0 to 1) and `given`, the label that the
            document has, or null. Documents that have a label are predicted by models that have
            not seen it.
        model: What predicts documents without a label: "neighbors", "logistic" (regression of the
            vectors), "tf-idf" (logistic regression of words and pairs of words), or
            "logistic+tf-idf" (the mean of what these two think); the most accurate on held-out
            documents, unless one was asked for.
        accuracy: The share of held-out documents that each of these labels right, and `majority`
            (the most frequent label for all).
        held_out: The share that is right where each part that is held out is labeled by the model
            that the other parts choose: the accuracy to expect, which owes nothing to the choice.
        low: Lower end of the 95% interval of `held_out` (Wilson).
        high: Its upper end.
        macro_f1: F1 of these labels, averaged over the labels.
        confusion: `actual`, `predicted` and `count` of held-out documents.
        labeled: Documents with a label.
        folds: Parts that were held out in turn.
        classifier: The fitted model, which `predict` asks. It is not pickled.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> texts = ["red apple", "ripe apple", "sour apple", "fast car", "old car", "red car"]
        >>> kinds = ["fruit", "fruit", None, "car", "car", None]
        >>> _ = c.add([{"text": t, "kind": k} for t, k in zip(texts, kinds)])
        >>> c.classify("kind")["label"][2].as_py()
        'fruit'
    """

    model: str
    accuracy: dict[str, float]
    held_out: float
    low: float
    high: float
    macro_f1: float
    confusion: pa.Table
    labeled: int
    folds: int
    classifier: Any = field(default=None, repr=False, compare=False)

    def predict(self, documents: Any) -> Predictions:
        """Label documents that are not in the collection, by the model of this report.

        It is fitted to all documents that have a label. Nothing is stored.

        Args:
            documents: A text or a list of texts, or whatever the collection's embedder reads
                (pictures, rows of a table); or vectors, of a model that needs no texts.

        Returns:
            A table of `text` (of texts), `label` and `confidence`, one row for each document.

        Raises:
            InvalidInputError: A document is empty, or not what the model reads.
            EmbedderError: There is no embedder for what was given, or it fails.

        Example:
            >>> import vecsearch as vs
            >>> c = vs.create("spotted.vs", embedder="toy:64")
            >>> texts = ["red apple", "ripe apple", "sour apple", "fast car", "old car", "red car"]
            >>> kinds = ["fruit", "fruit", "fruit", "car", "car", "car"]
            >>> _ = c.add([{"text": t, "kind": k} for t, k in zip(texts, kinds)])
            >>> c.classify("kind").predict(["green apple", "new car"])["label"].to_pylist()
            ['fruit', 'car']
        """
        if self.classifier is None:
            raise InvalidInputError(
                "this report was pickled or copied without its model: classify the collection again"
            )
        found: Predictions = self.classifier.predict(documents)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "classifier": None}

    def __str__(self) -> str:
        lines = [self._summary()]
        lines += [f"{value:9.3f}  {name}" for name, value in self.accuracy.items()]
        head, rows = self.matrix(SHOWN_LABELS)
        return "\n".join([*lines, "", text_table(head, rows, range(1, len(head)))])

    def _repr_html_(self) -> str:
        scores = [[name, f"{value:.3f}"] for name, value in self.accuracy.items()]
        head, rows = self.matrix(SHOWN_LABELS)
        return html_table(["model", "accuracy"], scores, [1], self._summary()) + html_table(
            head, rows, range(1, len(head)), "what was taken for what, on held-out documents"
        )

    def _summary(self) -> str:
        return (
            f"accuracy {self.held_out:.3f} ({self.low:.3f} to {self.high:.3f}) of {self.model} on "
            f"{counted(self.labeled, 'labeled document')}, {self.folds} folds held out; "
            f"macro F1 {self.macro_f1:.3f}"
        )

    def matrix(self, most: int | None = None) -> tuple[list[str], list[list[str]]]:
        """The confusion as a table for people: a row for each label, a column for each prediction.

        Args:
            most: The most labels, the frequent ones first; the others become one. None: all.

        Returns:
            The names of the columns, and the rows.
        """
        counts = {
            (row["actual"], row["predicted"]): row["count"] for row in self.confusion.to_pylist()
        }
        totals: dict[Any, int] = {}
        for (actual, predicted), count in counts.items():
            totals[actual] = totals.get(actual, 0) + count
            totals.setdefault(predicted, 0)
        names = sorted(totals, key=lambda name: (-totals[name], str(name)))
        shown = names if most is None or len(names) <= most else names[: most - 1]
        place = {name: at for at, name in enumerate(shown)}
        size = len(shown) + (len(shown) < len(names))
        table = [[0] * size for _ in range(size)]
        for (actual, predicted), count in counts.items():
            table[place.get(actual, size - 1)][place.get(predicted, size - 1)] += count
        heads = [one_line(str(name), 16) for name in shown]
        heads += ["others"] * (size - len(shown))
        rows = zip(heads, table, strict=True)
        return ["actual \\ predicted", *heads], [
            [name, *(f"{count:,}" for count in row)] for name, row in rows
        ]


@dataclass(frozen=True)
class Predictions(TableReport):
    """Labels of new documents, from `Classification.predict`.

    Attributes:
        table: `text` (of texts), `label` and `confidence` (float32, 0 to 1).
        model: What predicts, as in `Classification`.
        chances: How likely each label is: float64, (documents, labels).
        labels: The labels, in the order of the columns of `chances`.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("points.vs", dim=2)
        >>> _ = c.add([{"vector": [x, 1 - x], "side": x > 0.5} for x in (0, 0.1, 0.2, 0.8, 0.9, 1)])
        >>> found = c.classify("side").predict([[0.3, 0.7]])
        >>> found["label"].to_pylist(), found.chances.shape
        ([False], (1, 2))
    """

    model: str
    chances: npt.NDArray[np.float64] = field(repr=False, compare=False)
    labels: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{counted(self.num_rows, 'document')} labeled by {self.model}"


SHOWN_LABELS = 12  # of a confusion
