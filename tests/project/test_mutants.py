"""The faults that `make mutants` tries are still faults of this code."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "mutants"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mutants_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


NAMED = load("named").NAMED
MODULES = load("modules").MODULES


@pytest.mark.parametrize("fault", NAMED, ids=lambda fault: fault.id)
def test_a_named_fault_can_be_put_in(fault: Any) -> None:
    """Where this fails, the code of a fault was changed: write the fault again in named.py."""
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    changed = text.replace(fault.old, fault.new)
    assert changed != text
    compile(changed, fault.file, "exec")


def test_ids_of_faults_are_unique() -> None:
    ids = [fault.id for fault in NAMED]
    assert len(set(ids)) == len(ids) >= 37


def test_the_tests_of_the_faults_are_there() -> None:
    wanted = {test for fault in NAMED for test in fault.tests.split()}
    wanted |= {test for tests in MODULES.values() for test in tests.split()}
    for test in sorted(wanted):
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name}(" in text if name else "def test_" in text, test


def test_the_modules_are_there() -> None:
    assert [name for name in MODULES if not (ROOT / "vecsearch" / name).is_file()] == []


def test_a_fault_that_changes_nothing_has_a_reason() -> None:
    for item in json.loads((FOLDER / "equivalent.json").read_text(encoding="utf-8")):
        assert set(item) == {"module", "change", "reason"} and len(item["reason"]) > 15
        assert item["module"].removeprefix("vecsearch/") in MODULES
        text = (ROOT / item["module"]).read_text(encoding="utf-8")
        for line in item["change"].splitlines():
            if line.startswith("-"):
                assert line[1:] in text.splitlines(), item
