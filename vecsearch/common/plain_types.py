"""Arrow types without an encoding around them: no dictionary, run-end, view or extension type."""

from __future__ import annotations

import pyarrow as pa

from vecsearch.common.json_column import JSON, is_json

UUID, BOOL8 = "arrow.uuid", "arrow.bool8"  # names of extension types


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without an encoding around it, at any depth; JSON as a column stays JSON.

    Raises:
        KeyError, ValueError, pa.ArrowInvalid: The time zone of a timestamp is unknown.
    """
    return JSON if is_json(kind) else _without_encoding(kind)


def _without_encoding(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if extension_name(kind) == UUID:
        return pa.large_string()  # as in rows, so that it can be an id and be filtered
    if extension_name(kind) == BOOL8:
        return pa.bool_()
    if isinstance(kind, pa.BaseExtensionType):
        return _without_encoding(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _without_encoding(kind.value_type)
    if types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_fixed_size_list(kind):
        return pa.list_(_without_encoding(kind.value_type), kind.list_size)
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(_without_encoding(kind.value_type))
    if types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(_without_encoding(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, _without_encoding(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(
            _without_encoding(kind.key_type), _without_encoding(kind.item_type), kind.keys_sorted
        )
    if types.is_timestamp(kind) and kind.tz is not None:
        pa.scalar(0, kind).as_py()  # refuse an unknown zone here, not when a value is read
    return kind


def extension_name(kind: pa.DataType) -> str:
    """What an extension type is called; nothing for another type."""
    return kind.extension_name if isinstance(kind, pa.BaseExtensionType) else ""
