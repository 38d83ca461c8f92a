"""A map: documents as points in the plane, near ones near each other."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vecsearch.analysis.nearest import neighbor_edges
from vecsearch.analysis.tables import TableReport, replace_file
from vecsearch.analysis.units import Units
from vecsearch.common.gate import gate
from vecsearch.common.optional import require
from vecsearch.common.pca import principal_axes
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.query.searcher import Searcher
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Metric, counted

UMAP_NEIGHBORS = 15
ATLAS_NEIGHBORS = 15
MOST_COLORS = 10
# Fonts that have Chinese, Japanese or Korean characters, by the names that matplotlib knows.
CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Heiti SC",
    "Hiragino Sans GB",
    "SimHei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)


@gate
@dataclass(frozen=True)
class Map(TableReport):
    """Documents as points in the plane, from `Collection.map`.

    Attributes:
        table: `id`, `x` and `y` (float64).
        method: "pca" or "umap".
        kept: With PCA the share of the variance that the plane keeps; None with UMAP.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("points.vs", dim=3, metric="l2")
        >>> _ = c.add([[0, 0, 0], [4, 0, 0], [0, 2, 0], [4, 2, 0]])
        >>> c.map()["x"].to_pylist()
        [-2.0, 2.0, -2.0, 2.0]
    """

    method: str
    kept: float | None
    units: Units = field(repr=False, compare=False)
    search: tuple[Searcher, RowSelection, float] = field(repr=False, compare=False)

    def __str__(self) -> str:
        how = "UMAP" if self.kept is None else f"PCA, which keeps {self.kept:.1%} of the variance"
        return f"{counted(self.num_rows, 'document')} by {how}"

    def picture(
        self,
        path: str | os.PathLike[str],
        *,
        color: str | None = None,
        title: str | None = None,
        font: str | os.PathLike[str] | None = None,
    ) -> None:
        """Draw the map into a .png, .svg or .pdf file.

        Args:
            path: The file; one that exists is replaced.
            color: A column. Numbers and dates get a scale; of other values the 10 most frequent get
                a color each.
            title: A title.
            font: The file of a font for the labels. None: one of those installed that have the
                characters; where there is none, a warning says so.

        Raises:
            InvalidInputError: The column does not exist, or the ending is not known.
            MissingExtraError: matplotlib is not installed.
            StorageError: The file cannot be written.
        """
        draw(self, Path(path), color, title, font)

    def atlas(self, path: str | os.PathLike[str], *, neighbors: int = ATLAS_NEIGHBORS) -> None:
        """Write the Parquet file that `embedding-atlas` opens: all columns, x, y and neighbors.

        Open it with `embedding-atlas map.parquet --x x --y y --neighbors neighbors --text text`.

        Args:
            path: The file; one that exists is replaced.
            neighbors: How many neighbors of each document to write.

        Raises:
            StorageError: The file cannot be written.
        """
        write_atlas(self, Path(path), neighbors)


def mapped(
    searcher: Searcher,
    selection: RowSelection,
    units: Units,
    method: str,
    recall: float,
    seed: int,
) -> Map:
    """The table of `Collection.map`."""
    if not len(units):
        raise InvalidInputError("map needs a document, and there is none")
    vectors = units.vectors()
    kept: float | None = None
    if method == "umap":
        points = _umap(vectors, searcher.metric, seed)
    else:
        points, kept = _pca(vectors)
    table = pa.table({"id": units.ids, "x": points[:, 0], "y": points[:, 1]})
    return Map(table, method, kept, units, (searcher, selection, recall))


def _pca(vectors: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], float]:
    """Points along the two principal axes, and the share of the variance that they keep."""
    center, squares, axes = principal_axes(vectors, centered=True)
    points = (vectors.astype(np.float64) - center) @ axes[:2].T
    if points.shape[1] < 2:
        points = np.hstack([points, np.zeros((len(points), 1))])
    total = float(squares.sum())
    return points, float(squares[:2].sum() / total) if total else 1.0


def _umap(vectors: npt.NDArray[np.float32], metric: Metric, seed: int) -> npt.NDArray[np.float64]:
    umap = require("umap", "umap-learn", "map", 'map(method="umap")')
    if len(vectors) < 4:
        raise InvalidInputError(
            f'map(method="umap") needs 4 documents, and there are {len(vectors)}',
            hint='take method="pca"',
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a seed makes it use one thread, which it says
        model = umap.UMAP(
            n_components=2,
            n_neighbors=min(UMAP_NEIGHBORS, len(vectors) - 1),
            metric="cosine" if metric is Metric.COSINE else "euclidean",
            random_state=seed,
        )
        return np.asarray(model.fit_transform(vectors), np.float64)


# -- pictures --------------------------------------------------------------------------------------


def draw(found: Map, path: Path, color: str | None, title: str | None, font: Any) -> None:
    """As `Map.picture`."""
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InvalidInputError(f"a picture is a .png, .svg or .pdf file, and {path.name} is none")
    x, y = (found.table[name].to_numpy() for name in ("x", "y"))
    figure = _matplotlib("figure").Figure(figsize=(9, 7), layout="constrained")
    _matplotlib("backends.backend_agg").FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    size = max(2.0, min(40.0, 6000 / max(len(x), 1)))
    texts = [title or ""]
    if color is None:
        axes.scatter(x, y, s=size, linewidths=0)
    else:
        texts += [color, *_colored(axes, found, color, x, y, size, figure)]
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    if title:
        axes.set_title(title)
    _use_font(figure, "".join(texts), font)
    ending = path.suffix[1:].lower()
    replace_file(path, lambda target: figure.savefig(target, format=ending, dpi=150))


def _colored(
    axes: Any, found: Map, color: str, x: Any, y: Any, size: float, figure: Any
) -> list[str]:
    """Draw points with the color of a column; the texts of the legend."""
    found.units.snapshot.check_columns([color])
    values = found.units.column(color)
    kind = values.type
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        raise InvalidInputError(f"color: column {color!r} is {kind}, which has no single values")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind):
        numbers = np.array(
            [np.nan if value is None else _as_number(value) for value in values.to_pylist()]
        )
        missing = np.isnan(numbers)
        axes.scatter(x[missing], y[missing], s=size, c="lightgray", linewidths=0)
        drawn = axes.scatter(x[~missing], y[~missing], s=size, c=numbers[~missing], linewidths=0)
        bar = figure.colorbar(drawn, ax=axes, label=color)
        if pa.types.is_temporal(kind):
            dates = _matplotlib("dates")
            locator = dates.AutoDateLocator()
            bar.ax.yaxis.set_major_locator(locator)
            bar.ax.yaxis.set_major_formatter(dates.AutoDateFormatter(locator))
        return []
    names = [str(value) if value is not None else None for value in values.to_pylist()]
    counts: dict[str, int] = {}
    for name in names:
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    shown_names = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_COLORS]
    rest = np.array([name not in shown_names for name in names], bool)
    if rest.any():
        axes.scatter(x[rest], y[rest], s=size, c="lightgray", linewidths=0, label="other")
    for name in shown_names:
        mine = np.array([each == name for each in names], bool)
        axes.scatter(x[mine], y[mine], s=size, linewidths=0, label=name)
    axes.legend(title=color, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2)
    return shown_names


def _as_number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(_matplotlib("dates").date2num(value))
    except (TypeError, AttributeError, ValueError):
        return math.nan


def _use_font(figure: Any, text: str, font: Any) -> None:
    """Let all texts of a figure be drawn in a font that has their characters."""
    font_manager = _matplotlib("font_manager")
    if font is not None:
        file = Path(font)
        if not file.is_file():
            raise InvalidInputError(f"font is {shown(str(font))}, and there is no such file")
        properties = font_manager.FontProperties(fname=str(file))
    elif text.isascii():
        return
    else:
        name = _font_with(text)
        if name is None:
            warnings.warn(
                "no installed font has all characters of the labels, so some are drawn as boxes; "
                "install one (apt install fonts-noto-cjk), or give its file: font=",
                UserWarning,
                stacklevel=5,
            )
            return
        properties = font_manager.FontProperties(family=[name, "DejaVu Sans"])
    for each in figure.findobj(_matplotlib("text").Text):
        before = each.get_fontsize()
        each.set_fontproperties(properties)
        each.set_fontsize(before)


def _font_with(text: str) -> str | None:
    """The name of an installed font that has all characters of a text; well-known ones first."""
    needed = {ord(character) for character in text if not character.isspace()}
    fonts = _matplotlib("font_manager").fontManager.ttflist
    rank = {name: at for at, name in enumerate(("DejaVu Sans", *CJK_FONTS))}
    for entry in sorted(fonts, key=lambda it: (rank.get(it.name, len(rank)), it.name, it.fname)):
        try:
            if needed <= set(_matplotlib("ft2font").FT2Font(entry.fname).get_charmap()):
                return str(entry.name)
        except (OSError, RuntimeError):
            continue
    return None


def _matplotlib(module: str) -> Any:
    """A module of matplotlib, which is imported only to draw."""
    return require(f"matplotlib.{module}", "matplotlib", "map", "Drawing a map")


# -- embedding-atlas -------------------------------------------------------------------------------


def write_atlas(found: Map, path: Path, neighbors: int) -> None:
    """As `Map.atlas`."""
    searcher, selection, recall = found.search
    units = found.units
    edges, _ = neighbor_edges(searcher, selection, units, neighbors, recall, False)
    starts = np.searchsorted(edges.left, np.arange(len(units) + 1)).astype(np.int32)
    scores = edges.scores.astype(np.float64)
    distances = -scores
    if searcher.metric is Metric.COSINE:
        distances = 1.0 - scores
    elif searcher.metric is Metric.L2:
        distances = np.sqrt(np.maximum(-scores, 0.0))
    nearest = pa.StructArray.from_arrays(
        [
            pa.ListArray.from_arrays(pa.array(starts), pa.array(edges.right)),
            pa.ListArray.from_arrays(pa.array(starts), pa.array(distances)),
        ],
        names=["ids", "distances"],
    )
    snapshot = units.snapshot
    columns: dict[str, Any] = {}
    names = [name for name in snapshot.columns if name != "vector"]
    batch = snapshot.take(names, units.first_rows)
    for name in names:
        values = batch.column(name)
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.cast(pa.large_string())
        columns[name] = values
    texts = units.texts()
    if texts is not None and len(snapshot.manifest.text_columns) == 1:
        columns[snapshot.manifest.text_columns[0]] = pa.array(texts, pa.large_string())
    for name, values in (("x", found["x"]), ("y", found["y"]), ("neighbors", nearest)):
        free = name
        while free in columns:
            free += "_"
        columns[free] = values
    table = pa.table(columns)

    def write(target: Path) -> None:
        pq.write_table(table, target)

    replace_file(path, write)
