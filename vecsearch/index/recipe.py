"""Index recipes: what to build, said in a small TOML file, by name, or as a FAISS factory string.

A recipe holds what is fixed when an index is built. How deep to search (`ef_search`, `nprobe`) is not part of it: that is
measured after the build, on the collection's own data, for the recall that was asked for.

    kind = "exact"      every vector is compared; no approximation
    kind = "hnsw"       a graph of near neighbours (Malkov and Yashunin, arXiv:1603.09320)
    kind = "ivf"        an inverted file: vectors grouped around centroids, searched group by group
    kind = "factory"    any string that `faiss.index_factory` takes
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecsearch.errors import RecipeError

KINDS = ("exact", "hnsw", "ivf", "factory")
CODES = {
    "exact": ("float32",),
    "hnsw": ("float32", "fp16", "sq8"),
    "ivf": ("float32", "fp16", "sq8", "pq4", "rabitq"),
}
REDUCED_STEP = 32  # the 8-bit kernels are fastest when a row is a whole number of 32-byte blocks
ROWS_PER_CENTROID = 39  # FAISS warns below this many training rows a centroid


@dataclasses.dataclass(frozen=True, slots=True)
class IndexRecipe:
    """What to build. Immutable; fields that do not apply to the kind are None.

    `reduced` is the number of principal components the index works with: candidates are found among them and ranked by
    the full vectors. Vectors with no more dimensions than this are kept whole. `code` says how the index stores a
    component: float32, fp16, sq8 (one byte), pq4 (product quantizer, 2 bits a component, fast scan) or rabitq (1 bit).
    `M` is the graph's degree (2M on the lowest level). `nlist` is the number of centroids; None: about 4 sqrt(n).
    `rescore` says whether candidates are ranked again by their full vectors.
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
    rescore: bool = True

    def __post_init__(self) -> None:
        _check_types(self)
        _check_fields(self)

    def to_toml(self) -> str:
        """The recipe as TOML text; `parse_recipe` reads it back to an equal recipe."""
        fields = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return "".join(
            f"{key} = {_toml_value(value)}\n" for key, value in fields if value is not None
        )


def parse_recipe(text: str, *, where: str = "recipe") -> IndexRecipe:
    """A recipe from TOML text. `where` is named in errors. Raises RecipeError for anything unknown or out of range."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{where}: not valid TOML: {error}") from error
    return recipe_from_mapping(table, where=where)


def recipe_from_mapping(table: Mapping[str, Any], *, where: str = "recipe") -> IndexRecipe:
    """A recipe from keys and values, as a TOML file or a manifest holds them. Raises RecipeError."""
    known = [field.name for field in dataclasses.fields(IndexRecipe)]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys are {', '.join(known)}"
            raise RecipeError(f"{where}: unknown key '{key}'; {hint}")
    for key in ("name", "kind"):
        if key not in table:
            raise RecipeError(f"{where}: the key '{key}' is missing")
    try:
        return IndexRecipe(**dict(table))  # type and range are checked by the class itself
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error


def load_recipe(source: str | Path) -> IndexRecipe:
    """The recipe that a shipped name ("low-memory"), a path to a .toml file, or a FAISS factory string stands for.

    Raises RecipeError when it is none of these, with the nearest name.
    """
    text = str(source)
    if isinstance(source, Path) or text.endswith(".toml"):
        return _read_recipe(Path(source))
    shipped = shipped_recipes()
    if text in shipped:
        return _read_recipe(shipped[text])
    if _looks_like_factory(text):
        return IndexRecipe(name=text, kind="factory", factory=text)
    near = difflib.get_close_matches(text, list(shipped), n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise RecipeError(
        f"no index recipe '{text}'; {hint}Give a shipped name ({', '.join(sorted(shipped))}), the path of a .toml file, "
        f"or a FAISS factory string such as 'PCA64,HNSW32_SQ8'"
    )


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes that come with vecsearch, sorted by name."""
    package = Path(__file__).resolve().parents[1]
    for folder in (
        package / "_indexes",
        package.parent / "indexes",
    ):  # installed; a checkout of the source
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return {}


