"""Read what a collection has: documents, vectors, columns, versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.collection.opened import Opened
from vecsearch.common.accepted import (
    ArrowArray,
    ArrowStream,
    Ids,
    Where,
)
from vecsearch.common.arguments import (
    check_k,
    check_names,
    check_timeout,
    check_whole,
)
from vecsearch.common.deadline import limited, time_limit
from vecsearch.common.gate import gate
from vecsearch.display import html_fields
from vecsearch.embedders.torch_layer import EmbeddingRows
from vecsearch.errors import (
    InvalidInputError,
)
from vecsearch.index.kernels.loader import kernel_for
from vecsearch.query.documents import document_vectors, documents_by_id, first_documents
from vecsearch.query.result_tables import frame_of
from vecsearch.query.torch_layer import torch_embedding
from vecsearch.storage.describe import describe, list_versions
from vecsearch.storage.origins import pull
from vecsearch.storage.origins import shown as shown_place
from vecsearch.types import (
    CollectionInfo,
    Id,
    VersionInfo,
)


@gate
class Contents(Opened):
    """The part that reads what is stored."""

    def get(
        self, ids: Iterable[Id] | Id, columns: Sequence[str] | None = None
    ) -> list[dict[str, Any] | None]:
        """Whole documents by id.

        Args:
            ids: An id or several.
            columns: Columns to return. None: all but the vector.

        Returns:
            A dict for each id, in order; None for an id that no document has.

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.

        Example:
            >>> c.get(["ship", "plane"], ["year"])
            [{'year': 2021}, None]
        """
        return documents_by_id(self._snapshot, ids, columns)

    def head(
        self,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """The first documents, whole, in the order in which they were added.

        Args:
            k: Maximum number of documents.
            where: A filter. With a chunker, a filter on the text sees whole documents here.
            ids: Only documents with one of these ids, as in `search`.
            columns: Columns to return. None: all but the vector.

        Returns:
            A dict for each document.

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.

        Example:
            >>> c.head(1, columns=["id", "year"])
            [{'id': 'boat', 'year': 1999}]
        """
        selection = self._searching().selector.select_documents(where, ids)
        return first_documents(self._snapshot, selection, check_k(k), columns)

    def vector(self, id: Id | None = None, *, text: str | None = None) -> npt.NDArray[np.float32]:
        """The vector of a document, or of a text as a query.

        Vectors can be added and subtracted, then searched for:
        `c.search(c.vector("king") - c.vector("man") + c.vector("woman"))`.

        Args:
            id: Id of a document. The vector is returned as it was given; for a document of several
                passages, the mean of theirs.
            text: A text, instead of an id. Its vector is the one that a search for it uses.

        Returns:
            float32, shape (dim,).

        Raises:
            IdNotFoundError: No document has the id.
            InvalidInputError: Neither or both were given.
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> c.vector("ship").shape
            (64,)
            >>> c.search(c.vector("ship"), k=1).ids
            ['ship']
        """
        if (id is None) == (text is None):
            raise InvalidInputError("vector takes the id of a document, or text=, one of them")
        snapshot = self._snapshot
        if id is None:
            return np.asarray(self._encoder(snapshot.manifest).embed([text])[0], np.float32)
        return np.asarray(document_vectors(snapshot, [id])[0], np.float32)

    def features(
        self, ids: Ids | ArrowArray | ArrowStream, *, missing: Literal["error", "zeros"] = "error"
    ) -> npt.NDArray[np.float32]:
        """The vectors of many documents, as input of another model.

        Args:
            ids: Ids, or an Arrow column of them.
            missing: What an id that no document has gives: an "error", or a row of "zeros".

        Returns:
            float32, shape (len(ids), dim), in the order of `ids`, each as it was given; for a
            document of several passages, the mean of theirs.

        Raises:
            IdNotFoundError: No document has the id, and `missing` is "error".
            InvalidInputError: An id has the wrong type.

        Example:
            >>> c.features(["ship", "bus"]).shape
            (2, 64)
        """
        return document_vectors(self._snapshot, ids, missing)

    def torch_embedding(
        self,
        ids: Iterable[Id] | None = None,
        *,
        trainable: bool = False,
        missing: Literal["error", "zeros"] = "error",
        padding: bool = False,
        unknown: Literal["mean", "zeros"] | None = None,
    ) -> tuple[Any, EmbeddingRows]:
        """A `torch.nn.Embedding` with documents' vectors as its weight.

        It can be a layer of Wide & Deep, DeepFM, a language model or any other network.

        Args:
            ids: Ids of documents. None: all, in order.
            trainable: Whether training may change the weight. It never changes the collection.
            missing: What an id that no document has gives: an "error", or a row of "zeros". With
                `unknown` it shares the row of unknown ids instead of being an error.
            padding: Make row 0 one of zeros, which fills short sequences and is never trained.
            unknown: Make a row for every other id, which begins with the "mean" of all vectors or
                with "zeros".

        Returns:
            The layer, with weight float32 (rows, dim), and the row of each id. Its `padded` makes a
            matrix of rows from several lists of ids.

        Raises:
            IdNotFoundError: No document has the id, and `missing` is "error".
            InvalidInputError: An id has the wrong type, or there are no documents.

        Example:
            >>> layer, row_of = c.torch_embedding(["ship", "bus"])
            >>> tuple(layer.weight.shape), row_of
            ((2, 64), {'ship': 0, 'bus': 1})
            >>> layer, row_of = c.torch_embedding(padding=True, unknown="mean")
            >>> row_of.padded([["bus", "rocket"], ["ship"]]).shape, row_of["rocket"]
            (torch.Size([2, 2]), 1)
        """
        return torch_embedding(self._snapshot, ids, trainable, missing, padding, unknown)

    def count(
        self,
        where: Where | None = None,
        *,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> int:
        """Number of documents that match a filter, or have one of some ids.

        Args:
            where: A filter. None: all documents. With a chunker, a filter on the text sees whole
                documents here.
            ids: The ids of documents to count, as in `search`: those that are not there, and
                repetitions, do not count.
            timeout: Seconds that the call may take, as in `search`.

        Raises:
            FilterError: The filter is wrong.
            InvalidInputError: An id has the wrong type.
            OperationTimeoutError: The count was not done within `timeout`.

        Example:
            >>> c.count("year > 2000")
            2
            >>> c.count(ids=["bus", "plane"])
            1
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.count(where, ids=ids)
        snapshot = self._snapshot
        if where is None and ids is None:
            return snapshot.manifest.documents
        return snapshot.documents_in(self._searching().selector.select_documents(where, ids))

    def __len__(self) -> int:
        return self._snapshot.manifest.documents

    def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> pa.Table:
        """All rows as a pyarrow Table: one row for each document or, with a chunker, each passage.

        Args:
            columns: Columns to return. None: all of the user's, and the vector.
            where: A filter, as in `search`.
            ids: The ids of documents to return, as in `search`. The rows come in the collection's
                order, each once; `get` gives them in the order of the ids.
            timeout: Seconds that the call may take, as in `search`.

        Returns:
            The table. Cosine collections store unit vectors and lengths, so vectors come back
            within a relative error of 1e-6 (1e-3 with dtype "float16").

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.

        Example:
            >>> c.to_arrow(["id", "year"], where="year < 2010").to_pylist()
            [{'id': 'boat', 'year': 1999}, {'id': 'bus', 'year': 2003}]
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.to_arrow(columns, where=where, ids=ids)
        snapshot = self._snapshot
        names = snapshot.columns if columns is None else check_names("columns", columns)
        snapshot.check_columns(names)
        return pa.Table.from_batches(
            snapshot.scan(
                names, self._searching().selector.select(where, ids), snapshot.table_rows(names)
            ),
            schema=snapshot.schema_of(names),
        )

    def to_pandas(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The same as `to_arrow`, as a pandas DataFrame.

        Integers beside missing values have a nullable type of pandas, such as Int64, so that large
        ones stay exact. Values of JSON columns are Python's.

        Args:
            columns: Columns to return. None: all of the user's, and the vector.
            where: A filter, as in `search`.
            ids: The ids of documents to return, as in `to_arrow`.
            timeout: Seconds that the call may take, as in `search`.

        Raises:
            InvalidInputError: A column does not exist, or pandas cannot hold its values.
            MissingExtraError: pandas is not installed.

        Example:
            >>> c.to_pandas(["id", "year"])["year"].tolist()
            [1999, 2021, 2003]
        """
        return frame_of(self.to_arrow(columns, where=where, ids=ids, timeout=timeout))

    def to_ray(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
    ) -> Any:
        """The same as `to_arrow`, as a data set of Ray (`ray.data.Dataset`).

        The workers of the cluster read the rows of this version in parallel, when they are used;
        the collection has to be at the same path on their nodes. `add` takes such data sets.

        Args:
            columns: As of `to_arrow`.
            where: As of `to_arrow`.
            ids: As of `to_arrow`.

        Returns:
            The data set. While this process holds it, garbage collection leaves its version alone.

        Raises:
            MissingExtraError: Ray is not installed (extra `ray`).
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.

        Example:
            >>> c.to_ray(["id", "year"]).count()  # doctest: +SKIP
            3
        """
        from vecsearch.distributed.datasets import ray_dataset

        snapshot = self._snapshot
        names = snapshot.columns if columns is None else check_names("columns", columns)
        snapshot.check_columns(names)
        return ray_dataset(snapshot, names, self._searching().selector.select(where, ids))

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Where | None = None,
        ids: Ids | None = None,
        batch_rows: int = 8192,
        timeout: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Stream all rows in batches, from one version whatever is committed meanwhile.

        Args:
            columns: Columns to return. None: all of the user's, and the vector.
            where: A filter, as in `search`.
            ids: The ids of documents to return, as in `to_arrow`.
            batch_rows: Maximum number of rows in a batch.
            timeout: Seconds from the call until the last batch is asked for. The time is looked at
                before each batch. None: no limit.

        Returns:
            An iterator of pyarrow RecordBatches.

        Raises:
            InvalidInputError: A column does not exist, or an id has the wrong type.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`, here or at a batch.

        Example:
            >>> [batch.num_rows for batch in c.scan(["id"], batch_rows=2)]
            [2, 1]
        """
        searcher = self._searching()
        batch_rows = check_whole("batch_rows", batch_rows, 1)
        if columns is not None:
            columns = check_names("columns", columns)
            searcher.snapshot.check_columns(columns)
        if timeout is None:
            selection = searcher.selector.select(where, ids)
            return searcher.snapshot.scan(columns, selection, batch_rows)
        with time_limit(check_timeout(timeout)) as deadline:
            selection = searcher.selector.select(where, ids)
            return limited(searcher.snapshot.scan(columns, selection, batch_rows), deadline)

    def info(self) -> CollectionInfo:
        """The collection's documents, columns, embedder and indexes.

        Example:
            >>> info = c.info()
            >>> info.documents, info.dim, info.metric
            (3, 64, 'cosine')
        """
        manifest = self._snapshot.manifest
        return describe(
            self.path,
            manifest,
            lambda entry: kernel_for(entry.recipe, manifest.metric, manifest.dtype),
            self._store.files.calibration,
        )

    def versions(self) -> list[VersionInfo]:
        """The versions that can be opened or rolled back to, oldest first.

        Example:
            >>> [(item.version, item.operation) for item in c.versions()]
            [(1, 'create'), (2, 'add')]
        """
        self._require_in_place()
        pull(self.path)
        return list_versions(self.path)

    def _repr_html_(self) -> str:
        if self._searcher is None:
            return html_fields({"collection": f"{shown_place(self.path)} (closed)"})
        return self.info()._repr_html_()
