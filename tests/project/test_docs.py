"""README is short, alike in two languages, and names commands, extras and names that exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from support.doc_blocks import blocks_of
from typer.testing import CliRunner

import vecsearch
from vecsearch.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
EXPORTED = set(
    "AddResult Analyzer BuildResult CallError Chunker Collection CollectionClosedError "
    "CollectionExistsError CollectionInfo CollectionNotFoundError "
    "ConflictError CorruptedError DeleteResult DuplicateIdError Embedder EmbedderError "
    "EmbedderMismatchError NoEmbedderError FilterError Fusion FusionReport QueryError "
    "Highlight Hit HitGroup Hits IndexInfo IndexRecipe InternalError InvalidInputError "
    "KnownModel Limits NamedVector "
    "LockTimeoutError Metric MissingExtraError OperationTimeoutError Failure ReadReport "
    "connect RemoteCollection RemoteHit RemoteHits "
    "Plan SkippedFile SyncResult RecallReport RegionRecall RecipeError "
    "WorkerLostError StorageError DimensionPoint DimensionReport IdNotFoundError ReembedResult "
    "analogy RayServing "
    "IndexAdvice RecallWarning Span "
    "Damage Repair repair restore UpdateResult VecsearchError VersionInfo VersionNotFoundError "
    "open_async Map Classification Clusters Duplicates Joined Neighbors Outliers "
    "Predictions "
    "ModelWarning AsyncCollection Carrier DuplicatePair Explanation Part Reason TermScore "
    "create models open open_or_create train TrainingReport MethodScore".split()
)


def headings(text: str) -> list[int]:
    """The levels of the headings of a page, in order; code is left out."""
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [len(marks) for marks in re.findall(r"^(#+) ", without_code, flags=re.MULTILINE)]


def figures(text: str) -> list[str]:
    """The numbers of a page's prose, sorted: Chinese may order a sentence otherwise."""
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    without_links = re.sub(r"\]\([^)]*\)", "]", without_code)
    return sorted(re.findall(r"(?:\d[\d,]*)?\.?\d+", without_links))


def test_readme_is_short() -> None:
    assert README.count("\n") < 130
    assert README.index("```python") < README.index("make test") < README.index("## Five things")
    first_sentences = README.split("\n\n")[1]
    assert len(re.findall(r"\.(?=\s|$)", first_sentences)) == 3


def test_both_readmes_have_the_same_headings() -> None:
    assert headings(README) == headings(CHINESE)


def test_both_readmes_have_the_same_code() -> None:
    """Python and commands are the same but for the texts that are searched."""
    english, chinese = blocks_of(README), blocks_of(CHINESE)
    assert [(block.language, block.title) for block in english] == [
        (block.language, block.title) for block in chinese
    ]
    for one, other in zip(english, chinese, strict=True):
        if one.language == "python":
            assert without_texts(one.body) == without_texts(other.body)
        elif one.language == "console":
            assert commands(one.body) == commands(other.body)


def without_texts(code: str) -> str:
    """Code without the contents of its strings and without comments."""
    return re.sub(r'#.*|"(?:[^"\\]|\\.)*"', "", code)


def commands(body: str) -> list[str]:
    return [without_texts(line) for line in body.splitlines() if line.startswith("$ ")]


def test_both_readmes_have_the_same_figures() -> None:
    assert figures(README) == figures(CHINESE)


def test_a_missing_figure_is_found() -> None:
    assert figures("recall .95 and 1,260 cells") == [".95", "1,260"]
    assert figures("recall .95") != figures("recall .99")


def mentioned() -> list[list[str]]:
    """Each `vecsearch ...` in the code of all pages, as words."""
    lines = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines |= set(re.findall(r"(?:(?<!`)`|^\$ )(vecsearch [a-z][^`\n|]*)", text, re.MULTILINE))
    return [shlex.split(line) for line in sorted(lines)]


def command_names() -> set[str]:
    families = [group.typer_instance for group in app.registered_groups if group.typer_instance]
    return {
        info.name or info.callback.__name__
        for one in (app, *families)
        for info in one.registered_commands
        if info.callback
    }


@pytest.mark.parametrize("words", mentioned(), ids=" ".join)
def test_commands_in_the_docs_take_these_options(words: list[str]) -> None:
    assert words[1] in command_names()
    named = words[1:3] if words[1] == "train" else words[1:2]  # each kind has options of its own
    shown = CliRunner().invoke(app, [*named, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for option in (word for word in words if re.match(r"--?[a-z]", word)):
        assert f" {option} " in shown.stdout, f"{words[1]} has no {option}"


def test_make_targets_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^\$ )make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, page
    assert {"demo", "test", "check", "docs"} <= targets


def test_extras_in_the_docs_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "reference" / "extras.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`[a-z0-9-]+`(?:, )?)+) \|", page, flags=re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)} == set(
        project["optional-dependencies"]
    )


def test_environment_variables_in_the_docs_are_those_that_are_read() -> None:
    page = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("vecsearch", "tests", "examples", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if path != Path(__file__)
    )
    assert set(re.findall(r"VECSEARCH_[A-Z_]+", page)) == set(
        re.findall(r"[\"'](VECSEARCH_[A-Z_]+)[\"']", code)
    )


def test_exported_names_are_pinned() -> None:
    """A name that goes away, or a new one, is a decision: write it here and in CHANGELOG.md."""
    assert vecsearch.__all__ == sorted(vecsearch.__all__)
    assert set(vecsearch.__all__) == EXPORTED


@pytest.mark.parametrize("name", sorted(vecsearch.__all__))
def test_every_exported_name_is_in_the_reference(name: str) -> None:
    assert getattr(vecsearch, name).__doc__, f"vecsearch.{name} has no docstring"
    pages = ("api.md", "errors.md", "embedders.md", "training.md")
    text = "\n".join((ROOT / "docs" / "reference" / page).read_text("utf-8") for page in pages)
    assert re.search(rf"^::: vecsearch\.{name}$", text, re.MULTILINE), f"{name} is in no page"


def test_every_method_of_a_collection_has_a_docstring() -> None:
    names = [name for name in dir(vecsearch.Collection) if not name.startswith("_")]
    assert "search" in names
    for name in names:
        method = getattr(vecsearch.Collection, name)
        assert method.__doc__, f"Collection.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        vecsearch.opne  # noqa: B018
