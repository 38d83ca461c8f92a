"""Every error that a call of vecsearch can cause.

    VecsearchError
    ├── InvalidInputError (ValueError)      data, a query or an argument is wrong
    │   ├── CallError (TypeError)           a call has an argument too many, too few or unknown
    │   ├── DuplicateIdError                an id is already in the collection, or twice in the data
    │   ├── IdNotFoundError (LookupError)   no document has the id whose vector is wanted
    │   ├── QueryError                      a question in words cannot be read
    │   └── FilterError                     a filter cannot be parsed or does not fit the columns
    ├── RecipeError (ValueError)            an index recipe or factory string cannot be built
    ├── EmbedderError                       a model cannot be found, loaded or run
    │   ├── EmbedderMismatchError           the model is not the one the collection was made with
    │   └── NoEmbedderError                 the collection has no model, and a text was given
    ├── MissingExtraError (ImportError)     an optional package is missing; names the pip command
    ├── CollectionNotFoundError (FileNotFoundError)
    ├── CollectionExistsError (FileExistsError)
    ├── VersionNotFoundError (LookupError)  the version was never committed, or was removed
    ├── CollectionClosedError               the collection object was closed
    ├── LockTimeoutError (TimeoutError)     another writer held the lock for too long
    ├── OperationTimeoutError (TimeoutError) an operation was not done within its `timeout`
    ├── ConflictError                       another change to the collection rules this one out
    ├── CorruptedError                      a file is damaged; names it
    ├── WorkerLostError                     the workers of a task were lost again and again
    ├── StorageError (OSError)              the disk is full, read-only or cannot guarantee commits
    └── InternalError                       a fault of vecsearch: please report it

    RecallWarning (RuntimeWarning)          measured recall is below the target
    ModelWarning (RuntimeWarning)           the model does not read all of a text, or its language

A message says what was wrong, where, and what to do. What to do may differ between Python and the
command line, so errors carry it apart from the message, as `hint` and `command_hint`.
"""

from __future__ import annotations

from typing import Any

LONGEST = 450  # characters of a message, and of a hint
LONGEST_PATH = 5000  # of a message with a path, which may have 4096


def _unpickled(kind: type[_Hinted], args: tuple[Any, ...], state: dict[str, Any]) -> _Hinted:
    """An error as it was pickled: other processes raise it again."""
    error = kind.__new__(kind, *args)
    if isinstance(error, OSError):
        OSError.__init__(error, *args)
    else:
        error.args = args
    error.__dict__.update(state)
    return error


def _shortened(text: str) -> str:
    """A part of a message. It may quote data of any length, and paths, which are shown whole."""
    longest = LONGEST_PATH if "/" in text else LONGEST
    if len(text) <= longest:
        return text
    return f"{text[: longest * 2 // 3]} ... {text[-longest // 3 + 5 :]}"


class _Hinted(BaseException):
    """What errors and warnings share: a message, and a hint in two forms.

    Args:
        *args: What was wrong, and where. Messages about an argument begin with "NAME is VALUE".
        hint: What to do, as Python code would do it. `str` shows it after the message.
        command_hint: What to do, as commands and options would do it; the `vecsearch` command
            shows it after the message. Without it, both show `hint`.
    """

    def __init__(self, *args: object, hint: str = "", command_hint: str | None = None) -> None:
        super().__init__(*args)
        self.hint = hint
        self.command_hint = hint if command_hint is None else command_hint

    def __reduce__(self) -> tuple[Any, ...]:
        args = self.args
        if isinstance(self, OSError) and self.filename is not None:
            args = (*args, self.filename)
        return _unpickled, (type(self), args, self.__dict__)

    @property
    def message(self) -> str:
        """What was wrong, and where, without the hint. The middle of a long one is left out."""
        return _shortened(super().__str__())

    def __str__(self) -> str:
        return "; ".join(part for part in (self.message, _shortened(self.hint)) if part)

    def for_terminal(self) -> str:
        """The message with the hint in command-line words."""
        return "; ".join(part for part in (self.message, _shortened(self.command_hint)) if part)


class VecsearchError(_Hinted, Exception):
    """Base of all errors that vecsearch raises on purpose.

    Attributes:
        message: What was wrong, and where.
        hint: What to do in Python; empty where the message says all.
        command_hint: What to do at the command line.

    Example:
        >>> import vecsearch as vs
        >>> try:
        ...     vs.open("nowhere.vs")
        ... except vs.VecsearchError as error:
        ...     print(type(error).__name__)
        CollectionNotFoundError
    """


class InvalidInputError(VecsearchError, ValueError):
    """Data, a query or an argument is wrong. The message names file, row and column.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> c.add([{"text": "boat"}, {"text": ""}])
        Traceback (most recent call last):
        vecsearch.errors.InvalidInputError: row 1, column 'text': the text is empty
    """


