"""The examples in public docstrings run and show the output they claim.

An example of a method continues the example of its class. Output is compared as doctest does.
"""

from __future__ import annotations

import doctest
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vecsearch

FULL_CALIBRATION = True

SECTION = re.compile(r"^Example:\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def example_of(value: Any) -> str:
    """The code under `Example:` in the value's own docstring; empty if there is none."""
    doc = inspect.cleandoc(getattr(value, "__doc__", None) or "")
    if inspect.isclass(value) and "__doc__" not in vars(value):
        return ""
    return "".join(map(textwrap.dedent, SECTION.findall(doc + "\n")))


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods of a class, and of the parts that a collection is made of."""
    parts = [each for each in kind.__mro__ if each.__module__.startswith("vecsearch.collection")]
    for name, member in (item for each in parts or [kind] for item in vars(each).items()):
        if not name.startswith("_"):
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield name, function


def examples() -> Iterator[Any]:
    """(name, code) of every example; a method's code begins with its class's."""
    for name in vecsearch.__all__:
        value = getattr(vecsearch, name)
        start = example_of(value)
        if start:
            yield pytest.param(start, id=name)
        for method, function in methods(value) if inspect.isclass(value) else ():
            if example_of(function):
                yield pytest.param(start + example_of(function), id=f"{name}.{method}")


@pytest.mark.parametrize("code", list(examples()))
def test_an_example_shows_its_true_output(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(code, {}, "example", None, 0)
    assert test.examples, "an Example without a prompt"
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append, clear_globs=True)
    assert not report, "".join(report)


def test_the_methods_of_a_collection_are_found() -> None:
    names = [name for name, _ in methods(vecsearch.Collection)]
    assert len(names) == len(set(names)) > 50 and {"search", "add", "map"} < set(names)


def test_a_wrong_output_is_found() -> None:
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "example", None, 0)
    report: list[str] = []
    assert doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append).failed == 1


@pytest.mark.parametrize(
    "name",
    sorted(f"Collection.{name}" for name, _ in methods(vecsearch.Collection)),
)
def test_every_method_of_a_collection_has_an_example(name: str) -> None:
    assert example_of(getattr(vecsearch.Collection, name.partition(".")[2]))


@pytest.mark.parametrize("name", vecsearch.__all__)
def test_every_public_name_has_an_example(name: str) -> None:
    assert example_of(getattr(vecsearch, name))


@pytest.mark.parametrize("name", [name for name, _ in methods(vecsearch.Collection)])
def test_every_argument_of_a_method_is_documented(name: str) -> None:
    function = dict(methods(vecsearch.Collection))[name]
    doc = inspect.cleandoc(function.__doc__ or "")
    for argument in inspect.signature(function).parameters:
        if argument != "self":
            assert re.search(rf"^    {argument}: \S", doc, re.MULTILINE), argument
