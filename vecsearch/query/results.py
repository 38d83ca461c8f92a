"""What a search returns: ranked hits whose columns are read from the snapshot on access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arguments import check_k, check_names
from vecsearch.common.arrays import Positions
from vecsearch.common.gate import gate
from vecsearch.common.json_column import python_values
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError, VecsearchError
from vecsearch.query.documents import (
    pages_and_lines,
    passage_heads,
    passage_spans,
    with_whole_texts,
)
from vecsearch.query.examples import Examples
from vecsearch.query.group_keys import group_keys
from vecsearch.query.highlight import FoundWords, Highlight, Passage, Question, highlights
from vecsearch.query.hit import Hit, ListPlace
from vecsearch.query.hits_display import (
    SHOWN_HITS,
    hits_html,
    hits_text,
)
from vecsearch.query.result_tables import SPAN_TYPE, frame_of, output_names, polars_frame_of
from vecsearch.storage.ids import listed_ids
from vecsearch.storage.objects.places import path_again
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.origins import shown as shown_place
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.types import RESERVED, Id, Plan, Span

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

# What older pickles lack.
LATER_STATE: dict[str, Any] = {"group_by": None, "before": 0, "parts": None, "words": None}
EXPLAINED = ("examples", "filter")


@dataclass(frozen=True, slots=True)
class HitGroup:
    """The hits of a search with `group_by` that share a value, in `Hits.groups`.

    Attributes:
        value: The value of the column.
        hits: The hits with this value, best first.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", dim=2)
        >>> rows = [([1, 0], "en"), ([1, 1], "en"), ([0, 1], "zh")]
        >>> _ = c.add([{"id": n, "vector": v, "lang": lang} for n, (v, lang) in enumerate(rows)])
        >>> hits = c.search([1, 0], k=2, group_by="lang", group_size=2)
        >>> [(group.value, group.hits.ids) for group in hits.groups]
        [('en', [0, 1]), ('zh', [2])]
    """

    value: Any
    hits: Hits


@gate
class Hits(Sequence[Hit]):
    """The ranked hits of a search, best first; fewer than k if fewer documents match.

    Columns are fetched when they are read, from the snapshot that was searched: later commits do
    not change them. Hits can be pickled: they take their columns along, all but the vector, which
    is read from the collection again.

    Attributes:
        ids: Ids of the documents, as Python int or str.
        scores: float32, shape (number of hits,), in descending order.
        plan: How the search ran, and why.
        parts: Of a hybrid search: the rank and the score of each hit in both lists; of reranked
            hits also before and after; else None.
        words: Of a search by words: what finds its words in a text; else None.
        group_by: The column that the hits are grouped by, or None; see `groups`.
        before: How many hits the pages before this one have.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add([
        ...     {"id": "boat", "text": "a small boat", "year": 1999},
        ...     {"id": "ship", "text": "a large ship", "year": 2021},
        ... ])
        >>> hits = c.search("a large ship")
        >>> hits.ids, hits[0]["year"], hits.scores.dtype
        (['ship', 'boat'], 2021, dtype('float32'))
    """

    question = Question()  # what the search was for; `Collection` says it
    examples: Examples | None = None  # of a recommendation
    filter: str | None = None
    _ids: list[Id] | None = None
    _spans: list[Span] | None = None
    _heads: list[str | None] | None = None
    _places: list[tuple[int | None, int | None]] | None = None
    _pickled: dict[str, Any] | None = None
    _ranks: list[int] | None = None  # None: one after another

    def __init__(
        self,
        snapshot: Snapshot | None,
        positions: Positions,
        scores: npt.NDArray[np.float32],
        plan: Plan,
        *,
        group_by: str | None = None,
        before: int = 0,
        parts: Sequence[Mapping[str, ListPlace]] | None = None,
        words: FoundWords | None = None,
    ) -> None:
        self._snapshot = snapshot
        self.parts = parts
        self.words = words
        self.group_by = group_by
        self.before = before
        self.positions = positions
        self.scores = scores
        self.plan = plan
        self._columns: dict[str, list[Any]] = {}  # those that were read

    @property
    def ranks(self) -> list[int]:
        """The rank of each hit, as `Hit.rank`."""
        if self._ranks is None:
            self._ranks = list(range(self.before + 1, self.before + len(self) + 1))
        return self._ranks

    @property
    def snapshot(self) -> Snapshot:
        """The version searched. Hits that were pickled open it again."""
        if self._snapshot is None:
            assert self._pickled is not None
            root = path_again(self._pickled["root"], self._pickled["place"])
            self._snapshot = open_snapshot(root, OpenFiles(root), self._pickled["version"])
        return self._snapshot

    @property
    def chunked(self) -> bool:
        """Whether the hits are passages of documents."""
        if self._pickled is not None:
            return self._pickled["spans"] is not None
        return self.snapshot.manifest.chunked

    @property
    def payload(self) -> list[str]:
        """The columns of the collection, without the vector."""
        if self._pickled is not None:
            return [name for name in self._pickled["rows"].schema.names if name not in RESERVED]
        return self.snapshot.payload

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that are embedded; none in a collection of ready-made vectors."""
        if self._pickled is not None:
            return tuple(self._pickled["texts"] or ())
        return self.snapshot.manifest.text_columns

    @property
    def id_column(self) -> str:
        """The collection's name for the ids."""
        return self.payload[0] if self._pickled else self.snapshot.manifest.id_column

    @property
    def texts(self) -> list[str | None]:
        """The text of each hit, in a collection with a chunker its passage; None where it has none.

        Several text columns are joined by an empty line.

        Example:
            >>> hits.texts
            ['a large ship', 'a small boat']
        """
        joined = []
        for passages in self._passages():
            texts = [passage.text for passage in passages if passage.text.strip()]
            joined.append("\n\n".join(texts) if passages else None)
        return joined

    def _passages(self) -> list[list[Passage]]:
        """The texts of each hit."""
        names = self.text_columns
        self.fetch([name for name in names if name not in self._columns])
        if self.chunked:
            listed = [[(span.column, span.start)] for span in self.spans]
        else:
            listed = [[(name, 0) for name in names]] * len(self)
        return [
            [
                Passage(text, name, start)
                for name, start in columns
                if isinstance(text := self.column(name)[at], str)
            ]
            for at, columns in enumerate(listed)
        ]

    def highlights(self, most: int | None = None) -> list[Highlight | None]:
        """The highlight of each hit, as `Hit.highlight`, with one call of the model for all.

        Args:
            most: How many sentences the model may compare with the query. Hits beyond that go by
                the words that they share with it. None: no limit.

        Example:
            >>> print(hits.highlights()[0])
            [a *large* *ship*]
        """
        words = self.words if self.words is not None and self.words.columns else None
        return highlights(self.question, self._passages(), most, words)

    @property
    def spans(self) -> list[Span]:
        """Where each passage is; only with a chunker."""
        if self._spans is None:
            if self._pickled is not None:
                self._spans = self._pickled["spans"]
            else:
                self._spans = passage_spans(self.snapshot, self.positions)
        return self._spans

    @property
    def heads(self) -> list[str | None]:
        """What stands over each passage: headings, and the header row of a table."""
        if self._heads is None:
            self._heads = (
                self._pickled["heads"]
                if self._pickled is not None
                else passage_heads(self.snapshot, self.positions)
            )
        return self._heads

    @property
    def pages_and_lines(self) -> list[tuple[int | None, int | None]]:
        """The page and line on which each hit begins, as `Hit.page` and `Hit.line`."""
        if self._places is None:
            spans = self.spans if self.chunked else None
            self._places = pages_and_lines(self.snapshot, self.ids, spans)
        return self._places

    def output_names(self, names: Sequence[str]) -> Mapping[str, str]:
        """The name of each column in dicts and tables, beside the hit's own rank and score."""
        names = check_names("names", names)
        return output_names([*self.payload, *(name for name in names if name not in self.payload)])

    @property
    def ids(self) -> list[Id]:
        """Ids of the documents found, as Python int or str."""
        if self._ids is None:
            self._ids = (
                self.snapshot.ids_at(self.positions)
                if self._pickled is None
                else self._pickled["rows"].column(0).to_pylist()
            )
        return self._ids

    def column(self, name: str) -> list[Any]:
        """The values of a column for all hits, as Python values.

        Raises:
            InvalidInputError: The column does not exist.

        Example:
            >>> hits.column("year")
            [2021, 1999]
        """
        values = self._columns.get(name) if isinstance(name, str) else None
        if values is None:
            values = self._columns[name] = python_values(self._take([name]).column(0))
        return values

    def fetch(self, columns: Sequence[str] | None = None) -> Hits:
        """Read several columns at once, which is faster than one after another.

        Args:
            columns: The columns. None: all but the vector.

        Returns:
            The hits themselves.

        Raises:
            InvalidInputError: A column does not exist.

        Example:
            >>> [hit["year"] for hit in hits.fetch(["year"])]
            [2021, 1999]
        """
        names = self._named(columns)
        batch = self._take(names)
        self._columns |= {name: python_values(batch.column(at)) for at, name in enumerate(names)}
        return self

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The hits as a pyarrow Table: `rank` (int32), `score` (float32), then columns.

        In a collection with a chunker `span` follows, a struct of column, start and end. A column
        called `rank`, `score` or `span` becomes `rank_`, `score_` or `span_`.

        Args:
            columns: Columns to return. None: all but the vector.

        Raises:
            InvalidInputError: A column does not exist.

        Example:
            >>> hits.to_arrow(["id"]).column_names
            ['rank', 'score', 'id']
        """
        names = self._named(columns)
        batch = self._take(names)
        shown = self.output_names(names)
        ranks = pa.array(self.ranks, pa.int32())
        arrays = [ranks, pa.array(self.scores), *(batch.column(name) for name in names)]
        fields = [pa.field("rank", pa.int32()), pa.field("score", pa.float32())]
        fields += [batch.schema.field(name).with_name(shown[name]) for name in names]
        if self.chunked:
            arrays.append(pa.array([asdict(span) for span in self.spans], SPAN_TYPE))
            fields.append(pa.field("span", SPAN_TYPE))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The same as `to_arrow`, as a pandas DataFrame.

        Integers beside missing values have a nullable type of pandas, such as Int64, so that large
        ones stay exact. Values of JSON columns are Python's.

        Args:
            columns: The columns. None: all but the vector.

        Raises:
            InvalidInputError: A column does not exist, or pandas cannot hold its values.
            MissingExtraError: pandas is not installed.

        Example:
            >>> hits.to_pandas(["id"])["rank"].tolist()
            [1, 2]
        """
        return frame_of(self.to_arrow(columns))

    def to_polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The same as `to_arrow`, as a polars DataFrame. JSON columns are JSON text.

        Args:
            columns: The columns. None: all but the vector.

        Raises:
            InvalidInputError: A column does not exist, or polars cannot hold its values.
            MissingExtraError: polars is not installed.

        Example:
            >>> hits.to_polars(["id"])["id"].to_list()
            ['ship', 'boat']
        """
        return polars_frame_of(self.to_arrow(columns))

    def to_list(self, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The hits as dicts, as `Hit.to_dict` gives each.

        Args:
            columns: The columns. None: all but the vector.

        Raises:
            InvalidInputError: A column does not exist.

        Example:
            >>> [(row["rank"], row["id"]) for row in hits.to_list(["id", "year"])]
            [(1, 'ship'), (2, 'boat')]
        """
        self.fetch(columns)
        return [hit.to_dict(columns) for hit in self]

    to_dicts = to_list

    def without(self, ids: Iterable[Id], k: int) -> Hits:
        """The first k hits, leaving some documents out.

        Args:
            ids: Ids of the documents to leave out.
            k: Maximum number of hits.

        Example:
            >>> hits.without(["ship"], k=1).ids
            ['boat']
        """
        k = check_k(k)
        excluded = {item for item in listed_ids(ids) if isinstance(item, int | str)}
        left = [number for number, found in enumerate(self.ids) if found not in excluded]
        return self._some(left[:k])

    @property
    def groups(self) -> list[HitGroup]:
        """The hits of a search with `group_by`, one `HitGroup` for each value, best first.

        Without `group_by` there are none.
        """
        if self.group_by is None:
            return []
        places: dict[Any, list[int]] = {}
        values = self.column(self.group_by)
        for at, key in enumerate(group_keys(self._take([self.group_by]).column(0))):
            places.setdefault(key, []).append(at)
        return [HitGroup(values[each[0]], self._some(each)) for each in places.values()]

    def _some(self, places: Sequence[int], *, keep_ranks: bool = False) -> Hits:
        """Some of the hits, ranked from 1 or with the ranks that they have here."""
        chosen = np.array(places, np.int64)
        some = Hits(self._snapshot, self.positions[chosen], self.scores[chosen], self.plan)
        some.parts = None if self.parts is None else [self.parts[place] for place in places]
        some.words = self.words
        some.question, some.examples, some.filter = self.question, self.examples, self.filter
        if self._pickled is not None:
            some._pickled = self._pickled | {"rows": self._pickled["rows"].take(pa.array(chosen))}
            for name in ("spans", "heads"):
                listed = self._pickled.get(name)
                some._pickled[name] = None if listed is None else [listed[at] for at in places]
        if keep_ranks:
            some._ranks = [self.ranks[at] for at in places]
        some._columns = {
            name: [values[at] for at in places] for name, values in self._columns.items()
        }
        return some

    def _named(self, columns: Sequence[str] | None) -> list[str]:
        if columns is None:
            return self.payload
        return check_names("columns", columns)

    def _take(self, names: Sequence[str]) -> pa.RecordBatch:
        if self._pickled is not None and set(names) <= set(self._pickled["rows"].schema.names):
            return self._pickled["rows"].select(list(names))
        self.snapshot.check_columns(names)
        rows = self.snapshot.take(names, self.positions)
        return with_whole_texts(self.snapshot, rows, self.positions)

    def __getstate__(self) -> dict[str, Any]:
        state = self._pickled
        if state is None:
            state = {
                "root": self.snapshot.root.absolute(),
                "place": shown_place(self.snapshot.root),
                "version": self.snapshot.manifest.version,
                "rows": self._take(self.payload),
                "spans": self.spans if self.chunked else None,
                "heads": self.heads,
                "texts": self.text_columns,
            }
        own = (
            "positions",
            "scores",
            "plan",
            "group_by",
            "before",
            "question",
            "_ranks",
            *EXPLAINED,
            "parts",
            "words",
        )
        return state | {name: getattr(self, name) for name in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = {name: state.get(name, default) for name, default in LATER_STATE.items()}
        Hits.__init__(self, None, state["positions"], state["scores"], state["plan"], **own)
        self.question = state.get("question", self.question)
        self.examples, self.filter = state.get("examples"), state.get("filter")
        self._ranks = state.get("_ranks")
        pickled = ("root", "place", "version", "rows", "spans", "heads", "texts")
        self._pickled = {name: state.get(name) for name in pickled}

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> Hits: ...
    def __getitem__(self, at: int | slice) -> Hit | Hits:
        if not isinstance(at, slice | Integral):
            raise InvalidInputError(
                f"hits are numbered from 0, so there is no hit {shown(at)}",
                hint='hits[0]["title"] is a value of the first one, hits.column("title") of each',
            )
        if isinstance(at, slice):
            return self._some(range(len(self))[at], keep_ranks=True)
        if not -len(self) <= at < len(self):
            raise IndexError(f"hit {at} of {len(self)}")
        return Hit(self, at % len(self))

    def __iter__(self) -> Iterator[Hit]:
        return (Hit(self, number) for number in range(len(self)))

    def __repr__(self) -> str:
        try:
            return hits_text(self[:SHOWN_HITS], len(self))
        except VecsearchError as error:
            return f"Hits({len(self)}; {error})"

    def _repr_html_(self) -> str:
        return hits_html(self[:SHOWN_HITS], len(self))


def asked(pages: Iterable[Hits], question: Question) -> Iterator[Hits]:
    """The pages of hits, each with what the search was for."""
    for hits in pages:
        hits.question = question
        yield hits


def scored_again(
    hits: Hits,
    places: Sequence[int],
    scores: npt.NDArray[np.float32],
    parts: Sequence[Mapping[str, ListPlace]],
    plan: Plan,
) -> Hits:
    """Some hits in another order, ranked from 1, with other scores.

    Args:
        hits: The hits.
        places: Which of them, in their new order.
        scores: A score for each of all hits.
        parts: The ranks and scores of the chosen ones in each list.
        plan: How they were found.
    """
    some = hits._some(places)
    some.scores, some.plan, some.parts = scores[list(places)], plan, parts
    some.group_by = hits.group_by
    return some
