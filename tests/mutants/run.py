"""Put realistic faults into a copy of the tree, one at a time, and see which the tests find.

python tests/mutants/run.py [ID ...] prints one line for each fault and the score at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 600  # after which a run of tests counts as a fault that was found


@dataclass(frozen=True)
class Mutant:
    """A fault: `old` is replaced by `new` in a file, and `tests` should fail."""

    id: str
    file: str
    old: str
    new: str
    tests: str


PLAN, PLAN_TESTS = "vecsearch/query/plan.py", "tests/query/test_plan.py"
MUTANTS = [
    Mutant(
        "P1",
        PLAN,
        "point.k >= needed and point.low >= recall",
        "point.k >= needed and point.recall >= recall",
        PLAN_TESTS,
    ),
    Mutant(
        "P6",
        PLAN,
        "point.k >= k and point.low >= recall",
        "point.k >= k and point.recall >= recall",
        PLAN_TESTS,
    ),
    Mutant("P2", PLAN, "few_missing = k * (", "few_missing = (", PLAN_TESTS),
    Mutant(
        "I3",
        "vecsearch/ingest/add.py",
        "next_id=max(self.checker.next_id, latest.next_id)",
        "next_id=self.checker.next_id",
        "tests/ingest/test_add_transaction.py",
    ),
]


def verdict(mutant: Mutant) -> str:
    """caught, survived, or stale where the text to replace is not found exactly once."""
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return "stale"
    with tempfile.TemporaryDirectory() as folder:
        for name in ("vecsearch", "tests"):
            shutil.copytree(ROOT / name, Path(folder, name))
        shutil.copy(ROOT / "pyproject.toml", folder)
        changed = text.replace(mutant.old, mutant.new)
        Path(folder, mutant.file).write_text(changed, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        try:
            done = subprocess.run(
                [*command, mutant.tests], cwd=folder, timeout=SECONDS, capture_output=True
            )
        except subprocess.TimeoutExpired:
            return "caught"
    return "survived" if done.returncode == 0 else "caught"


def main(wanted: list[str]) -> int:
    """Run the faults with these ids, or all; 1 if one survived or is stale."""
    verdicts = []
    for mutant in MUTANTS:
        if not wanted or mutant.id in wanted:
            verdicts.append(verdict(mutant))
            print(f"{mutant.id}\t{verdicts[-1]}\t{mutant.file}", flush=True)
    decided = [item for item in verdicts if item != "stale"]
    print(f"{decided.count('caught')} of {len(decided)} caught, {verdicts.count('stale')} stale")
    return int(verdicts.count("caught") < len(verdicts))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
