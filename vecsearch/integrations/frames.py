"""Search inside a frame of pandas or polars: rows of the frame come back, best first.

Importing this module gives frames of both libraries the accessor `vs`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from vecsearch.collection import Collection, create
from vecsearch.common.gate import gate
from vecsearch.errors import InvalidInputError
from vecsearch.query.results import Hits

RANK, SCORE = "rank", "score"


@gate
class FrameSearch:
    """A frame that can be searched. What changes in the frame later is not seen.

    Args:
        frame: A frame of pandas or polars.
        text_column: The column that is embedded; or `vector_column`.
        embedder: The model that embeds it, as in `vecsearch.create`.
        vector_column: A column of ready-made vectors, instead.
        path: A folder to keep the collection in. None: one that goes when the search is closed or
            forgotten.
        options: Further arguments of `vecsearch.create`, such as `metric` and `chunker`.

    Raises:
        InvalidInputError: The frame lacks a column, or an argument is wrong.
        EmbedderError: The model cannot be loaded or failed.

    Example:
        >>> import pandas as pd
        >>> from vecsearch.integrations.frames import FrameSearch
        >>> frame = pd.DataFrame({"text": ["a small boat", "a red bus"], "year": [1999, 2003]})
        >>> with FrameSearch(frame, embedder="toy:64") as notes:
        ...     print(notes.search("a bus", k=1)[["rank", "text", "year"]].to_string(index=False))
        ...     print(notes.search("a bus", where="year < 2000")["year"].tolist())
        rank      text  year
           1 a red bus  2003
        [1999]
    """

    def __init__(
        self,
        frame: Any,
        *,
        text_column: str = "text",
        embedder: Any = None,
        vector_column: str | None = None,
        path: str | Path | None = None,
        **options: Any,
    ) -> None:
        self._frame, self._is_pandas = frame, _is_pandas(frame)
        names = [str(name) for name in frame.columns]
        wanted = text_column if vector_column is None else vector_column
        if wanted not in names:
            raise InvalidInputError(
                f"the frame has no column {wanted!r}; its columns are {', '.join(names)}",
                hint="give text_column= or vector_column=",
            )
        row = "row"
        while row in names:
            row += "_"
        columns = frame.reset_index(drop=True) if self._is_pandas else frame
        if vector_column is not None:
            columns = _renamed(columns, self._is_pandas, vector_column, "vector")
            text = columns["vector"]
            options = {"dim": len(text.iloc[0] if self._is_pandas else text[0])} | options
        else:
            options = {"embedder": embedder, "text_column": text_column} | options
        rows = range(len(frame))
        if self._is_pandas:
            columns = columns.assign(**{row: rows})
        else:
            import polars

            columns = columns.with_columns(polars.Series(row, rows, dtype=polars.Int64))
        self._folder = tempfile.TemporaryDirectory(prefix="vecsearch-") if path is None else None
        place = Path(self._folder.name, "frame.vs") if self._folder else Path(str(path))
        try:
            self.collection: Collection = create(place, id_column=row, **options)
            self.collection.add(columns, progress=False)
        except BaseException:
            self._remove()
            raise

    def search(self, query: Any, k: int = 10, **options: Any) -> Any:
        """The rows most similar to a query, as a frame with `rank` and `score` before its columns.

        Args:
            query: A text, or a vector.
            k: The most rows.
            options: As of `Collection.search`: `where`, `mode`, `recall`, …

        Raises:
            VecsearchError: As of `Collection.search`.
        """
        return self._rows(self.collection.search(query, k, **options))

    def similar(self, row: int, k: int = 10, **options: Any) -> Any:
        """The rows most similar to a row, without itself.

        Args:
            row: Its place in the frame, from 0.
            k: The most rows.
            options: As of `Collection.similar`.

        Raises:
            VecsearchError: As of `Collection.similar`.
        """
        return self._rows(self.collection.similar(row, k, **options))

    def _rows(self, hits: Hits) -> Any:
        places = [int(each) for each in hits.ids]
        names = [RANK, SCORE]
        for at, name in enumerate(names):
            while name in self._frame.columns:
                name += "_"
            names[at] = name
        added = {names[0]: [hit.rank for hit in hits], names[1]: [hit.score for hit in hits]}
        if self._is_pandas:
            found = self._frame.iloc[places].copy()
            for at, (name, values) in enumerate(added.items()):
                found.insert(at, name, values)
            return found
        import polars

        shown = self._frame[places]
        return polars.DataFrame(added, schema_overrides={names[0]: polars.Int64}).hstack(shown)

    def close(self) -> None:
        """Close the collection, and remove it if it was to go."""
        self.collection.close()
        self._remove()

    def _remove(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> FrameSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._frame)

    def __repr__(self) -> str:
        return f"FrameSearch({len(self)} rows)"


class Accessor:
    """`frame.vs`: makes a frame searchable.

    Args:
        frame: The frame.

    Example:
        >>> import polars as pl
        >>> import vecsearch.integrations.frames
        >>> frame = pl.DataFrame({"text": ["a small boat", "a red bus"]})
        >>> with frame.vs.searchable(embedder="toy:64") as notes:
        ...     notes.search("boat", k=1)["text"].to_list()
        ['a small boat']
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def searchable(self, **options: Any) -> FrameSearch:
        """The frame as it is now, to be searched; the arguments are those of `FrameSearch`."""
        return FrameSearch(self._frame, **options)


def _is_pandas(frame: Any) -> bool:
    library = type(frame).__module__.split(".")[0]
    if type(frame).__name__ != "DataFrame" or library not in ("pandas", "polars"):
        raise InvalidInputError(
            f"frame is a {library}.{type(frame).__name__}; it must be a DataFrame of pandas or "
            "polars"
        )
    return library == "pandas"


def _renamed(frame: Any, is_pandas: bool, old: str, new: str) -> Any:
    if old == new:
        return frame
    if new in frame.columns:
        raise InvalidInputError(f"vector_column is {old!r}, and the frame has a column {new!r}")
    return frame.rename(columns={old: new}) if is_pandas else frame.rename({old: new})


def _register() -> None:
    """Give both libraries the accessor, as far as they are installed."""
    from importlib.util import find_spec

    if find_spec("pandas") is not None:
        import pandas

        pandas.api.extensions.register_dataframe_accessor("vs")(Accessor)
    if find_spec("polars") is not None:
        import polars

        polars.api.register_dataframe_namespace("vs")(Accessor)


_register()
