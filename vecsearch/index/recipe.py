"""Index recipes: what to build, as a TOML file, a shipped name, or a FAISS factory string.

A recipe holds what is fixed when an index is built. Search effort (`ef_search`, `nprobe`) is not
part of it: calibration measures after the build, on the collection's own data, which effort
reaches the target recall.

    kind = "exact"      compare every vector; no approximation
    kind = "hnsw"       a graph of near neighbors (Malkov and Yashunin, arXiv:1603.09320)
    kind = "ivf"        an inverted file: vectors grouped by centroid, searched group by group
    kind = "disk"       an inverted file whose lists stay on disk, for more rows than fit in memory
    kind = "factory"    any string that `faiss.index_factory` takes
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, inspect

from vecsearch.common.gate import gate
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import RecipeError

REDUCED_STEP = 32  # the 8-bit kernels are fastest when a row is a whole number of 32-byte blocks
ROWS_PER_CENTROID = 39  # FAISS warns below this many training rows a centroid
GRAPH_OVER_CENTROIDS = 4096  # from this many centroids on, a graph finds the nearest ones
CODED_LINKS = 32  # neighbors whose codes stand together: see `kernels/neighbor_codes.py`
CODED_MOST = 1024  # components of such a code at most: sums of its table take 16 bits
REMOVED_KEYS = ("rescore",)  # in recipes stored by older versions, without effect


@gate
@dataclasses.dataclass(frozen=True, slots=True)
class IndexRecipe:
    """What to build. Immutable and checked when it is made; keys that do not apply are None.

    Whatever the recipe, the index only proposes candidates: their full vectors rank them.

    Args:
        name: What people call it.
        kind: "exact", "hnsw", "ivf", "disk" or "factory".
        description: One line for people.
        reduced: Principal components the index works with (hnsw, ivf, disk). Vectors with no more
            dimensions than this are kept whole.
        code: How a component is stored: "float32", "fp16", "sq8" (one byte); for ivf also "pq4"
            (product quantizer, 2 bits a component, fast scan) and "rabitq" (1 bit); for disk
            "sq4" (half a byte), "sq8", "fp16", or "rabitq2", "rabitq3", "rabitq4" (so many bits).
        M: Links of a graph node; 2M on the lowest level (hnsw).
        ef_construction: Candidates a new node takes its links from (hnsw).
        neighbor_codes: Whether each node holds a code of one bit a component of each neighbor, by
            which a search leaves most of them out (hnsw of code "sq8", M a multiple of 16, at most
            1,024 components). Without `reduced`, the number of components then follows from the
            dimension.
        nlist: Number of centroids (ivf, disk); None for about 4 sqrt(n).
        factory: A FAISS factory string (factory).
        seed: Seed of the build, unless `build_index` is given one.

    Raises:
        RecipeError: If a value is of the wrong type or out of range, or does not fit the kind.

    Example:
        >>> from vecsearch import IndexRecipe
        >>> recipe = IndexRecipe("graph", "hnsw", code="sq8", M=16, ef_construction=100)
        >>> print(recipe.to_toml())
        name = "graph"
        kind = "hnsw"
        description = ""
        code = "sq8"
        M = 16
        ef_construction = 100
        seed = 0
        <BLANKLINE>
    """

    name: str
    kind: str
    description: str = ""
    reduced: int | None = None
    code: str | None = None
    M: int | None = None
    ef_construction: int | None = None
    nlist: int | None = None
    factory: str | None = None
    seed: int = 0
    neighbor_codes: bool | None = None

    def __post_init__(self) -> None:
        values = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        _check(
            {
                field.name: value
                for field, value in values
                if value is not None or field.default is not None
            }
        )

    def to_toml(self) -> str:
        """The recipe as TOML text; `parse_recipe` reads it back to an equal recipe."""
        values = self.to_mapping()
        return "".join(
            f"{key} = {_toml_value(value)}\n" for key, value in values.items() if value is not None
        )

    def to_mapping(self) -> dict[str, Any]:
        """The recipe as keys and JSON values; `recipe_from_mapping` makes an equal recipe of it.

        A key that older versions do not know is there only if it is set.
        """
        values = dataclasses.asdict(self)
        if self.neighbor_codes is None:
            del values["neighbor_codes"]
        return values


class _Recipe(msgspec.Struct):
    """The keys of every kind."""

    name: Annotated[str, Meta(min_length=1)]
    kind: str
    description: str = ""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


Reduced = Annotated[int, Meta(ge=1, le=65_536)]


class _Exact(_Recipe):
    code: Literal["float32"] = "float32"


class _Hnsw(_Recipe, kw_only=True):
    code: Literal["float32", "fp16", "sq8"]
    M: Annotated[int, Meta(ge=2, le=256)]
    ef_construction: Annotated[int, Meta(ge=1, le=10_000)]
    reduced: Reduced | None = None
    neighbor_codes: bool = False


class _Ivf(_Recipe, kw_only=True):
    code: Literal["float32", "fp16", "sq8", "pq4", "rabitq"]
    reduced: Reduced | None = None
    nlist: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class _Disk(_Recipe, kw_only=True):
    code: Literal["rabitq2", "rabitq3", "rabitq4", "sq4", "sq8", "fp16"]
    reduced: Reduced | None = None
    nlist: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class _Factory(_Recipe, kw_only=True):
    factory: Annotated[str, Meta(min_length=1)]


_KINDS: dict[str, type[_Recipe]] = {
    "exact": _Exact,
    "hnsw": _Hnsw,
    "ivf": _Ivf,
    "disk": _Disk,
    "factory": _Factory,
}
_KEYS = tuple(field.name for field in dataclasses.fields(IndexRecipe))


def parse_recipe(text: str, *, where: str = "recipe") -> IndexRecipe:
    """Read a recipe from TOML text.

    Args:
        text: The TOML text.
        where: Name of the source, for error messages.

    Raises:
        RecipeError: If the text is not TOML, or a key is unknown, missing or out of range.
    """
    try:
        table = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise RecipeError(f"{where}: not valid TOML: {error}") from error
    return recipe_from_mapping(table, where=where)


def recipe_from_mapping(table: Mapping[str, Any], *, where: str = "recipe") -> IndexRecipe:
    """Make a recipe from keys and values, as a TOML file holds them.

    Raises:
        RecipeError: If a key is unknown, missing or out of range; names `where` and the key.
    """
    for key in table:
        if key in REMOVED_KEYS:
            raise RecipeError(f"{where}: the key '{key}' no longer exists: remove it")
        if key not in _KEYS:
            raise RecipeError(f"{where}: unknown key '{key}'{did_you_mean(key, _KEYS)}")
    for key in ("name", "kind"):
        if key not in table:
            raise RecipeError(f"{where}: the key '{key}' is missing: add it")
    try:
        return IndexRecipe(**table)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error


def stored_recipe(table: Mapping[str, Any]) -> IndexRecipe:
    """The recipe in a manifest or an index file, older ones included.

    Raises:
        RecipeError: If it is not a recipe.
    """
    known = {key: value for key, value in table.items() if key not in REMOVED_KEYS}
    return recipe_from_mapping(known, where="stored recipe")


def load_recipe(source: str | Path) -> IndexRecipe:
    """Load a recipe by name, file or factory string.

    Args:
        source: A shipped name ("low-memory"), the path of a .toml file, or a FAISS factory string.

    Raises:
        RecipeError: If it is none of these; names the nearest shipped recipe.
    """
    text = str(source)
    if isinstance(source, Path) or text.endswith(".toml"):
        return _read_file(Path(source))
    shipped = shipped_recipes()
    if text in shipped:
        return _read_file(shipped[text])
    if _FACTORY.fullmatch(text):
        return IndexRecipe(name=text, kind="factory", factory=text)
    raise RecipeError(
        f"'{text}' is not a shipped recipe, nor the path of a .toml file, nor a FAISS factory "
        f"string such as 'PCA64,HNSW32_SQ8'{did_you_mean(text, list(shipped))}"
    )


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with vecsearch: name -> file, sorted by name."""
    package = Path(__file__).resolve().parents[1]
    installed, checkout = package / "_indexes", package.parent / "indexes"
    for folder in (installed, checkout):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return {}


