"""Put realistic faults into copies of the tree, and see which the tests find.

python tests/mutants/run.py [named] [sampled]     both if none is given
    --only TEXT         only faults whose id or module has this text
    --each N            sampled faults of each module, 0 for all (default 12)
    --seed N            of the sample
    --workers N         faults tried at a time (default: one for each core)
    --again             take the durations of tests from the run before

`named` are faults that a person wrote (named.py), each with the tests that must fail. `sampled`
are drawn from all that cosmic-ray's operators can do to the modules of modules.py. A run writes
score.json: how many faults of each kind and module the tests found.
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOLS = ROOT / "build" / "mutants"
# Only what the operators of cosmic-ray need; all MIT or Apache 2.0.
REQUIREMENTS = ("cosmic-ray==8.7.0", "parso>=0.8.5", "stevedore>=5.4.0", "attrs>=25.1.0")
SCORE = HERE / "score.json"
LEAST = 90  # percent of the faults
SLOWEST = 5.0  # seconds of a processor; longer tests are left out of sampled runs

# Threads that wait for each other cost more than they gain where several runs share the cores.
os.environ.update(OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="1")
if not TOOLS.is_dir():
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", str(TOOLS), *REQUIREMENTS], check=True)
sys.path.append(str(TOOLS))
sys.path.insert(0, str(HERE))

from modules import MODULES  # noqa: E402
from named import NAMED  # noqa: E402
from runner import PATIENCE, SECONDS, Job, run  # noqa: E402
from sample import Fault, sample  # noqa: E402


class Report:
    """Verdicts as they come, and the score."""

    def __init__(self) -> None:
        self.verdicts: dict[str, list[dict[str, Any]]] = {}

    def add(self, kind: str, name: str, verdict: str, **more: object) -> None:
        self.verdicts.setdefault(kind, []).append({"fault": name, "verdict": verdict, **more})
        print(f"{verdict:10} {name}", flush=True)
        if verdict not in ("caught", "equivalent") and "change" in more:
            print(more["change"], flush=True)


def named_jobs(report: Report, only: str) -> Iterator[Job]:
    """A run for each fault of named.py."""
    for fault in NAMED:
        if only and only not in (fault.id, fault.file):
            continue
        text = (ROOT / fault.file).read_text(encoding="utf-8")
        if text.count(fault.old) != 1:
            report.add("named", fault.id, "stale", file=fault.file)
            continue

        def done(verdict: str, log: str, fault: Any = fault) -> None:
            caught = {"passed": "SURVIVED"}.get(verdict, "caught")
            report.add("named", fault.id, caught, file=fault.file)

        changed = text.replace(fault.old, fault.new)
        yield Job(fault.tests.split(), done, fault.file, changed)


def baseline(modules: dict[str, str], workers: int, again: bool) -> dict[str, float]:
    """Seconds of each test that passes without a fault.

    Args:
        modules: The tests of each module.
        workers: Files that run at a time.
        again: Whether to trust what the run before measured.
    """
    durations: dict[str, float] = {}
    TOOLS.mkdir(parents=True, exist_ok=True)
    jobs = []
    for file in sorted({file for tests in modules.values() for file in tests.split()}):
        record = TOOLS / (file.replace("/", ".") + ".json")

        def done(verdict: str, log: str, file: str = file, record: Path = record) -> None:
            if verdict in ("timeout", "broken") or not record.exists():
                raise SystemExit(f"{file} does not run without a fault:\n{log}")
            found = json.loads(record.read_text(encoding="utf-8"))
            for name in found["failed"]:
                print(f"fails without a fault, and is left out: {name}", flush=True)
            durations.update(found["durations"])

        if again and record.exists():
            done("passed", "")
            continue
        record.unlink(missing_ok=True)
        jobs.append(Job([file], done, seconds=1200, options={"record": str(record)}))
    run(iter(jobs), workers)
    return durations


def sampled_jobs(
    report: Report, modules: dict[str, str], durations: dict[str, float], each: int, seed: int
) -> Iterator[Job]:
    """A run for each fault of the sample."""
    listed = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    equivalent = {(item["module"], item["change"]) for item in listed}
    for module, tests in modules.items():
        files = tests.split()
        text = (ROOT / module).read_text(encoding="utf-8")
        known = [took for name, took in durations.items() if name.startswith(tuple(files))]
        seconds = SECONDS + PATIENCE * sum(took for took in known if took < SLOWEST)
        for fault in sample(ROOT, module, each, seed):
            changed = fault.change(text)
            diff = difflib.unified_diff(text.splitlines(), changed.splitlines(), lineterm="", n=0)
            change = "\n".join(line for line in list(diff)[2:] if not line.startswith("@@"))
            name = f"{module}:{fault.line} {fault.operator.removeprefix('core/')}"
            if (module, change) in equivalent:
                report.add(module, name, "equivalent", change=change)
                continue

            def done(
                verdict: str, log: str, fault: Fault = fault, name: str = name, change: str = change
            ) -> None:
                caught = {"passed": "SURVIVED"}.get(verdict, "caught")
                report.add(fault.module, name, caught, change=change)

            options = {"durations": durations, "slowest": SLOWEST}
            yield Job(files, done, module, changed, seconds, options)


def score(verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    counts = Counter(item["verdict"].lower() for item in verdicts)
    decided = counts["caught"] + counts["survived"]
    percent = round(100 * counts["caught"] / decided, 1) if decided else None
    return {"percent": percent, **counts}


def main() -> int:
    """Run the faults; 1 if too few are found, or if a named one is not, or is stale."""
    options = argparse.ArgumentParser(description="see the head of this file")
    options.add_argument("kinds", nargs="*", choices=[[], "named", "sampled"])
    options.add_argument("--only", default="")
    options.add_argument("--each", type=int, default=12)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options.add_argument("--again", action="store_true")
    options.add_argument("--output", type=Path, default=SCORE)
    given = options.parse_args()
    kinds = given.kinds or ["named", "sampled"]
    report, started = Report(), time.monotonic()
    if "named" in kinds:
        run(named_jobs(report, given.only), given.workers)
    if "sampled" in kinds:
        everything = {f"vecsearch/{module}": tests for module, tests in MODULES.items()}
        modules = {name: tests for name, tests in everything.items() if given.only in name}
        durations = baseline(modules, given.workers, given.again) if modules else {}
        jobs = sampled_jobs(report, modules, durations, given.each, given.seed)
        run(jobs, given.workers)
    named = report.verdicts.pop("named", [])
    drawn = [item for items in report.verdicts.values() for item in items]
    result = {
        "date": datetime.date.today().isoformat(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("cosmic-ray", "pytest")},
        },
        "minutes": round((time.monotonic() - started) / 60, 1),
        "seed": given.seed,
        "each": given.each,
        "named": score(named),
        "sampled": score(drawn),
        "modules": {module: score(items) for module, items in report.verdicts.items()},
        "survived": [item for item in [*named, *drawn] if item["verdict"] in ("SURVIVED", "stale")],
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"named: {result['named']}\nsampled: {result['sampled']}")
    missed = [item for item in named if item["verdict"] != "caught"]
    percent = score(drawn)["percent"]
    return int(bool(missed) or (percent is not None and percent < LEAST))


if __name__ == "__main__":
    raise SystemExit(main())
