"""Add, change and delete documents."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Literal

import pyarrow as pa

from vecsearch.collection.columns import Columns
from vecsearch.common.accepted import (
    CsvOptions,
    Data,
    Ids,
    Values,
    Where,
)
from vecsearch.common.arguments import (
    check_flag,
    check_min_score,
    check_one_of,
    check_timeout,
)
from vecsearch.common.deadline import time_limit
from vecsearch.common.engines import Engine
from vecsearch.common.gate import gate
from vecsearch.common.invalid_data import invalid_data
from vecsearch.common.progress import progress_bar
from vecsearch.distributed.choice import EngineName, engine_of
from vecsearch.embedders.stored import (
    Model,
)
from vecsearch.errors import (
    InvalidInputError,
)
from vecsearch.ingest import add
from vecsearch.ingest.add import MakeCompleter
from vecsearch.ingest.embedding import EmbedTexts
from vecsearch.ingest.named_vectors import made_columns, with_vectors
from vecsearch.ingest.requests import check_key
from vecsearch.ingest.sources import Reading, open_source, reading_options, takes_pictures
from vecsearch.ingest.sources.base import Source
from vecsearch.ingest.sources.documents import FILE_COLUMNS, PICTURE_COLUMNS
from vecsearch.maintenance import edit
from vecsearch.maintenance.merge import merging, noting_columns
from vecsearch.maintenance.refresh import refreshing
from vecsearch.maintenance.sync import FolderSync, stored_digests
from vecsearch.query.duplicate_watch import DuplicateWatch
from vecsearch.storage.folders import folder_path
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.names import named_by_data
from vecsearch.storage.schema import source_schema
from vecsearch.types import (
    BEIR_ID,
    ID,
    SOURCE,
    TEXT,
    AddResult,
    DeleteResult,
    OnConflict,
    OnError,
    SyncResult,
    UpdateResult,
)


@gate
class Changes(Columns):
    """The part that changes documents."""

    def add(
        self,
        data: Data,
        *,
        on_conflict: OnConflict = "error",
        id_column: str | None = None,
        text_column: str | None = None,
        on_error: OnError = "raise",
        encoding: str | None = None,
        csv: CsvOptions | None = None,
        exclude: str | Sequence[str] = (),
        on_duplicate: Literal["report", "skip"] | None = None,
        duplicate_score: float = 0.95,
        auto_index: bool | None = None,
        idempotency_key: str | None = None,
        engine: EngineName = None,
        progress: bool | None = None,
    ) -> AddResult:
        """Add documents, all of them or, on any error, none.

        One call is one commit. An interrupted call resumes when it is repeated: texts that were
        embedded already are not embedded again.

        Searches stay fast: new rows are indexed before the call returns, as a second commit. Few
        new rows, up to 2,048 or a 16th of the index, wait for later ones; searches compare their
        codes meanwhile. A collection without an index gets one when it has 20,000 rows, unless
        exact search was asked for (`build_index("exact")`).

        Args:
            data: A pyarrow Table or reader, a pandas or polars frame, a list of dicts or of texts,
                a float matrix (rows, dim), an address (https://...), or paths: of tables (.parquet,
                .csv, .tsv, .json, .jsonl, .arrow, .xlsx), of vectors (.npy, .hdf5, .faiss), of
                documents (.txt, .md, .rst, .html, .pdf, .docx, .pptx, .epub, .eml, .mbox, .ipynb,
                .srt, source code), and of folders of these. Columns are `id` (generated when
                absent), the text column or a ready-made `vector`, and any others, which are stored
                as typed metadata; documents have `title`, `modified`, `source` (where the file is)
                and `digest` (of its bytes). With a model of pictures, pictures (.jpg, .png, ...)
                are read instead: paths, folders, PIL images, bytes, addresses; those of files have
                `folder`, `taken` (EXIF), `width`, `height` and `thumbnail`, too. In JSON columns, a
                str of a row is a JSON string, and a column of texts (CSV, Arrow, pandas) holds
                JSON text.
            on_conflict: What to do with an id that is already there: "error", "skip" the new
                document, "replace" the old one, "update" the columns that the data gives (see
                `upsert`), or "refresh": "replace" those that changed, and leave out what is the
                same. Rows without ids are then left out if the collection has the same row.
            id_column: The data's column that holds the ids. None: the collection's name for it; and
                where that is `id`, BEIR's `_id` if there is no `id`. The first data names the
                column, unless `create` did.
            text_column: The same for the column that holds the text.
            on_error: "raise", or "skip" to leave out rows, files and pictures that cannot be
                added; the result's `report` lists them. What cannot be read in a folder is always
                left out and listed: empty and damaged files, archives, hidden files, and files
                larger than 100 MB. Ids that repeat are `on_conflict`'s.
            encoding: The encoding of text files, such as "latin-1". None: UTF-8, UTF-16 with a
                byte order mark, or GB18030 or Big5 where that is sure.
            csv: How CSV files are written: "delimiter", "quote" ("" for none), "comment" (lines
                that begin with it are left out) and "null" (cells that mean a missing value, as a
                list). What is not given is found, or is as usual. An empty cell is a missing value;
                in quotes it is an empty text, where a column holds texts.
            exclude: Patterns of files in folders to leave out, written as in `.gitignore`, beside
                those in the folders' own `.gitignore` and `.vecsearchignore` files.
            auto_index: Whether to index the new rows before returning. False: leave it to
                `build_index` or a later change. None: as `create` was told.
            on_duplicate: What to do with documents that are nearly the same as one that is there,
                or as an earlier one of this call: "report" them in the result's `duplicates`, or
                "skip" them, too. None: they are not looked for. The vectors of the call stay in
                memory for that.
            duplicate_score: The least score of such a pair.
            idempotency_key: A name of this add, such as a UUID. If one with this name was committed
                already, nothing is done, and its result is returned: so an add may be sent again
                when its answer was lost. The names of the last 100 such adds are kept.
            engine: Where texts are embedded: None for here, "processes" of this machine, or "ray",
                the nodes of a Ray cluster. Workers load the model by its name, or from the
                collection.
            progress: Whether to show a progress bar. None: on a terminal and in notebooks.

        Returns:
            How many documents were added, replaced and skipped, what was left out, and what was
            indexed.

        Raises:
            InvalidInputError: The data is wrong; the message names file, line or row, and column.
            DuplicateIdError: An id is already there and `on_conflict` is "error", or is twice in
                the data.
            EmbedderError: The model failed, or is not the collection's.
            ConflictError: Another writer changed the columns or the model meanwhile.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.add([{"id": "boat", "text": "a rowing boat"}], on_conflict="replace").replaced
            1
        """
        choices = ("error", "skip", "replace", "update", "refresh")
        check_one_of("on_conflict", on_conflict, choices)
        if auto_index is not None:
            auto_index = check_flag("auto_index", auto_index)
        if idempotency_key is not None:
            check_key(idempotency_key)
        reading = reading_options(on_error, encoding, csv, exclude)
        if on_conflict == "update":
            reading = noting_columns(reading)
        columns = id_column, text_column
        nearly_same = on_duplicate, duplicate_score
        runs_on = engine_of(engine)
        return self._add(
            data,
            reading,
            on_conflict,
            *columns,
            progress,
            auto_index,
            idempotency_key,
            nearly_same,
            runs_on,
        )

    def _add(
        self,
        data: Data,
        reading: Reading,
        on_conflict: OnConflict = "error",
        id_column: str | None = None,
        text_column: str | None = None,
        progress: bool | None = None,
        auto_index: bool | None = None,
        request: str | None = None,
        nearly_same: tuple[Literal["report", "skip"] | None, float] = (None, 0.0),
        engine: Engine | None = None,
    ) -> AddResult:
        """What `add` does, with the options of reading; they hold the report, too."""
        self._writable()
        # Another process may have moved the collection to another model.
        manifest = self.refresh()._snapshot.manifest
        manifest = named_by_data(manifest, id_column, text_column)
        known = source_schema(manifest, id_column, text_column)
        complete: MakeCompleter | None = refreshing if on_conflict == "refresh" else None
        source = self._opened(data, reading, manifest, known, text_column, id_column, on_conflict)
        if on_conflict == "update":
            complete = merging(reading, source.places)
        watch = self._duplicate_watch(*nearly_same, on_conflict)
        embedder: EmbedTexts | None = self._model_of(manifest)
        if engine is not None and isinstance(embedder, Model):
            from vecsearch.distributed.embedding import EngineModel

            embedder = EngineModel(embedder, engine)
        with (
            invalid_data(),
            progress_bar(f"adding {source.name}", source.total, progress) as advance,
        ):
            batches: Iterable[pa.RecordBatch] = source.batches
            if made_columns(manifest.schema):
                text = text_column or manifest.text_column
                batches = with_vectors(batches, manifest, self._named, reading, text)
            done = add.add_documents(
                self._store,
                batches,
                on_conflict=on_conflict,
                embedder=embedder,
                split=self._splitting(manifest),
                id_column=id_column,
                text_column=text_column,
                progress=advance,
                places=source.places,
                reading=reading,
                complete=complete,
                operation="upsert" if on_conflict == "update" else "add",
                leave_out=None if watch is None else watch.filtered,
                request=request,
            )
        if watch is not None:
            done = dataclasses.replace(done, duplicates=tuple(watch.pairs))
        self._refreshed(pulled=True)
        indexed = self._index_changes(auto_index, progress)
        if indexed is None:
            return done
        return dataclasses.replace(
            done,
            version=indexed.version,
            indexed_rows=indexed.rows,
            index_bytes=indexed.bytes,
        )

    def _opened(
        self,
        data: Data,
        reading: Reading,
        manifest: Manifest,
        known: pa.Schema,
        text_column: str | None,
        id_column: str | None,
        on_conflict: OnConflict,
    ) -> Source:
        """The rows of data, read as those of a collection with these columns."""
        reading.id_column = id_column or manifest.id_column
        reading.beir_id = reading.id_column == ID and BEIR_ID not in manifest.schema.names
        reading.columns = None if manifest.settings.get("open_schema") else frozenset(known.names)
        reading.pictures = takes_pictures(manifest)
        if on_conflict == "refresh":
            reading.stored = stored_digests(self._snapshot)
        with invalid_data():
            return open_source(
                data,
                text_column=text_column or manifest.text_column or TEXT,
                schema=known,
                reading=reading,
            )

    def _duplicate_watch(
        self, on_duplicate: str | None, score: float, on_conflict: str
    ) -> DuplicateWatch | None:
        """What looks for duplicates during an add."""
        if on_duplicate is None:
            return None
        check_one_of("on_duplicate", on_duplicate, ("report", "skip"))
        searcher = self._searching()
        score = check_min_score(score, searcher.metric, "duplicate_score")
        if on_conflict == "update":
            raise InvalidInputError(
                "on_duplicate does not go with on_conflict='update', which changes documents",
                hint='take on_conflict="error", "skip", "replace" or "refresh"',
                command_hint="take --on-conflict error, skip, replace or refresh",
            )
        recall, skip = searcher.snapshot.manifest.recall, on_duplicate == "skip"
        return DuplicateWatch(searcher, score, recall, skip=skip)

    def upsert(
        self,
        data: Data,
        *,
        id_column: str | None = None,
        text_column: str | None = None,
        encoding: str | None = None,
        csv: CsvOptions | None = None,
        auto_index: bool | None = None,
        progress: bool | None = None,
    ) -> AddResult:
        """Add documents with new ids, and update those whose ids are there, as one commit.

        An existing document keeps the columns that the data does not give, as with SQL's `INSERT
        ... ON CONFLICT DO UPDATE`, LanceDB's `merge_insert` and Chroma's `upsert`. (Qdrant's and
        Pinecone's replace the whole document: that is `add(..., on_conflict="replace")`.) In dicts
        and JSON lines, a key that a row lacks is not given; a null is, and sets the column to
        null. A text that stays the same is not embedded again.

        It is the same as `add(..., on_conflict="update")`. Updated documents are indexed like new
        ones; `update` of metadata leaves them in the index.

        Args:
            data: Data of any kind that `add` takes, with ids.
            id_column: As in `add`.
            text_column: As in `add`.
            encoding: As in `add`.
            csv: As in `add`.
            auto_index: As in `add`.
            progress: As in `add`.

        Returns:
            How many documents were added, and how many were updated (`replaced`).

        Raises:
            InvalidInputError: The data is wrong, has no ids, or lacks the text or vector of a new
                document; the message names file, line or row, and column.
            DuplicateIdError: An id is twice in the data.
            ConflictError: Another writer changed one of the documents, the columns or the model
                meanwhile.
            EmbedderError: The model failed, or is not the collection's.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.upsert([{"id": "boat", "year": 2000}, {"id": "car", "text": "a fast car"}])
            AddResult(added=1, replaced=1, skipped=0, embedded=1, version=3)
            >>> c.get(["boat"])
            [{'id': 'boat', 'text': 'a small boat on the lake', 'year': 2000}]
        """
        return self.add(
            data,
            on_conflict="update",
            id_column=id_column,
            text_column=text_column,
            encoding=encoding,
            csv=csv,
            auto_index=auto_index,
            progress=progress,
        )

    def sync(
        self,
        folder: str | os.PathLike[str],
        *,
        exclude: str | Sequence[str] = (),
        encoding: str | None = None,
        delete_all: bool = False,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> SyncResult:
        """Bring the collection to what a folder of files holds now.

        New files are added, those whose content changed are read again, and the documents of files
        that are gone are deleted. Only documents that came from files in this folder are deleted or
        replaced. Whether a file changed is seen by its content (the column `digest`), not its time.

        Args:
            folder: The folder.
            exclude: As in `add`. Files that are left out now count as gone.
            encoding: As in `add`.
            delete_all: Delete even if the folder holds no file that is read, or if more than half
                of what it brought in would go.
            dry_run: Only say what would change. New files are read, to see which hold something; a
                warning says if more than half would go.
            progress: As in `add`.

        Returns:
            How many documents were added, replaced and deleted, and what was left out.

        Raises:
            InvalidInputError: There is no such folder, it holds no file that is read, or more than
                half would be deleted.
            EmbedderError: The model failed, or is not the collection's.
            ConflictError: Another writer changed the columns or the model meanwhile.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> from pathlib import Path
            >>> Path("memos").mkdir()
            >>> _ = Path("memos/boat.txt").write_text("a boat on the lake")
            >>> memos = vs.create("memos.vs", embedder="toy:64")
            >>> memos.sync("memos").added
            1
            >>> _ = Path("memos/ship.txt").write_text("a ship at sea")
            >>> done = memos.sync("memos")
            >>> done.added, done.unchanged
            (1, 1)
        """
        reading = reading_options("raise", encoding, None, exclude)
        self._writable()
        path = folder_path(folder)
        reading.pictures = takes_pictures(self.refresh()._snapshot.manifest)

        def add(fresh: Reading) -> AddResult:
            self._need_file_columns()
            return self._add(path, fresh, "refresh", progress=progress)

        def find(fresh: Reading) -> set[str]:
            manifest = self._snapshot.manifest
            columns = source_schema(manifest, None, None)
            missing = [field for field in FILE_COLUMNS if field.name not in columns.names]
            known = pa.schema([*columns, *missing])
            source = self._opened(path, fresh, manifest, known, None, None, "refresh")
            with invalid_data():
                return {name for batch in source.batches for name in batch[SOURCE].to_pylist()}

        sync = FolderSync(
            path,
            reading,
            lambda: self.refresh()._snapshot,
            add,
            lambda ids: self.delete(ids).version,
            find,
        )
        return sync.run(delete_all=delete_all, dry_run=dry_run)

    def _need_file_columns(self) -> None:
        """Add the columns of files to a collection that has others."""
        manifest = self.refresh()._snapshot.manifest
        if manifest.settings.get("open_schema"):
            return
        for field in (*FILE_COLUMNS, *(PICTURE_COLUMNS if takes_pictures(manifest) else ())):
            if field.name not in manifest.schema.names:
                self.add_column(field.name, field.type)

    def delete(
        self,
        ids: Ids | None = None,
        *,
        where: Where | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete whole documents, by id, by filter, or those to which both apply.

        Args:
            ids: An id or several, as in `search`. Ids that no document has are counted, not an
                error. An empty list deletes nothing.
            where: A filter. With a chunker, a filter on the text sees whole documents here.
            dry_run: Only say what would be deleted: nothing is written, and no lock is taken.
            timeout: Seconds that the call may take, waiting for another writer included; nothing is
                deleted if they do not suffice. The time is looked at as in `search`, and last
                before the change is published. None: no limit.

        Returns:
            How many documents were deleted, and how many ids were missing; of a dry run also the
            first ids.

        Raises:
            InvalidInputError: Neither ids nor a filter was given, or an id has the wrong type.
            FilterError: The filter is wrong.
            OperationTimeoutError: It was not done within `timeout`.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.delete(where="year < 2010", dry_run=True)
            DeleteResult(deleted=2, missing=0, version=2, ids=('boat', 'bus'))
            >>> c.delete(["boat", "plane"])
            DeleteResult(deleted=1, missing=1, version=3)
            >>> c.delete(where="year > 2020").deleted
            1
        """
        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.delete(ids, where=where, dry_run=dry_run)
        self._writable()
        done = edit.delete(self._store, ids, where, dry_run=dry_run)
        return self._with_index(done, dry_run=dry_run)

    def update(
        self,
        where: Where | None = None,
        values: Values | None = None,
        *,
        ids: Ids | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> UpdateResult:
        """Set columns of documents, all to the same values or each to its own. One commit.

        A document whose text changes is embedded again, and split again with a chunker; one whose
        text stays the same is not. Metadata is set where the rows are, so an index still covers
        them; documents with a new text or vector are outside it until the next `build_index`.

        Args:
            where: The documents to change, as a filter; None for all. With a chunker, a filter on
                the text sees whole documents here.
            values: A dict of column -> value is for all documents. With `ids`, or with a column
                `id` instead of them, there may be values for each document: a list of dicts, a
                table or frame, or a dict of column -> list or array. A key that a dict of the list
                lacks stays as it is; None sets null. In a dict, one list is a value for all where
                the column holds lists, and a list of lists one value for each.
            ids: The ids of documents, as in `search`, in the order of the values. Each may be given
                once if the values differ. Ids that no document has are counted. With `where`, both
                must hold.
            dry_run: Only check the values and say what would be updated: nothing is embedded or
                written, and no lock is taken.
            timeout: Seconds that the call may take, as in `delete`; the time is also looked at
                between windows of texts that are embedded.

        Returns:
            How many documents were changed, how many ids were missing, and how many texts were
            embedded; of a dry run also the first ids.

        Raises:
            InvalidInputError: A column does not exist, or a value does not fit; the message names
                the row where there are values for each document.
            DuplicateIdError: An id comes twice with values for each document.
            FilterError: The filter is wrong.
            EmbedderError: The model failed, or is not the collection's.
            OperationTimeoutError: It was not done within `timeout`.
            ConflictError: Other writers kept changing the same documents.
            LockTimeoutError: Another writer held the lock for too long.
            StorageError: The disk is full or read-only.

        Example:
            >>> c.update("year < 2010", {"year": 2010}).updated
            2
            >>> c.update(ids=["ship", "bus"], values=[{"year": 1}, {"text": "a blue bus"}])
            UpdateResult(updated=2, version=4, embedded=1)
            >>> c.update(ids=["ship", "bus"], values={"year": [5, 6]}).updated
            2
            >>> c.get(["ship", "bus"], ["text", "year"])
            [{'text': 'a large ship at sea', 'year': 5}, {'text': 'a blue bus', 'year': 6}]
        """
        from vecsearch.maintenance.update import Models, update

        if timeout is not None:
            with time_limit(check_timeout(timeout)):
                return self.update(where, values, ids=ids, dry_run=dry_run)
        self._writable()
        manifest = self.refresh()._snapshot.manifest
        models = Models(
            lambda: self._model_of(manifest), lambda: self._splitting(manifest), self._named
        )
        with invalid_data():
            done = update(self._store, where, values, ids, models, dry_run=dry_run)
        return self._with_index(done, dry_run=dry_run)
