"""A user's script passes the type checkers, and each of many wrong calls is refused by them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy comes with the extra 'dev'")

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "tests" / "support" / "typed_user.py").read_text(encoding="utf-8")
START = "import vecsearch as vs\n\nc = vs.open('c.vs')\n"
WRONG = """
c.search("boat", where=3)
c.add(5)
vs.create("c.vs", dim=2, metric="euclid")
vs.create("c.vs", dim=2, dtype="float64")
vs.create("c.vs", dim="2")
vs.create(5, dim=2)
vs.create("c.vs", embedder=5)
vs.create("c.vs", embedder="toy:8", chunker=1.5)
c.add([{"text": "a"}], on_conflict="ignore")
c.add([{"text": "a"}], on_error="warn")
c.add([1, 2])
c.add(None)
c.add("a.csv", csv={"delimiter": 5})
c.search("boat", k="3")
c.search("boat", kk=3)
c.search("boat", ids=1.5)
c.search("boat", recall="0.9")
c.search_batch(5)
c.update("year > 1", 5)
c.update(3, {"year": 1})
c.get(1.5)
c.count(where=["year > 1"])
c.build_index(5)
c.reduce("d.vs", 16, method="svd")
c.measure_recall(queries=5)
c.evaluate({"q": "a"}, {"q": 3})
c.add_column("n", 5)
c.search("boat")["0"]
c.search("boat")[0].scores
c.search("boat")[0].highlight().text
""".strip().splitlines()
NAMES = ("good.py", "bad.py")
CONFIG = "[mypy]\n[mypy-pyarrow.*]\nignore_missing_imports = True\n"


def refused_by_mypy(folder: Path) -> dict[str, dict[int, str]]:
    """File -> line -> message of each error."""
    (folder / "mypy.ini").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *NAMES]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    assert not done.stderr, done.stderr
    found: dict[str, dict[int, str]] = {name: {} for name in NAMES}
    for line in done.stdout.splitlines():
        if ": error:" in line:
            name, number, _, message = line.split(":", 3)
            found[name][int(number)] = message
    return found


def refused_by_basedpyright(folder: Path) -> dict[str, dict[int, str]]:
    """File -> line -> message of each error."""
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "basedpyright", "--outputjson"),
        *("--pythonpath", sys.executable, *NAMES),
    ]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    found: dict[str, dict[int, str]] = {name: {} for name in NAMES}
    for each in json.loads(done.stdout)["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            found[Path(each["file"]).name][line] = each["message"]
    return found


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}


@pytest.mark.slow
@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
def test_a_users_script_passes_and_each_wrong_call_is_refused(checker: str, tmp_path: Path) -> None:
    pytest.importorskip(checker, reason="the checkers come with the extra 'dev'")
    (tmp_path / "good.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.py").write_text(START + "\n".join(WRONG) + "\n", encoding="utf-8")
    check = {"mypy": refused_by_mypy, "basedpyright": refused_by_basedpyright}[checker]
    found = check(tmp_path)
    assert found["good.py"] == {}
    first = START.count("\n") + 1
    missed = [line for at, line in enumerate(WRONG, first) if at not in found["bad.py"]]
    assert missed == []
    assert set(found["bad.py"]) <= set(range(first, first + len(WRONG))), found