class CallError(InvalidInputError, TypeError):
    """A call has an argument too many, too few, or of an unknown name.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> c.search([1, 0], filter="year > 2000")
        Traceback (most recent call last):
        vecsearch.errors.CallError: search has no argument 'filter'; did you mean 'where'?
    """


class DuplicateIdError(InvalidInputError):
    """An id is already in the collection, or is twice in the data being added.

    `Collection.add` raises it with its default `on_conflict="error"`.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> try:
        ...     c.add([{"id": 1, "text": "boat"}, {"id": 1, "text": "ship"}])
        ... except vs.DuplicateIdError:
        ...     print(len(c), "documents: nothing was added")
        0 documents: nothing was added
    """


class IdNotFoundError(InvalidInputError, LookupError):
    """No document has the id whose vector is wanted.

    `Collection.vector`, `Collection.features` and `vecsearch.analogy` raise it. `Collection.get`
    returns None for an unknown id instead.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> try:
        ...     c.vector("boat")
        ... except vs.InvalidInputError as error:  # ids of an empty collection are numbers
        ...     print(type(error).__name__)
        InvalidInputError
        >>> try:
        ...     c.vector(7)
        ... except vs.IdNotFoundError as error:
        ...     print(error)
        no document has the id 7
    """


class FilterError(InvalidInputError):
    """A `where` cannot be parsed, uses something that is not allowed, or does not fit the columns.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> _ = c.add([{"text": "boat", "year": 1999}])
        >>> try:
        ...     c.search("boat", where="yaer > 1990")
        ... except vs.FilterError as error:
        ...     print("did you mean 'year'" in str(error))
        True
    """


class QueryError(InvalidInputError):
    """A question in words cannot be read; the message says where.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> try:
        ...     c.search('"a large ship', mode="text")
        ... except vs.QueryError as error:
        ...     print(error)
        the query has a quotation mark at character 0 without a second one
    """


class RecipeError(VecsearchError, ValueError):
    """An index recipe or FAISS factory string is not valid, or cannot be built on this data.

    `Collection.build_index`, `Collection.bench` and the methods of `IndexRecipe` raise it.

    Example:
        >>> import vecsearch as vs
        >>> try:
        ...     vs.IndexRecipe("graph", "hnws")
        ... except vs.RecipeError as error:
        ...     print("did you mean 'hnsw'?" in str(error))
        True
    """


class EmbedderError(VecsearchError):
    """An embedding model cannot be found, loaded or run, or the collection has none.

    Example:
        >>> import vecsearch as vs
        >>> try:
        ...     vs.create("c.vs", embedder="toy:many")
        ... except vs.EmbedderError as error:
        ...     print(error.message)
        'toy:many': give the dimension, a whole number, after the colon, such as toy:64
    """


class EmbedderMismatchError(EmbedderError):
    """The model is not the one that made the collection's vectors: its fingerprint differs.

    Raised at the first embedding, not when the collection is opened.

    Example:
        >>> import vecsearch as vs
        >>> vs.create("c.vs", embedder="toy:64").close()
        >>> c = vs.open("c.vs", embedder="toy:32")
        >>> try:
        ...     c.search("boat")
        ... except vs.EmbedderMismatchError as error:
        ...     print(type(error).__name__)
        EmbedderMismatchError
    """


class NoEmbedderError(EmbedderError):
    """A text was given, and the collection has no model to make a vector of it.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> try:
        ...     c.search("boat")
        ... except vs.NoEmbedderError as error:
        ...     print(error.message)
        this collection has no embedder, so it is searched by vector
    """


class MissingExtraError(VecsearchError, ImportError):
    """An optional package is not installed. The message gives the pip command.

    Attributes:
        package: The missing package, such as "chonkie".
        extra: The extra of vecsearch that installs it, such as "chunk".

    Example:
        >>> import vecsearch as vs
        >>> print(vs.MissingExtraError("chonkie", "chunk", "Splitting long text"))
        Splitting long text needs the package 'chonkie', which is not installed:
        pip install "vecsearch[chunk]"
    """

    def __init__(self, package: str, extra: str, what_for: str) -> None:
        super().__init__(
            f"{what_for} needs the package '{package}', which is not installed: "
            f'pip install "vecsearch[{extra}]"'
        )
        self.package = package
        self.extra = extra


class CollectionNotFoundError(VecsearchError, FileNotFoundError):
    """There is no collection at that path.

    Example:
        >>> import vecsearch as vs
        >>> try:
        ...     vs.open("nowhere.vs")
        ... except vs.CollectionNotFoundError as error:
        ...     print(error.message)
        there is no collection at .../nowhere.vs
    """


class CollectionExistsError(VecsearchError, FileExistsError):
    """There is already a collection, or something else, at that path.

    Example:
        >>> import vecsearch as vs
        >>> vs.create("c.vs", dim=2).close()
        >>> try:
        ...     vs.create("c.vs", dim=2)
        ... except vs.CollectionExistsError as error:
        ...     print(type(error).__name__)
        CollectionExistsError
    """


