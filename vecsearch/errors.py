"""Every error vecsearch raises on purpose.

    VecsearchError
    ├── InvalidInputError (ValueError)      data, a query or an argument is wrong; names row, column, file
    │   ├── DuplicateIdError                an id is in the collection, or twice in the data
    │   ├── IdNotFoundError (LookupError)   no document has the id whose vector was asked for
    │   └── FilterError                     a `where` that cannot be parsed, or does not fit the columns
    ├── RecipeError (ValueError)            an index recipe or factory string that cannot be built
    ├── EmbedderError                       a model cannot be found, loaded or run
    │   └── EmbedderMismatchError           another model than the one the collection was made with
    ├── MissingExtraError (ImportError)     an optional package is missing; says the pip command
    ├── CollectionNotFoundError (FileNotFoundError)
    ├── CollectionExistsError (FileExistsError)
    ├── VersionNotFoundError (LookupError)  that version was never there, or retention removed it
    ├── CollectionClosedError               the collection object was closed
    ├── LockTimeoutError (TimeoutError)     another writer held the lock for too long
    ├── ConflictError                       the collection changed underneath in a way that cannot be rebased
    ├── CorruptedError                      a file is damaged; names it
    └── StorageError (OSError)              the disk is full, read-only, or a kind of file system that cannot keep the promises

Messages say what was wrong, where, and what to do about it. One warning has a class of its own: RecallWarning.
"""

from __future__ import annotations


class VecsearchError(Exception):
    """Base of all errors raised on purpose by vecsearch."""


class InvalidInputError(VecsearchError, ValueError):
    """Data, a query or an argument is wrong. The message names the row and column."""


class DuplicateIdError(InvalidInputError):
    """An id is already in the collection, or stands twice in the data being added."""


class IdNotFoundError(InvalidInputError, LookupError):
    """No document has the id whose vector was asked for."""


class FilterError(InvalidInputError):
    """A `where` cannot be parsed, uses something not allowed, or does not fit the columns."""


class RecipeError(VecsearchError, ValueError):
    """An index recipe or FAISS factory string is not valid or cannot be built on this data."""


class EmbedderError(VecsearchError):
    """An embedding model cannot be found, loaded or run."""


class EmbedderMismatchError(EmbedderError):
    """The model at hand is not the one the collection's vectors were made with."""


class MissingExtraError(VecsearchError, ImportError):
    """An optional package is not installed. The message gives the exact pip command."""

    def __init__(self, package: str, extra: str, what_for: str) -> None:
        super().__init__(
            f"{what_for} needs the package '{package}', which is not installed: pip install \"vecsearch[{extra}]\""
        )
        self.package = package
        self.extra = extra


class CollectionNotFoundError(VecsearchError, FileNotFoundError):
    """There is no collection at that path."""


class CollectionExistsError(VecsearchError, FileExistsError):
    """There is already a collection, or something else, at that path."""


class VersionNotFoundError(VecsearchError, LookupError):
    """That version was never committed, or the retention rule removed it."""


class CollectionClosedError(VecsearchError):
    """The collection object was closed; open it again."""


class LockTimeoutError(VecsearchError, TimeoutError):
    """Another process or thread held the writer's lock for longer than the time-out."""


class ConflictError(VecsearchError):
    """The collection changed underneath in a way this operation cannot be rebased on."""


class CorruptedError(VecsearchError):
    """A file of the collection is damaged. The message names the file."""


class RecallWarning(RuntimeWarning):
    """Searches were measured to fall short of the recall they were asked for. The message says by how much, and what to do."""


class StorageError(VecsearchError, OSError):
    """The disk is full, read-only, or of a kind that cannot keep the promises."""

    def __str__(self) -> str:
        return self.strerror or super().__str__()
