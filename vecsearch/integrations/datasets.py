"""Collections and hits as data sets of Hugging Face's library `datasets`.

The other way needs nothing: `Collection.add` takes a `datasets.Dataset`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vecsearch.collection import Collection
from vecsearch.common.accepted import Ids, Where
from vecsearch.common.gate import gated
from vecsearch.common.json_column import json_as_text
from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError
from vecsearch.query.results import Hits

if TYPE_CHECKING:
    from datasets import Dataset

require("datasets", "datasets", "datasets", "vecsearch.integrations.datasets")


@gated
def to_dataset(
    data: Collection | Hits,
    columns: Sequence[str] | None = None,
    *,
    where: Where | None = None,
    ids: Ids | None = None,
) -> Dataset:
    """The rows of a collection, or hits, as a `datasets.Dataset`, without a copy.

    JSON columns are JSON text there.

    Args:
        data: A collection, or hits of a search.
        columns: Columns to return. None: of a collection all, and the vector; of hits all but it.
        where: Of a collection: only documents for which this SQL is true.
        ids: Of a collection: only documents with these ids.

    Raises:
        InvalidInputError: A column does not exist, or `datasets` cannot hold its type.
        FilterError: The filter is wrong.

    Example:
        >>> import vecsearch as vs
        >>> from vecsearch.integrations.datasets import to_dataset
        >>> c = vs.create("notes.vs", embedder="toy:64")
        >>> _ = c.add([{"id": "boat", "text": "a small boat"}, {"id": "bus", "text": "a red bus"}])
        >>> to_dataset(c, ["id", "text"], where="id != 'bus'")[0]
        {'id': 'boat', 'text': 'a small boat'}
        >>> to_dataset(c.search("a bus"))["id"][:]
        ['bus', 'boat']
    """
    import pyarrow as pa
    from datasets import Dataset

    if isinstance(data, Collection):
        table = data.to_arrow(columns, where=where, ids=ids)
    elif where is not None or ids is not None:
        raise InvalidInputError("where and ids are for collections; hits are chosen already")
    elif isinstance(data, Hits):
        table = data.to_arrow(columns)
    else:
        raise InvalidInputError(f"data is a {type(data).__name__}; it must be a Collection or Hits")
    try:
        return Dataset(json_as_text(table))
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        raise InvalidInputError(
            f"the library datasets cannot hold these columns: {error}",
            hint="choose others by columns=, or take to_arrow()",
        ) from error