def nlist_rule(n: int, sample: int | None = None) -> int:
    """About 4 sqrt(n) centroids, the usual rule, never more than a training sample of `sample` rows can place well."""
    wanted = round(4 * math.sqrt(max(1, n)))
    most = (n if sample is None else min(n, sample)) // ROWS_PER_CENTROID
    return max(1, min(wanted, most))


def wanted_lists(recipe: IndexRecipe, n: int) -> int:
    """Centroids a recipe asks for when it is built over `n` rows; 0 for a kind without."""
    if recipe.kind == "factory":
        found = re.search(r"IVF(\d+)(k?)", recipe.factory or "")
        return int(found[1]) * (1024 if found[2] else 1) if found else 0
    return recipe.nlist or nlist_rule(n) if recipe.kind == "ivf" else 0


def _read_recipe(path: Path) -> IndexRecipe:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the index recipe {path}: {error}") from error
    return parse_recipe(text, where=str(path))


_FACTORY_START = re.compile(
    r"(Flat|IVF|IMI|HNSW|NSG|LSH|SQ|PQ|OPQ|PCA|ITQ|RR|Pad|L2norm|RaBitQ|RQ|LSQ|PRQ|PLSQ|Residual|RCQ|Refine|ZnLattice|IDMap)[A-Za-z0-9_,.()\[\]+x-]*"
)


def _looks_like_factory(text: str) -> bool:
    return _FACTORY_START.fullmatch(text) is not None


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON's string escapes are all TOML's; TOML alone also wants DEL escaped.
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        if isinstance(value, str)
        else str(value)
    )


_TYPES: dict[str, type] = {
    "name": str,
    "kind": str,
    "description": str,
    "reduced": int,
    "code": str,
    "M": int,
    "ef_construction": int,
    "nlist": int,
    "factory": str,
    "seed": int,
    "rescore": bool,
}
_OPTIONAL = ("reduced", "code", "M", "ef_construction", "nlist", "factory")
_BELONGS = {
    "exact": {"code"},
    "hnsw": {"reduced", "code", "M", "ef_construction"},
    "ivf": {"reduced", "code", "nlist"},
    "factory": {"factory"},
}
_REQUIRED = {
    "exact": (),
    "hnsw": ("code", "M", "ef_construction"),
    "ivf": ("code",),
    "factory": ("factory",),
}
_RANGES = {
    "reduced": (1, 65_536),
    "M": (2, 256),
    "ef_construction": (1, 10_000),
    "nlist": (1, 10_000_000),
    "seed": (0, 2**31 - 1),
}


def _check_types(recipe: IndexRecipe) -> None:
    for key, kind in _TYPES.items():
        value = getattr(recipe, key)
        if value is None and key in _OPTIONAL:
            continue
        if type(value) is not kind:
            raise RecipeError(
                f"'{key}' must be of type {kind.__name__}, not {type(value).__name__} ({value!r})"
            )


def _check_fields(recipe: IndexRecipe) -> None:
    if recipe.kind not in KINDS:
        near = difflib.get_close_matches(recipe.kind, KINDS, n=1, cutoff=0.4)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise RecipeError(f"unknown kind '{recipe.kind}': one of {', '.join(KINDS)}{hint}")
    if not recipe.name:
        raise RecipeError("'name' is empty")
    for key in _OPTIONAL:
        if getattr(recipe, key) is not None and key not in _BELONGS[recipe.kind]:
            raise RecipeError(f"'{key}' does not apply to kind '{recipe.kind}'")
    for key in _REQUIRED[recipe.kind]:
        if not getattr(recipe, key):
            raise RecipeError(f"kind '{recipe.kind}' needs '{key}'")
    if recipe.code is not None and recipe.code not in CODES[recipe.kind]:
        raise RecipeError(
            f"unknown code '{recipe.code}' for kind '{recipe.kind}': one of {', '.join(CODES[recipe.kind])}"
        )
    for key, (low, high) in _RANGES.items():
        value = getattr(recipe, key)
        if value is not None and not low <= value <= high:
            raise RecipeError(f"'{key}' is {value}; it must be between {low} and {high}")
