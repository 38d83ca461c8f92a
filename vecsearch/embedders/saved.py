"""Trained embedders on disk, without pickle: `embedder.save(folder)` and `load_saved(folder)`.

A folder contains `embedder.json` (format, kind, settings) and, as the kind needs them, `keys.arrow`
(one string column, in row order), `arrays.safetensors` (named matrices) and `inner/` (another saved
embedder, which this one builds on). `report.json` says how well the model did when it was trained.
Each of these files can be read without vecsearch. Spec: `saved:FOLDER`, or the folder's path.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

from vecsearch.embedders.base import BaseEmbedder, Embedder
from vecsearch.embedders.report import TrainingReport
from vecsearch.errors import CorruptedError, EmbedderError, InvalidInputError
from vecsearch.storage import disk
from vecsearch.storage.arrow_header import require_uncompressed

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = 1
LAYOUT, REPORT = "embedder.json", "report.json"
KINDS: dict[str, str] = {
    "cells": "vecsearch.embedders.cells",
    "content": "vecsearch.embedders.content",
    "doc2vec": "vecsearch.embedders.doc2vec",
    "fasttext": "vecsearch.embedders.fasttext",
    "graph2vec": "vecsearch.embedders.graph2vec",
    "items": "vecsearch.embedders.items",
    "keyed": "vecsearch.embedders.keyed",
    "lsa": "vecsearch.embedders.lsa",
    "nodes": "vecsearch.embedders.nodes",
    "reduced": "vecsearch.embedders.projected",
    "table": "vecsearch.embedders.tabular",
    "terms": "vecsearch.embedders.terms",
    "transe": "vecsearch.embedders.transe",
    "words": "vecsearch.embedders.words",
}
"""Kind in embedder.json -> module; its `from_saved(saved, name)` returns the embedder."""


@runtime_checkable
class SavedEmbedder(Embedder, Protocol):
    """An embedder that is stored in a folder of its own, such as one trained here."""

    def save(self, folder: str | Path) -> Path:
        """Write it into a new folder and take `saved:FOLDER` as its name; returns the folder."""
        ...


class TrainedEmbedder(BaseEmbedder):
    """Base of the embedders that are trained here: they can be saved to a folder.

    A new one is called "KIND:unsaved" until it is saved.

    Attributes:
        report: How well it did on the held-out part of its data; None if nothing was held out.
    """

    report: TrainingReport | None = None

    def save(self, folder: str | Path) -> Path:
        """Write the embedder into a new folder; its name becomes `saved:FOLDER`.

        Args:
            folder: A folder that does not exist yet, or is empty.

        Returns:
            The folder as an absolute path.

        Raises:
            InvalidInputError: The folder is in use.
            StorageError: The folder cannot be written.
        """
        path = self._write(folder)
        self.name = f"saved:{path}"
        return path

    def _write(self, folder: str | Path) -> Path:
        return write_saved(self._saved(), folder, report=self.report)

    @abstractmethod
    def _saved(self) -> Saved:
        """Everything that `from_saved` of the embedder's module needs."""

    def _compute_fingerprint(self) -> str:
        return self._saved().fingerprint()


def lives_in_a_folder(embedder: Embedder) -> TypeGuard[SavedEmbedder]:
    """Whether an embedder was trained here, or read from a folder it was saved in.

    Such an embedder cannot be found by a model's name, so a collection stores a copy of it.
    """
    return isinstance(embedder, SavedEmbedder) and (
        embedder.name.startswith("saved:") or embedder.name.endswith(":unsaved")
    )


def save_copy(embedder: SavedEmbedder, folder: Path) -> None:
    """Write an embedder into a new folder without changing its name."""
    name = embedder.name
    try:
        embedder.save(folder)
    finally:
        embedder.name = name