def nlist_rule(n: int, sample: int | None = None) -> int:
    """About 4 sqrt(n) centroids, the usual rule, but no more than `sample` training rows allow."""
    wanted = round(4 * math.sqrt(max(1, n)))
    most = (n if sample is None else min(n, sample)) // ROWS_PER_CENTROID
    return max(1, min(wanted, most))


def wanted_lists(recipe: IndexRecipe, n: int) -> int:
    """Centroids a recipe asks for when it is built over `n` rows; 0 for a kind without."""
    if recipe.kind == "factory":
        found = re.search(r"IVF(\d+)(k?)", recipe.factory or "")
        return int(found[1]) * (1024 if found[2] else 1) if found else 0
    return recipe.nlist or nlist_rule(n) if recipe.kind in ("ivf", "disk") else 0


_FACTORY = re.compile(
    r"(Flat|IVF|IMI|HNSW|NSG|LSH|SQ|PQ|OPQ|PCA|ITQ|RR|Pad|L2norm|RaBitQ|RQ|LSQ|PRQ|PLSQ|Residual"
    r"|RCQ|Refine|ZnLattice|IDMap)[A-Za-z0-9_,.()\[\]+x-]*"
)


def _read_file(path: Path) -> IndexRecipe:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # not UTF-8, or a null byte in the path
        raise RecipeError(f"cannot read the index recipe {path}: {error}") from error
    return parse_recipe(text, where=str(path))


