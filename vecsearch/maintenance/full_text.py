"""Choose the columns and the analyzer of search by words, and make the postings of all rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from vecsearch.common.arguments import check_names
from vecsearch.common.deadline import check_time
from vecsearch.common.json_column import is_json
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.storage.disk import FileRef
from vecsearch.storage.manifest import FullTextEntry, Manifest, replace
from vecsearch.storage.segment_texts import write_text
from vecsearch.storage.store import Store
from vecsearch.text.analyzer import Analyzer, analyzer_of
from vecsearch.text.weights import Weigher


def full_text_entry(given: Any, *, has_texts: bool) -> FullTextEntry | None:
    """What `create(full_text=...)` says: True, False, or an analyzer; None for the default.

    Raises InvalidInputError, MissingExtraError.
    """
    if given is False or (given is None and not has_texts):
        return None
    if not has_texts:
        raise InvalidInputError(
            "full_text needs a column of texts, and this collection has vectors only",
            hint="add rows with texts, then call build_text_index with their columns",
            command_hint="add rows with texts, then run `vecsearch build-text` with their columns",
        )
    analyzer = analyzer_of(None if given is True else given).load()
    return FullTextEntry(analyzer.to_dict())


def build_text_index(
    store: Store,
    columns: Sequence[str] | str | None,
    analyzer: Any,
    encoder: Any = None,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Make the postings of all segments, and commit them; the version.

    Args:
        store: The collection.
        columns: The columns of texts to search; None for those that are embedded.
        analyzer: What makes terms of texts, as `analyzer_of` takes it.
        encoder: The name or folder of a sparse encoder; None for words that are counted.
        progress: Called with the number of rows of each segment.

    Raises:
        InvalidInputError: A column does not hold texts, or there is none.
        MissingExtraError: What the analyzer needs is not installed.
        LockTimeoutError: Another writer held the lock for too long.
        StorageError: Writing failed.
    """
    names = None
    if columns is not None:
        names = tuple([columns] if isinstance(columns, str) else check_names("columns", columns))
    with store.staging() as staging:
        base = store.snapshot()
        chosen = _chosen(base.manifest, names, analyzer, encoder)
        entry = _entry(base.manifest, names, chosen.to_dict())
        version = replace(base.manifest, full_text=entry)
        written: dict[str, FileRef | None] = {}
        for segment in base.manifest.segments:
            check_time()
            written[segment.name] = write_text(version, segment, staging)
            progress(segment.rows)
        with store.locked() as latest:
            entry = _entry(latest.manifest, names, chosen.to_dict())
            version = latest.manifest.next("build_text_index", full_text=entry)
            segments = [
                replace(
                    each,
                    text=written[each.name]
                    if each.name in written
                    else write_text(version, each, staging),
                )
                for each in version.segments
            ]
            version = replace(version, segments=tuple(segments))
            store.commit(staging, version)
            return version.version


def _chosen(
    manifest: Manifest, names: tuple[str, ...] | None, analyzer: Any, encoder: Any
) -> Analyzer | Weigher:
    """What makes terms of texts, or weights of terms."""
    known = manifest.schema.names
    kinds = [manifest.schema.field(name).type for name in names or () if name in known]
    given = bool(kinds) and all(map(is_json, kinds))
    if encoder is None and not given:
        return analyzer_of(analyzer).load()
    if analyzer is not None:
        raise InvalidInputError(
            "an analyzer counts words, and columns of weights or an encoder say what words weigh",
            hint="leave out analyzer=",
            command_hint="leave out --language and the like",
        )
    if encoder is not None and (not isinstance(encoder, str | os.PathLike) or not str(encoder)):
        raise InvalidInputError(
            f"encoder is {shown(encoder)}; it must be the name or the folder of a sparse encoder"
        )
    return Weigher(None if encoder is None else str(encoder), given).load()


def _entry(
    manifest: Manifest, names: tuple[str, ...] | None, analyzer: dict[str, Any]
) -> FullTextEntry:
    """The entry of the manifest, with the fusion that was chosen before."""
    columns = manifest.text_columns if names is None else names
    texts = [field.name for field in manifest.schema if field.type == pa.large_string()]
    if not columns:
        raise InvalidInputError(
            "the collection has no column that is embedded",
            hint=f"give columns=, some of {', '.join(map(repr, texts)) or 'none'}",
            command_hint="give --column",
        )
    if len(set(columns)) != len(columns):
        raise InvalidInputError(f"columns repeat: {', '.join(columns)}")
    for name in columns:
        if name not in manifest.schema.names:
            raise InvalidInputError(f"there is no column {name!r}")
        if name not in texts and not (
            analyzer.get("weights") and is_json(manifest.schema.field(name).type)
        ):
            raise InvalidInputError(
                f"column {name!r} is {manifest.schema.field(name).type}, and texts are wanted"
            )
    before = manifest.full_text
    return FullTextEntry(analyzer, names, None if before is None else before.fusion)