@dataclass(frozen=True)
class Saved:
    """What an embedder's folder contains.

    Attributes:
        kind: A key of `KINDS`.
        settings: Plain JSON values.
        keys: Words, items or nodes, in row order.
        arrays: Matrices by name.
        report: How well it did when it was trained, if that was measured.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    keys: Sequence[str] = ()
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    report: TrainingReport | None = None

    def fingerprint(self) -> str:
        """sha256 (hex) over all that decides the vectors."""
        digest = hashlib.sha256(json.dumps([self.kind, self.settings], sort_keys=True).encode())
        digest.update(json.dumps(list(self.keys)).encode())
        for name in sorted(self.arrays):
            array = self.arrays[name]
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


def write_saved(
    saved: Saved,
    folder: str | Path,
    inner: SavedEmbedder | None = None,
    report: TrainingReport | None = None,
) -> Path:
    """Write a new folder, `embedder.json` last, and sync every file to disk.

    Args:
        saved: The embedder's settings, keys and matrices.
        folder: A folder that does not exist yet, or is empty.
        inner: The embedder that this one builds on, written into the subfolder `inner`.
        report: How well it did when it was trained.

    Returns:
        The folder as an absolute path.

    Raises:
        InvalidInputError: The folder is in use.
        StorageError: The folder cannot be written.
    """
    import pyarrow as pa
    from safetensors.numpy import save_file

    target = check_new(folder)
    with disk.storage_errors("creating", target):
        target.mkdir(parents=True, exist_ok=True)
    if inner is not None:
        save_copy(inner, target / "inner")
    if saved.keys:
        table = pa.table({"key": pa.array(saved.keys, pa.large_string())})

        def write_keys(path: Path) -> None:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)

        disk.write_file(target / "keys.arrow", write_keys)
    if saved.arrays:
        disk.write_file(
            target / "arrays.safetensors", lambda path: save_file(dict(saved.arrays), path)
        )
    layout = {"format": FORMAT, "kind": saved.kind, "settings": saved.settings}
    if report is not None:
        _write_json(target / REPORT, report.to_dict())
    _write_json(target / LAYOUT, layout)
    disk.sync_folder(target)
    return target.resolve()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    disk.write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def check_new(folder: str | Path) -> Path:
    """The path of a folder in which an embedder can be saved.

    Raises:
        InvalidInputError: It is in use.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInputError(f"'{target}' is in use; give a new folder for the embedder")
    return target


def is_saved(folder: str | Path) -> bool:
    """Whether an embedder was saved in a folder."""
    return (Path(folder) / LAYOUT).is_file()


def read_saved(folder: str | Path) -> Saved:
    """Read an embedder's folder.

    Raises:
        EmbedderError: No embedder was saved there, or it was saved by a newer vecsearch.
        CorruptedError: A file is damaged or missing.
    """
    import pyarrow as pa
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    source = Path(folder)
    if not is_saved(source):
        raise EmbedderError(f"no saved embedder in '{source}': {LAYOUT} is not there")
    try:
        layout = json.loads((source / LAYOUT).read_text(encoding="utf-8"))
        number, kind, settings = layout["format"], layout["kind"], layout["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptedError(f"{source / LAYOUT} is damaged: {error}") from error
    if number != FORMAT:
        raise EmbedderError(
            f"{source} was saved in format {number}; this vecsearch reads format {FORMAT}: upgrade "
            "vecsearch"
        )
    keys: list[str] = []
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        if (source / "keys.arrow").exists():
            with pa.memory_map(str(source / "keys.arrow")) as mapped:
                require_uncompressed(mapped.read_buffer())
                keys = pa.ipc.open_file(mapped).read_all()["key"].to_pylist()
        if (source / "arrays.safetensors").exists():
            arrays = load_file(source / "arrays.safetensors")
    except (OSError, ValueError, SafetensorError, KeyError) as error:
        raise CorruptedError(
            f"a file of the saved embedder in {source} is damaged: {error}"
        ) from error
    return Saved(kind, settings, keys, arrays, _read_report(source / REPORT))


def _read_report(path: Path) -> TrainingReport | None:
    if not path.is_file():
        return None
    try:
        return TrainingReport.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptedError(f"{path} is damaged: {error}") from error


def load_saved(folder: str | Path) -> Embedder:
    """Load a saved embedder of any kind.

    Args:
        folder: The folder that `save` wrote.

    Returns:
        The embedder; its name is `saved:FOLDER`.

    Raises:
        EmbedderError: No embedder was saved there, or its kind is unknown.
        CorruptedError: A file is damaged or missing.
        MissingExtraError: The package that the embedder needs is not installed.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from vecsearch.embedders.keyed import KeyedEmbedder
        >>> embedder = KeyedEmbedder(["a", "b"], np.eye(2, dtype=np.float32))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load_saved(embedder.save(folder + "/items")).embed_queries(["b"])
        array([[0., 1.]], dtype=float32)
    """
    saved = read_saved(folder)
    if saved.kind not in KINDS:
        raise EmbedderError(
            f"the embedder in '{folder}' is of kind '{saved.kind}', which this vecsearch does not "
            "know: upgrade vecsearch"
        )
    try:
        embedder: TrainedEmbedder = importlib.import_module(KINDS[saved.kind]).from_saved(
            saved, f"saved:{folder}"
        )
    except (KeyError, ValueError, IndexError) as error:
        raise CorruptedError(f"the saved embedder in {folder} lacks a part: {error}") from error
    embedder.report = saved.report
    return embedder


def load(name: str, device: str | None = None) -> Embedder:
    """The embedder for the spec `saved:FOLDER`."""
    return load_saved(name)
