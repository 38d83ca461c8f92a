"""Add, drop and widen columns."""

from __future__ import annotations

from vecsearch.collection.opened import Opened
from vecsearch.common.accepted import TypeName
from vecsearch.common.gate import gate
from vecsearch.maintenance import columns


@gate
class Columns(Opened):
    """The part that changes columns."""

    def add_column(self, name: str, kind: TypeName, value: object = None) -> int:
        """Add a metadata column.

        Args:
            name: The column's name.
            kind: A pyarrow type, or its name: "string", "int64", "double", "bool", "date32",
                "json", ...
            value: The value in every row; None for no value.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: The name is taken, or the type or value is wrong.

        Example:
            >>> _ = c.add_column("language", "string", "en")
            >>> c.count("language = 'en'")
            3
        """
        self._writable()
        return self._changed(columns.add_column(self._store, name, kind, value))

    def drop_column(self, name: str) -> int:
        """Remove a metadata column and its values. Older versions keep it.

        The values are marked as gone; `compact` removes them from the files, and with `purge=True`
        nothing of them is left.

        Args:
            name: The column; not the id, the text or the vector.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: There is no such column, or it cannot be removed.

        Example:
            >>> _ = c.add_column("draft", "bool", True)
            >>> _ = c.drop_column("draft")
            >>> "draft" in c.info().columns
            False
        """
        self._writable()
        return self._changed(columns.drop_column(self._store, name))

    def alter_column(self, name: str, kind: TypeName) -> int:
        """Give a metadata column a wider type that holds each of its values exactly.

        Any column of values that JSON has can become "json"; one of texts, if each is JSON text. A
        column of JSON can become "string", which holds the JSON text.

        Args:
            name: The column.
            kind: A pyarrow type, or its name.

        Returns:
            The version that was committed.

        Raises:
            InvalidInputError: There is no such column, or the type does not hold its values.

        Example:
            >>> _ = c.add_column("price", "int64", 3)
            >>> _ = c.alter_column("price", "double")
            >>> c.info().columns["price"]
            'double'
        """
        self._writable()
        return self._changed(columns.alter_column(self._store, name, kind))