class VersionNotFoundError(VecsearchError, LookupError):
    """That version was never committed, or the collection no longer keeps it (`keep_versions`).

    Example:
        >>> import vecsearch as vs
        >>> vs.create("c.vs", dim=2).close()
        >>> try:
        ...     vs.open("c.vs", version=7)
        ... except vs.VersionNotFoundError as error:
        ...     print(error.message.partition(" has ")[2])
        no version 7; it keeps versions 1 to 1
    """


class CollectionClosedError(VecsearchError):
    """The collection object was closed. Open the collection again.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> c.close()
        >>> try:
        ...     len(c)
        ... except vs.CollectionClosedError as error:
        ...     print(type(error).__name__)
        CollectionClosedError
    """


class LockTimeoutError(VecsearchError, TimeoutError):
    """Another process or thread held the write lock for longer than `lock_timeout` seconds.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2, lock_timeout=0)
        >>> def add_another():  # a second writer, while the first has the lock
        ...     vs.open("c.vs", lock_timeout=0).add([[1.0, 0.0]])
        >>> with c._store.locked():
        ...     try:
        ...         add_another()
        ...     except vs.LockTimeoutError as error:
        ...         print(type(error).__name__)
        LockTimeoutError
    """


class OperationTimeoutError(VecsearchError, TimeoutError):
    """An operation was not done within the seconds of its `timeout`. Nothing was changed.

    Work is divided into pieces, and the time is looked at between them, so an operation may take
    somewhat longer than its limit: by one piece, and not at all once it publishes a change.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0]])
        >>> try:
        ...     c.search([1.0, 0.0], timeout=1e-9)
        ... except vs.OperationTimeoutError as error:
        ...     print(type(error).__name__)
        OperationTimeoutError
    """


class ConflictError(VecsearchError):
    """Another writer changed the collection so that this change can no longer be applied.

    Nothing was committed. Run the operation again.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0]])
        >>> reader = vs.open("c.vs", version=1)  # holds an old version
        >>> try:
        ...     c.compact(purge=True)
        ... except vs.ConflictError as error:
        ...     print(type(error).__name__)
        ConflictError
    """


class CorruptedError(VecsearchError):
    """A file of the collection is damaged. The message names the file.

    `Collection.check` lists all damage; `vecsearch.repair` rebuilds what derives from documents.

    Example:
        >>> import vecsearch as vs
        >>> from pathlib import Path
        >>> vs.create("c.vs", dim=2).close()
        >>> for manifest in Path("c.vs/manifests").glob("*.json"):
        ...     _ = manifest.write_text("{}")
        >>> try:
        ...     vs.open("c.vs")
        ... except vs.CorruptedError as error:
        ...     print(type(error).__name__)
        CorruptedError
    """


class RecallWarning(_Hinted, RuntimeWarning):
    """Measured recall is below the target by more than chance. The message says by how much.

    `Collection.measure_recall` gives it, and so do searches while queries are sampled
    (`Collection.sample_queries`).

    Example:
        >>> import vecsearch as vs
        >>> print(vs.RecallWarning("recall@10 is 0.90, below the target of 0.95"))
        recall@10 is 0.90, below the target of 0.95
    """


class ModelWarning(_Hinted, RuntimeWarning):
    """The model does not read all of the texts that were added, or does not know their language.

    `Collection.add` gives it, once for each call, with counts. A search gives it for a question of
    which the model knows less than half.

    Example:
        >>> import vecsearch as vs
        >>> print(vs.ModelWarning("3 of 10 texts are longer than the model reads (256 tokens)"))
        3 of 10 texts are longer than the model reads (256 tokens)
    """


class StorageError(VecsearchError, OSError):
    """The disk is full or read-only, or the file system cannot guarantee atomic commits.

    Example:
        >>> import vecsearch as vs
        >>> from pathlib import Path
        >>> _ = Path("file").write_text("")
        >>> try:
        ...     vs.create("file/c.vs", dim=2)
        ... except vs.StorageError as error:
        ...     print(type(error).__name__)
        StorageError
    """

    @property
    def message(self) -> str:
        """What was wrong, without the error number."""
        return _shortened(self.strerror) if self.strerror else super().message


class WorkerLostError(VecsearchError):
    """The workers of a task were lost again and again, or nobody holds a shard that is searched.

    Example:
        >>> import vecsearch as vs
        >>> issubclass(vs.WorkerLostError, vs.VecsearchError)
        True
    """


class InternalError(VecsearchError):
    """A fault of vecsearch itself, not of the data or the call. Please report it.

    The error that shows the fault is the `__cause__`. Errors of your own code that vecsearch calls,
    such as a generator of rows, come out as they are.

    Example:
        >>> import vecsearch as vs
        >>> issubclass(vs.InternalError, vs.VecsearchError)
        True
    """
