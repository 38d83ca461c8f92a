"""Whether the values that a version holds stay the same in wider columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.widening import MisfitError, can_lose, exact_cast, first_misfit


def require_exact(snapshot: Snapshot, schema: pa.Schema) -> None:
    """Look at the columns that `schema` widens, where a type alone does not tell.

    Args:
        snapshot: The version whose rows will be read in the new types.
        schema: The columns with their new types.

    Raises:
        InvalidInputError: A stored value has no equal in the new type. The message names its id.
    """
    for field in schema:
        if field.name not in snapshot.manifest.schema.names:
            continue
        if can_lose(snapshot.manifest.schema.field(field.name).type, field.type):
            for start, segment in zip(snapshot.starts, snapshot.segments, strict=False):
                live = snapshot.live.mask
                mask = np.ones(segment.rows, bool)
                if live is not None:
                    mask = live[start : start + segment.rows]
                kept = pa.array(mask)
                ids = segment.column(snapshot.manifest.id_column).filter(kept)
                _require_column(segment.column(field.name).filter(kept), field, ids)


def _require_column(array: pa.Array, field: pa.Field, ids: pa.Array) -> None:
    try:
        exact_cast(array, field.type)
    except MisfitError as error:
        row = first_misfit(array, lambda part: exact_cast(part, field.type)) or 0
        raise InvalidInputError(
            f"column {field.name!r} would become {field.type}, which cannot hold the stored value "
            f"{array[row].as_py()!r} of id {ids[row].as_py()!r} exactly",
            hint=f"give values of type {array.type}, or start with a new collection and schema=",
            command_hint=f"give values of type {array.type}, or start with a new collection and "
            f"--schema {field.name}:string",
        ) from error
