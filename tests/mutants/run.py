"""Put realistic faults into copies of the tree, and see which the tests find.

python tests/mutants/run.py [named] [sampled]     both if none is given
    --only TEXT         only faults whose id or module has this text
    --survivors         of the sampled faults only those that no test saw, by score.json
    --each N            sampled faults of each module, 0 for all (default 8)
    --seed N            of the sample
    --workers N         faults tried at a time (default: one for each core)
    --again             take the durations of tests from the run before

`named` are faults that a person wrote (named.py), each with the tests that must fail. `sampled`
are drawn from all that cosmic-ray's operators can do to the modules of modules.py. score.json says
how many faults of each kind and module the tests found; a run replaces what it measured again.
Faults that change nothing that anybody could see are listed in equivalent.json, with the reason.
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import hashlib
import importlib.metadata
import json
import math
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
from sample import Fault, faults, sample  # noqa: E402


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
                found["durations"][name] = math.inf
            durations.update(found["durations"])

        if again and record.exists():
            done("passed", "")
            continue
        record.unlink(missing_ok=True)
        jobs.append(Job([file], done, seconds=1200, options={"record": str(record)}))
    run(iter(jobs), workers)
    return durations


def change_of(text: str, changed: str) -> str:
    """The lines of a module that a fault takes away and puts in."""
    diff = difflib.unified_diff(text.splitlines(), changed.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in list(diff)[2:] if not line.startswith("@@"))


def chosen(module: str, text: str, given: argparse.Namespace) -> list[Fault]:
    """The faults of a module to run."""
    if not given.survivors:
        return sample(ROOT, module, given.each, given.seed)
    known = stored(given.output)["modules"].get(module)
    if known is None or known["source"] != digest(text):
        raise SystemExit(f"{module} has changed since its faults were drawn: run them again")
    survivors = {item["fault"] for item in known["survivors"]}
    return [fault for fault in faults(ROOT, module) if name_of(fault) in survivors]


def name_of(fault: Fault) -> str:
    operator = fault.operator.removeprefix("core/")
    return f"{fault.module}:{fault.line} {operator} {fault.occurrence}"


def sampled_jobs(
    report: Report, modules: dict[str, str], durations: dict[str, float], given: argparse.Namespace
) -> Iterator[Job]:
    """A run for each fault of the sample."""
    listed = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    equivalent = {(item["module"], item["change"]) for item in listed}
    for module, tests in modules.items():
        files = tests.split()
        text = (ROOT / module).read_text(encoding="utf-8")
        known = [took for name, took in durations.items() if name.startswith(tuple(files))]
        seconds = SECONDS + PATIENCE * sum(took for took in known if took < SLOWEST)
        for fault in chosen(module, text, given):
            changed = fault.change(text)
            change = change_of(text, changed)
            name = name_of(fault)
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


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stored(path: Path) -> dict[str, Any]:
    """The score so far."""
    if not path.exists():
        return {"named": {}, "sampled": {}, "modules": {}}
    return dict(json.loads(path.read_text(encoding="utf-8")))


def counted(verdicts: list[dict[str, Any]], before: dict[str, Any] | None) -> dict[str, Any]:
    """The score of some faults; with `before`, of these in place of those that survived then."""
    counts = Counter(item["verdict"].lower() for item in verdicts)
    for name in ("caught", "equivalent") if before else ():
        counts[name] += before[name] if before else 0
    result = {
        **{name: counts[name] for name in ("caught", "survived", "equivalent", "stale")},
        "date": datetime.date.today().isoformat(),
        "survivors": [
            {name: value for name, value in item.items() if name in ("fault", "change")}
            for item in verdicts
            if item["verdict"] in ("SURVIVED", "stale")
        ],
    }
    return {"percent": percent(result), **result}


def percent(counts: dict[str, Any]) -> float:
    """Of the faults that are none in disguise, those that were caught."""
    decided = counts["caught"] + counts["survived"] + counts["stale"]
    return round(100 * counts["caught"] / decided, 1) if decided else 100.0


def update(report: Report, given: argparse.Namespace) -> dict[str, Any]:
    """Write what was measured into the score."""
    score = stored(given.output)
    named = report.verdicts.pop("named", [])
    if named and not given.only:
        score["named"] = counted(named, None)
    verdicts_of, report.verdicts = report.verdicts, {}
    for module, verdicts in verdicts_of.items():
        before = score["modules"].get(module) if given.survivors else None
        source = digest((ROOT / module).read_text(encoding="utf-8"))
        drawn = {"each": given.each, "seed": given.seed, "source": source}
        if before:
            drawn = {name: before[name] for name in drawn}
        score["modules"][module] = {**counted(verdicts, before), **drawn}
    totals = {
        name: sum(module[name] for module in score["modules"].values())
        for name in ("caught", "survived", "equivalent", "stale")
    }
    score["sampled"] = {"percent": percent(totals), **totals}
    score["versions"] = {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("cosmic-ray", "pytest")},
    }
    given.output.write_text(json.dumps(score, indent=1) + "\n", encoding="utf-8")
    return score


def main() -> int:
    """Run the faults; 1 if too few are found, or if a named one is not, or is stale."""
    options = argparse.ArgumentParser(description="see the head of this file")
    options.add_argument("kinds", nargs="*")
    options.add_argument("--only", default="")
    options.add_argument("--survivors", action="store_true")
    options.add_argument("--each", type=int, default=8)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options.add_argument("--again", action="store_true")
    options.add_argument("--output", type=Path, default=SCORE)
    given = options.parse_args()
    if set(given.kinds) - {"named", "sampled"}:
        options.error("the kinds are named and sampled")
    kinds = given.kinds or ["named", "sampled"]
    report, started = Report(), time.monotonic()
    if "named" in kinds:
        run(named_jobs(report, given.only), given.workers)
    missed = [item for item in report.verdicts.get("named", []) if item["verdict"] != "caught"]
    if "sampled" in kinds:
        everything = {f"vecsearch/{module}": tests for module, tests in MODULES.items()}
        modules = {name: tests for name, tests in everything.items() if given.only in name}
        if given.survivors:
            known = stored(given.output)["modules"]
            modules = {
                name: modules[name] for name in modules if known.get(name, {}).get("survivors")
            }
        durations = baseline(modules, given.workers, given.again)
        for name, tests in modules.items():  # a run that is stopped keeps what it has measured
            run(sampled_jobs(report, {name: tests}, durations, given), given.workers)
            update(report, given)
    score = update(report, given)
    shown = {name: count for name, count in score["named"].items() if name != "survivors"}
    print(f"named: {shown}\nsampled: {score['sampled']}")
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    return int(bool(missed) or score["sampled"]["percent"] < LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
