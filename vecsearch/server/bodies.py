"""What a request may hold. Names and defaults are those of `Collection`'s methods."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vecsearch.query.examples import HALF_LIFE
from vecsearch.types import Mode

LONGEST_TEXT = 100_000  # characters of a question
LONGEST_FILTER = 10_000
MOST_HITS = 1_000
MOST_IDS = 100_000
MOST_NUMBERS = 100_000  # of a vector
MOST_VECTORS = 1_000  # of a query that has several
MOST_QUERIES = 10_000  # of one request
MOST_EXAMPLES = 1_000
FEW_ROWS, MOST_ROWS = 1_000, 100_000  # of an answer as JSON

# Lists are read up to their first fault: to find all in a large body takes longer than searching.
Id = Annotated[int, Field(strict=True)] | Annotated[str, Field(max_length=LONGEST_TEXT)]
Ids = Annotated[list[Id], Field(fail_fast=True, max_length=MOST_IDS)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Vector = Annotated[list[float], Field(fail_fast=True, max_length=MOST_NUMBERS)]
# Compared by MaxSim.
SeveralVectors = Annotated[list[Vector], Field(fail_fast=True, max_length=MOST_VECTORS)]
Filter = Annotated[str, Field(max_length=LONGEST_FILTER)]
Hits = Annotated[int, Field(ge=1, le=MOST_HITS)]
Told = Annotated[dict[Literal["id", "text", "vector"], Id | Vector], Field(max_length=1)]
Examples = Annotated[list[Id | Vector | Told], Field(fail_fast=True, max_length=MOST_EXAMPLES)]
Had = Id | tuple[Id, float] | tuple[Id, float, float]  # with its weight and its age
Names = Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=1000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Options(_Body):
    """What searches of all kinds take."""

    k: Hits = Field(10, description="How many documents to find at most.")
    where: Filter | None = Field(None, description="Only documents for which this SQL is true.")
    ids: Ids | None = Field(None, description="Only documents with these ids.")
    exclude: Ids | None = Field(None, description="No documents with these ids.")
    min_score: float | None = Field(None, description="The lowest score of a hit.")
    diversity: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="From 0, only likeness counts, to 1: how different hits are to be."
    )
    group_by: str | None = Field(None, description="A column: few hits of each of its values.")
    group_size: Hits = Field(1, description="How many hits of each value.")
    order_by: str | None = Field(None, description="A column that orders the hits.")
    recall: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="The mean recall to deliver. Default: the collection's."
    )
    exact: bool = Field(False, description="Score every matching row.")
    passages: bool = Field(False, description="Find passages instead of documents.")
    columns: Names | None = Field(None, description="Columns to return. Default: all but vectors.")
    plan: bool = Field(False, description="Also say how the search was done.")
    highlight: bool = Field(
        False, description="Also give the sentence of each hit that answers best, with its words."
    )

    def options(self, seconds: float) -> dict[str, Any]:
        """The arguments of `Collection.search`, but for the query."""
        own = ("query", "queries", "id", "columns", "plan", "highlight")
        given = {name: value for name, value in self if name not in own}
        for name in ("ids", "exclude"):
            given[name] = None if given[name] is None else tuple(given[name])
        return given | {"timeout": seconds}


class _Ways(_Options):
    """What searches by a query take: the way to search."""

    mode: Mode = Field("vector", description="By likeness, by words, or by both.")
    using: Names | None = Field(
        None,
        description="The columns that are searched by words; by likeness, the name of vectors.",
    )
    fusion: Literal["weighted", "rrf", "dbsf"] | None = Field(
        None, description="How a hybrid search makes one list of two."
    )
    rerank: Literal["maxsim"] | None = Field(
        None, description="Score the best hits again, by the tokens of the collection's model."
    )
    rerank_top: Hits | None = Field(None, description="How many hits are scored again.")

    def options(self, seconds: float) -> dict[str, Any]:
        """The arguments of `Collection.search`, but for the query."""
        given = super().options(seconds)
        given["using"] = None if self.using is None else tuple(self.using)
        for name in ("text", "vector", "texts", "vectors"):
            if name in given and given[name] is None:
                del given[name]
        return given


class SearchBody(_Ways):
    """A search."""

    query: Text | Vector | SeveralVectors | None = Field(
        None, description="A text for the model, a vector, or several vectors (MaxSim)."
    )
    text: Text | None = Field(None, description="The words, beside a `vector`.")
    vector: Vector | None = Field(None, description="The vector, beside a `text`.")


ManyTexts = Annotated[list[Text], Field(fail_fast=True, min_length=1, max_length=MOST_QUERIES)]
ManyVectors = Annotated[list[Vector], Field(fail_fast=True, min_length=1, max_length=MOST_QUERIES)]
ManyLists = Annotated[
    list[SeveralVectors], Field(fail_fast=True, min_length=1, max_length=MOST_QUERIES)
]


class SearchManyBody(_Ways):
    """Many searches at once."""

    queries: ManyTexts | ManyVectors | ManyLists | None = Field(
        None, description="Texts, vectors, or lists of vectors (MaxSim)."
    )
    texts: ManyTexts | None = Field(None, description="The words, beside `vectors`.")
    vectors: ManyVectors | None = Field(None, description="The vectors, beside `texts`.")


class RecommendBody(_Options):
    """A search by examples."""

    positive: Examples = Field(
        [], description='What is wanted: ids, texts, vectors, or objects such as {"text": "boat"}.'
    )
    negative: Examples = Field([], description="What is not wanted.")
    strategy: Literal["average", "best_score", "sum_scores"] = Field(
        "average", description="How the examples make one score."
    )
    history: Annotated[list[Had], Field(fail_fast=True, max_length=MOST_EXAMPLES)] | None = Field(
        None, description="What a user had: ids, or [id, weight] or [id, weight, age]."
    )
    half_life: Annotated[float, Field(gt=0)] = Field(
        HALF_LIFE, description="The age at which a weight of `history` has halved."
    )
    exclude_seen: bool = Field(
        True, description="Leave out the documents of the examples and of the history."
    )

    def options(self, seconds: float) -> dict[str, Any]:
        """The arguments of `Collection.recommend`."""
        given = super().options(seconds)
        if self.history is not None:  # a list would be a vector
            given["history"] = [
                tuple(each) if isinstance(each, list | tuple) else each for each in self.history
            ]
        return given


class ExplainBody(SearchBody):
    """Why a search, or a search for documents like one, finds a document."""

    id: Id = Field(description="The document that was found.")
    like: Id | None = Field(None, description="Instead of a query: the id that hits are like.")

    def options(self, seconds: float) -> dict[str, Any]:
        """The arguments of `Collection.search`, or of `similar`, but for the query."""
        given = super().options(seconds)
        del given["like"]
        if self.like is not None:
            for name in ("mode", "using", "fusion", "rerank", "rerank_top", "text", "vector"):
                given.pop(name, None)
        return given


class SimilarBody(_Options):
    """A search for documents like one that is there."""

    id: Id = Field(description="The document's id.")


class FacetsBody(_Body):
    """Counts of the values of columns."""

    columns: Names = Field(description="The columns.")
    where: Filter | None = Field(None, description="Only documents for which this SQL is true.")
    ids: Ids | None = Field(None, description="Only documents with these ids.")
    exclude: Ids | None = Field(None, description="No documents with these ids.")
    query: Text | Vector | None = Field(None, description="Only documents like this.")
    mode: Literal["vector", "text"] = Field("vector", description="By likeness, or by words.")
    using: Names | None = Field(None, description="The columns that are searched by words.")
    passages: bool = Field(False, description="Count passages instead of documents.")
    min_score: float | None = Field(None, description="The lowest score of a document like it.")
    bins: int | str | list[float] | None = Field(
        None, description="Count ranges: a number of bins, edges, or `year`, `month`, …"
    )
    limit: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100, description="How many values of a column to return."
    )


class GetBody(_Body):
    """Documents by their ids."""

    ids: Ids = Field(description="The ids, in the order of the answer.")
    columns: Names | None = Field(None, description="Columns to return. Default: all but vectors.")


class RowsBody(_Body):
    """Rows by a filter or by ids, in the collection's order."""

    where: Filter | None = Field(None, description="Only documents for which this SQL is true.")
    ids: Ids | None = Field(None, description="Only documents with these ids.")
    columns: Names | None = Field(None, description="Columns to return. Default: all.")
    limit: Annotated[int, Field(ge=1)] | None = Field(
        None, description=f"At most so many. Default: {FEW_ROWS:,} as JSON, all as Arrow."
    )


class CountBody(_Body):
    """A number of documents."""

    where: Filter | None = Field(None, description="Only documents for which this SQL is true.")
    ids: Ids | None = Field(None, description="Only documents with these ids.")


class VectorBody(_Body):
    """A document, or a text, whose vector is wanted."""

    id: Id | None = Field(None, description="The document's id.")
    text: Text | None = Field(None, description="Instead: a text for the collection's model.")


class UpdateBody(_Body):
    """New values of documents."""

    where: Filter | None = Field(None, description="The documents for which this SQL is true.")
    ids: Ids | None = Field(None, description="The documents with these ids.")
    values: dict[str, Any] | list[dict[str, Any]] = Field(
        description="Column -> value for all of them, or for each of `ids` its own."
    )
    dry_run: bool = Field(False, description="Only say what would be changed.")


class DeleteBody(_Body):
    """Documents to delete: by ids, or by a filter."""

    ids: Ids | None = Field(None, description="The ids to delete.")
    where: Filter | None = Field(None, description="Delete documents for which this SQL is true.")
    dry_run: bool = Field(False, description="Only say what would be deleted.")
