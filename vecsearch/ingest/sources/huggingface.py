"""Data sets of the library `datasets` (Hugging Face) -> the parts of a source."""

from __future__ import annotations

from typing import Any, NoReturn

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part

DECODED = ("Image", "Audio", "Video", "Pdf", "Nifti")  # features that are stored as files' bytes


def hub_dataset_part(data: Any, batch_rows: int) -> Part | None:
    """A `datasets.Dataset`, batch by batch, with what was selected, shuffled and filtered in it.

    A class label is its number, as everywhere in that library.

    Returns:
        The part; None for a data set that is read row by row: one that is streamed, or that holds
        pictures.
    """
    if not hasattr(data, "with_format") or not hasattr(data, "num_rows"):
        return None  # an IterableDataset
    shown = data.format["columns"]
    if any(type(data.features[name]).__name__ in DECODED for name in shown):
        return None
    arrow = data.with_format("arrow", columns=shown)
    schema = pa.schema([data.features.arrow_schema.field(name) for name in shown])

    def read(wanted: pa.Schema) -> Batches:
        for table in arrow.iter(batch_size=batch_rows):
            yield from table.select(shown).replace_schema_metadata(None).to_batches()

    return Part("a datasets.Dataset", data.num_rows, schema, read)


def refuse_splits(data: Any) -> NoReturn:
    """Raises InvalidInputError for a dict of data sets, which `load_dataset` gives."""
    names = ", ".join(map(repr, data))
    raise InvalidInputError(
        f"data is a {type(data).__name__} of the splits {names}: give one of them, such as "
        f"data[{next(iter(data), 'train')!r}], or several one after the other"
    )
