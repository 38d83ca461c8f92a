"""Run the examples in the docstrings of a module."""

from __future__ import annotations

import doctest
import inspect
import sys
from types import ModuleType

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def run_examples(module: ModuleType) -> None:
    """Run them in the current folder; fail if one shows another output, or if there are none."""
    found = [
        test
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        if inspect.isclass(value) or inspect.isfunction(value)
        for test in doctest.DocTestFinder(recurse=False).find(value, name, module=False)
        if test.examples
    ]
    assert found, f"{module.__name__} has no example"
    report: list[str] = []
    for test in found:
        doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert not report, "".join(report)


if __name__ == "__main__":
    import importlib

    for name in sys.argv[1:]:
        run_examples(importlib.import_module(name))
