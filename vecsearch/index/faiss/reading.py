"""Reads an index from its file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import faiss
import numpy as np

from vecsearch.common.faiss_errors import faiss_reason
from vecsearch.errors import CorruptedError
from vecsearch.index.faiss.disk_lists import DiskIndex
from vecsearch.index.faiss.index import FaissIndex
from vecsearch.index.faiss.near import map_near
from vecsearch.index.faiss.projection import Projection
from vecsearch.index.faiss.sound import require_coded, require_sound
from vecsearch.index.faiss.writing import TRAILER
from vecsearch.index.recipe import stored_recipe
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.layout import CALIBRATION_KEY


def read_index(path: Path, mmap: bool = True, *, file: CheckedFile | None = None) -> FaissIndex:
    """Read an index file.

    Args:
        path: The file that `FaissIndex.write` wrote.
        mmap: Map the file where FAISS can: opening is fast and memory is shared, but the index
            cannot be extended, and the file must not be overwritten. One whose lists stay on disk
            is always mapped.
        file: The same file with its checksums, which are compared first: of all of it, or of all
            but the lists that stay on disk. None if they were compared already.

    Raises:
        CorruptedError: If the file is missing or damaged.
    """
    try:
        with path.open("rb") as opened:
            size = opened.seek(-16, io.SEEK_END) + 16
            tail = opened.read()
            if tail[8:] != TRAILER:
                raise CorruptedError(
                    f"{path} is damaged or not an index file: its end is missing. "
                    "Build the index again"
                )
            length = int.from_bytes(tail[:8], "little")
            if file is not None:
                file.verify(size - 16 - length, size)
            opened.seek(-16 - length, io.SEEK_END)
            with np.load(io.BytesIO(opened.read()[:-16]), allow_pickle=False) as arrays:
                rest = dict(arrays)
        metadata = json.loads(rest[CALIBRATION_KEY].tobytes())
        recipe = stored_recipe(metadata["recipe"])
        lists = int(metadata["lists"]) if recipe.kind == "disk" else 0
        if file is not None and lists:
            file.verify(0, lists)
        elif file is not None:
            file.verify_all()
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mmap or lists else 0)
        projection = Projection(
            inner_product=bool(rest["inner_product"]),
            matrix=rest.get("matrix"),
            offset=rest["offset"],
            center=rest["center"],
            scale=float(rest["scale"]),
            max_radius=float(rest["max_radius"]),
            max_error=float(rest["max_error"]),
            mean=rest.get("mean"),
            variances=rest.get("variances"),
            rest=float(rest.get("rest", 0.0)),
            own_mean=float(rest.get("own_mean", 0.0)),
            own_variance=float(rest.get("own_variance", 0.0)),
        )
        order, outliers = rest.get("order"), rest["outliers"]
        require_sound(recipe, metadata["metric"], projection, index, order, outliers)
        near = None
        if recipe.neighbor_codes:
            require_coded(index)
            if mmap:  # else it will be extended, and they are made again
                near = map_near(path, index, int(metadata["near"]), size - 16 - length)
        if lists:
            return DiskIndex(
                recipe, metadata["metric"], projection, index, outliers, path=path, lists=lists
            )
        return FaissIndex(
            *(recipe, metadata["metric"], projection, index, order, outliers),
            mapped=mmap,
            near=near,
        )
    except CorruptedError:
        raise
    except FileNotFoundError as error:
        raise CorruptedError(f"the index file {path} is missing. Build the index again") from error
    except Exception as error:  # numpy, json and FAISS may raise anything
        raise CorruptedError(
            f"the index file {path} cannot be read: {faiss_reason(error)}. Build the index again"
        ) from error
