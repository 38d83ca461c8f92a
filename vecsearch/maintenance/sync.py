"""Keep a collection as a folder is: add new files, embed changed ones, delete those that are gone.

The rows that came from files say where each file is (`source`) and what it held (`digest`), so the
collection itself tells what a folder brought in. Nothing else is touched.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources import Reading
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.document import address_of, digest_of
from vecsearch.ingest.sources.folder import files_to_read
from vecsearch.query.documents import first_rows
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import DIGEST, SOURCE, AddResult, Id, SyncResult, counted


@dataclass
class StoredFile:
    """What a collection has of one file.

    Attributes:
        digests: Those of the file when its documents were read.
        ids: Its documents.
    """

    digests: set[str] = field(default_factory=set)
    ids: list[Id] = field(default_factory=list)


def stored_files(snapshot: Snapshot) -> dict[str, StoredFile]:
    """The files that the documents of a version come from, by where they are."""
    found: dict[str, StoredFile] = {}
    if not {SOURCE, DIGEST} <= set(snapshot.manifest.schema.names):
        return found
    manifest = snapshot.manifest
    batch = snapshot.take([manifest.id_column, SOURCE, DIGEST], first_rows(snapshot))
    for document, source, digest in zip(*(c.to_pylist() for c in batch.columns), strict=True):
        if isinstance(source, str) and isinstance(digest, str):
            file = found.setdefault(source, StoredFile())
            file.digests.add(digest)
            file.ids.append(document)
    return found


def stored_digests(snapshot: Snapshot) -> dict[str, tuple[str, int]]:
    """The digest and number of documents of each file that a version has as it was at one time."""
    return {
        source: (next(iter(file.digests)), len(file.ids))
        for source, file in stored_files(snapshot).items()
        if len(file.digests) == 1
    }


@dataclass
class FolderSync:
    """One sync of a folder.

    Args:
        folder: The folder.
        reading: How files are read; it holds the report.
        snapshot: The latest version, when it is asked for.
        add: Adds the folder's files that are not the same.
        delete: Deletes documents by id, and returns the version.
        find: Reads the folder's files that are not the same, and says which hold documents.
    """

    folder: Path
    reading: Reading
    snapshot: Callable[[], Snapshot]
    add: Callable[[Reading], AddResult]
    delete: Callable[[list[Id]], int]
    find: Callable[[Reading], set[str]]

    def run(self, *, delete_all: bool, dry_run: bool) -> SyncResult:
        """Bring the collection to what the folder holds.

        Raises:
            InvalidInputError: The folder is missing or holds nothing that is read, or more than
                half of its documents would go, and `delete_all` is false.
        """
        root = address_of(self.folder)
        if self.folder.is_file():
            raise InvalidInputError(
                f"{str(self.folder)!r} is a file, and sync takes a folder: nothing is deleted",
                hint="add(path) adds a file",
                command_hint="`vecsearch ingest` adds a file",
            )
        if not self.folder.is_dir():
            raise InvalidInputError(f"there is no folder {str(self.folder)!r}: nothing is deleted")
        everything = stored_files(self.snapshot())
        inside = f"{root.rstrip('/')}/"
        stored = {name: file for name, file in everything.items() if name.startswith(inside)}
        seen = self._digests(root)
        new = sorted(seen.keys() - stored.keys())
        changed = sorted(
            name
            for name, digest in seen.items()
            if name in stored and digest is not None and stored[name].digests != {digest}
        )
        gone = sorted(stored.keys() - seen.keys())
        if dry_run:
            self.reading.taken = frozenset(self._elsewhere(everything, inside))
            return self._plan(inside, stored, (new, changed, gone), bool(seen), delete_all)
        if not delete_all:
            self._refuse(stored, gone, bool(seen))
        return self._change(inside, everything, seen, bool(new or changed))

    def _plan(
        self,
        inside: str,
        stored: dict[str, StoredFile],
        files: tuple[list[str], list[str], list[str]],
        has_files: bool,
        delete_all: bool,
    ) -> SyncResult:
        """What a sync would do. Files that cannot be read, or are empty, are not new ones."""
        new, changed, gone = files
        report = self.reading.report()
        if new or changed:
            fresh = self.reading.restarted()
            holding = self.find(fresh)
            new, report = [name for name in new if name in holding], fresh.report()
        if not delete_all:
            try:
                self._refuse(stored, gone, has_files)
            except InvalidInputError as error:
                if not gone:
                    raise
                warnings.warn(f"without insisting it is refused: {error.message}", stacklevel=4)
        names = [tuple(name.removeprefix(inside) for name in part) for part in (new, changed, gone)]
        return SyncResult(
            len(new),
            len(changed),
            sum(len(stored[name].ids) for name in gone),
            sum(len(stored[name].ids) for name in stored.keys() - {*changed, *gone}),
            0,
            self.snapshot().manifest.version,
            report,
            *names,
        )

    def _change(
        self,
        inside: str,
        before: dict[str, StoredFile],
        seen: dict[str, str | None],
        reads: bool,
    ) -> SyncResult:
        done = AddResult(0, 0, 0, 0, self.snapshot().manifest.version)
        report = self.reading.report()
        if reads:
            self.reading.taken = frozenset(self._elsewhere(before, inside))
            fresh = self.reading.restarted()
            done = self.add(fresh)
            seen, report = fresh.files, fresh.report()
        after = stored_files(self.snapshot())
        ids: list[Id] = []
        for name, file in after.items():
            if not name.startswith(inside):
                continue
            digest = seen.get(name)
            if name not in seen:
                ids += file.ids
            elif digest is not None and file.digests != {digest}:
                ids += self._outdated(name, digest)
        version = self.delete(ids) if ids else done.version
        same = (
            sum(len(file.ids) for name, file in before.items() if name.startswith(inside))
            - done.replaced
            - len(ids)
        )
        return SyncResult(
            done.added, done.replaced, len(ids), max(0, same), done.embedded, version, report
        )

    def _outdated(self, source: str, digest: str) -> list[Id]:
        """The documents of a file that it held before, and does not hold any more."""
        snapshot = self.snapshot()
        names = [snapshot.manifest.id_column, SOURCE, DIGEST]
        batch = snapshot.take(names, first_rows(snapshot))
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        return [each for each, name, held in rows if name == source and held != digest]

    def _elsewhere(self, before: dict[str, StoredFile], inside: str) -> set[Id]:
        """The ids of documents that the folder did not bring in. Where a folder was moved, those of
        its files are not where they were: the moved files take their ids over."""
        snapshot = self.snapshot()
        ids = set(snapshot.take([snapshot.manifest.id_column], first_rows(snapshot))[0].to_pylist())
        for name, file in before.items():
            if name.startswith(inside) or not Path(name).exists():
                ids -= set(file.ids)
        return ids

    def _digests(self, root: str) -> dict[str, str | None]:
        """The digest of each file that is read, by where it is; None if it cannot be read."""
        found: dict[str, str | None] = {}
        for relative, path in files_to_read(self.folder, self.reading):
            try:
                file = SourceFile(path, str(path), 1, "")
                found[f"{root}/{relative}"] = digest_of(file)
            except InvalidInputError:
                found[f"{root}/{relative}"] = None
        found |= {name: None for name in self.reading.files if name not in found}
        return found

    def _refuse(self, stored: dict[str, StoredFile], gone: list[str], has_files: bool) -> None:
        total = sum(len(file.ids) for file in stored.values())
        going = sum(len(stored[name].ids) for name in gone)
        if has_files and going * 2 <= total:
            return
        if not total:
            raise InvalidInputError(f"the folder {str(self.folder)!r} holds no file that is read")
        what = f"{going:,} of the {counted(total, 'document')} that it brought in would be deleted"
        raise InvalidInputError(
            f"{str(self.folder)!r} holds no file that is read, so nothing is changed; {what}"
            if not has_files
            else f"{what}, since their files are not in {str(self.folder)!r} any more",
            hint="delete_all=True insists, dry_run=True lists what would change",
            command_hint="--delete-all insists, --dry-run lists what would change",
        )
