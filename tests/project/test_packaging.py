"""pyproject.toml agrees with the code: one floor for each dependency, and an extra for each package
that may be missing.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import vecsearch

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CORE = {
    "faiss-cpu",
    "msgspec",
    "numpy",
    "pyarrow",
    "sentence-transformers",
    "sqlglot",
    "typer",
    "rich",
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
    assert re.fullmatch(r"[A-Za-z0-9-]+>=\d+(\.\d+)+|vecsearch\[[a-z0-9,]+\]", requirement)


def test_all_holds_every_extra_for_users() -> None:
    (everything,) = EXTRAS["all"]
    named = set(everything.removeprefix("vecsearch[").removesuffix("]").split(","))
    assert named == set(EXTRAS) - {"all", "dev", "timm", "synonyms"}
    assert "vecsearch[all]" in EXTRAS["dev"]


def extras_asked_for() -> Iterator[tuple[str, str, str]]:
    """File, package and extra of each call that reports a missing package, where they are written
    out.
    """
    at = {
        "MissingExtraError": (0, 1),
        "require": (1, 2),
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
                    yield path.name, package, extra


@pytest.mark.parametrize(("file", "package", "extra"), sorted(set(extras_asked_for())))
def test_what_an_error_tells_to_install_is_an_extra(file: str, package: str, extra: str) -> None:
    assert package in {name_of(requirement) for requirement in EXTRAS.get(extra, [])}, (
        f"{file} names the extra '{extra}'"
    )


def test_some_extras_are_asked_for() -> None:
    assert ("chunking.py", "chonkie", "chunk") in set(extras_asked_for())


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
