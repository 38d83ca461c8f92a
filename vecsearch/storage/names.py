"""The user's names for the columns of ids and of texts.

`create` names them, or else the first `add`; from then on they are fixed. Until then they are
called `id` and `text`.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from vecsearch.common.json_column import type_name
from vecsearch.errors import InvalidInputError
from vecsearch.storage.manifest import Manifest, replace
from vecsearch.storage.schema import ID_DECLARED, ID_TYPES, TEXT_TYPES, check_column_name
from vecsearch.types import VECTOR

# Settings of a collection that is still empty: the user named the column already.
ID_NAMED: Final = "id_named"
TEXT_NAMED: Final = "text_named"
TEXT_DECLARED: Final = "text_declared"  # its type is stated: text or bytes
OPEN_SETTINGS: Final = ("open_schema", ID_DECLARED, ID_NAMED, TEXT_NAMED, TEXT_DECLARED)


def named_by_data(manifest: Manifest, id_column: str | None, text_column: str | None) -> Manifest:
    """The collection with the names that its first data has for the ids and the text.

    A collection that has its names already is returned as it is.

    Args:
        manifest: The collection.
        id_column: The column of ids in the data; None for the collection's own.
        text_column: The same for the column of texts.

    Raises:
        InvalidInputError: A column cannot have such a name, or both are the same one.
    """
    settings = manifest.settings
    if not settings.get("open_schema"):
        return manifest
    names = {}
    if id_column is not None and not settings.get(ID_NAMED):
        names[manifest.id_column] = id_column
    if text_column is not None and manifest.text_column and not settings.get(TEXT_NAMED):
        names[manifest.text_column] = text_column
    for option, name in (("id_column", id_column), ("text_column", text_column)):
        if name in names.values():
            check_special_name(option, name)
    special = [manifest.id_column, *manifest.text_columns]
    renamed = [names.get(name, name) for name in special]
    if len(set(renamed)) < len(renamed):
        raise InvalidInputError(
            f"column {renamed[0]!r} cannot hold both the ids and the text to embed",
            hint="name the other column with text_column= or id_column=",
            command_hint="name the other column with --text-column or --id-column",
        )
    fields, declared = [], dict(settings)
    for field in manifest.schema:
        if field.name in special:
            name = names.get(field.name, field.name)
            kind = field.type
            if name != field.name and name in manifest.schema.names and name not in special:
                kind = manifest.schema.field(name).type  # declared before it was told what it is
                _require_special_type(name, kind, is_id=field.name == manifest.id_column)
                is_id = field.name == manifest.id_column
                declared[ID_DECLARED if is_id else TEXT_DECLARED] = True
            fields.append(field.with_name(name).with_type(kind))
        elif field.name not in renamed:
            fields.append(field)
    text = manifest.text_column
    return replace(
        manifest,
        schema=pa.schema(fields),
        text_column=None if text is None else names.get(text, text),
        settings=declared,
    )


def check_special_name(option: str, name: Any) -> None:
    """Raises InvalidInputError for what cannot be the name of the ids or of a text."""
    if not isinstance(name, str) or name == VECTOR:
        raise InvalidInputError(
            f"{option} is {name!r}; it must be the name of a column, and not one that vecsearch "
            "uses itself"
        )
    check_column_name(name)


def _require_special_type(name: str, kind: pa.DataType, *, is_id: bool) -> None:
    if kind not in (ID_TYPES if is_id else TEXT_TYPES):
        what = "ids are integers or strings" if is_id else "a text is a string"
        raise InvalidInputError(f"column {name!r} was declared as {type_name(kind)}, but {what}")
