"""The names of the folders and files of a collection."""

from __future__ import annotations

from typing import Final

from vecsearch.storage.disk import FileRef

MANIFESTS: Final = "manifests"
SEGMENTS: Final = "segments"
INDEXES: Final = "indexes"
STAGING: Final = "staging"
MODELS: Final = "models"
DAMAGED: Final = "damaged"
QUERIES: Final = "queries"  # a sample of the queries, in collections that keep one
VECTOR_CACHE: Final = "vectors-"  # staging folders: vectors of an interrupted add, without a lock
BUILD_CACHE: Final = "build-"  # staging folders: the index of an interrupted build, with a LOCK
BUILD_INFO: Final = "build.json"
SAMPLE_SETTING: Final = "sample_queries"  # a key of a manifest's settings
AUTO_INDEX_SETTING: Final = "auto_index"  # False: changes leave new rows outside the index
REQUESTS_SETTING: Final = "requests"  # the keys of adds, each with the numbers of its result
NO_INDEX_SETTING: Final = "no_index"  # True: exact search was asked for, so changes make no index
EMBEDS_IDS: Final = "embeds_ids"  # True: the model looks vectors up by id
ROW_COLUMNS: Final = "row_columns"  # the columns that the model reads, where it reads no texts
LARGEST_SAMPLE: Final = 1_000_000  # queries in the sample


def place_of(ref: FileRef) -> str:
    """What is moved and removed as a whole: the file, or the folder of the model it belongs to."""
    return "/".join(ref.name.split("/")[:2])


# The name in formats 1 and 2 of an index's calibration (in a manifest) and of the description of an
# index file (inside it).
CALIBRATION_KEY: Final = "facts"
