"""What a request may hold. Names and defaults are those of `Collection`'s methods."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LONGEST_TEXT = 100_000  # characters of a question
LONGEST_FILTER = 10_000
MOST_HITS = 1_000
MOST_IDS = 100_000
MOST_NUMBERS = 100_000  # of a vector

Id = Annotated[int, Field(strict=True)] | Annotated[str, Field(max_length=LONGEST_TEXT)]
Ids = Annotated[list[Id], Field(max_length=MOST_IDS)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Vector = Annotated[list[float], Field(max_length=MOST_NUMBERS)]
Filter = Annotated[str, Field(max_length=LONGEST_FILTER)]
Hits = Annotated[int, Field(ge=1, le=MOST_HITS)]
Names = Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=1000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchBody(_Body):
    """A search."""

    query: Text | Vector = Field(description="A text for the collection's model, or a vector.")
    k: Hits = Field(10, description="How many documents to find at most.")
    where: Filter | None = Field(None, description="Only documents for which this SQL is true.")
    ids: Ids | None = Field(None, description="Only documents with these ids.")
    recall: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="The mean recall to deliver. Default: the collection's."
    )
    exact: bool = Field(False, description="Score every matching row.")
    passages: bool = Field(False, description="Find passages instead of documents.")
    columns: Names | None = Field(None, description="Columns to return. Default: all but vectors.")
    plan: bool = Field(False, description="Also say how the search was done.")


class GetBody(_Body):
    """Documents by their ids."""

    ids: Ids = Field(description="The ids, in the order of the answer.")
    columns: Names | None = Field(None, description="Columns to return. Default: all but vectors.")


class DeleteBody(_Body):
    """Documents to delete: by ids, or by a filter."""

    ids: Ids | None = Field(None, description="The ids to delete.")
    where: Filter | None = Field(None, description="Delete documents for which this SQL is true.")
    dry_run: bool = Field(False, description="Only say what would be deleted.")