def _toml_value(value: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON's string escapes are all TOML's; TOML alone also wants DEL escaped.
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return str(value)


def _check(values: Mapping[str, Any]) -> None:
    """Check the keys that are set. Raises RecipeError."""
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        hint = did_you_mean(str(kind), tuple(_KINDS))
        raise RecipeError(f"unknown kind {kind!r}{hint}")
    fields = {field.name: field for field in msgspec.structs.fields(_KINDS[kind])}
    for key, field in fields.items():
        if field.required and key not in values:
            raise RecipeError(f"kind '{kind}' needs '{key}', {_described(field.type)}")
    for key, value in values.items():
        if key not in fields:
            raise RecipeError(f"'{key}' does not apply to kind '{kind}': remove it")
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as error:
            wanted = _described(fields[key].type)
            raise RecipeError(f"'{key}' is {value!r}; it must be {wanted}") from error
    if values.get("neighbor_codes"):
        _check_coded(values)


def _check_coded(values: Mapping[str, Any]) -> None:
    """Check the keys of a graph with codes of neighbors. Raises RecipeError."""
    if values["code"] != "sq8":
        raise RecipeError(f"'neighbor_codes' needs the code 'sq8', not {values['code']!r}")
    if 2 * values["M"] % CODED_LINKS:
        raise RecipeError(
            f"'neighbor_codes' needs 'M' to be a multiple of {CODED_LINKS // 2}, "
            f"not {values['M']}: codes stand together by {CODED_LINKS}, and a node has 2 M links"
        )
    if (values.get("reduced") or 0) > CODED_MOST:
        raise RecipeError(
            f"'neighbor_codes' works with at most {CODED_MOST:,} components: "
            f"'reduced' is {values['reduced']:,}"
        )


def _described(value_type: Any) -> str:
    """What a value must be, in words."""
    info = inspect.type_info(value_type)
    if isinstance(info, inspect.UnionType):
        (info,) = (item for item in info.types if not isinstance(item, inspect.NoneType))
    match info:
        case inspect.IntType(ge=low, le=high):
            return f"an integer from {low:,} to {high:,}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(repr(value) for value in values)
        case inspect.StrType(min_length=int()):
            return "a text that is not empty"
        case _:
            return "a text"
