"""Write .ci/constraints.txt: every version that `make install`, `wheel` and `docs` install.

pip resolves `.[dev]` and what wheels are built with, in a fresh virtual environment, with torch
pinned by .ci/torch.txt. The file holds for the Python and the platform this runs on; elsewhere a
few packages more may be needed, which then are not pinned.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TORCH = ROOT / ".ci" / "torch.txt"
LOCK = ROOT / ".ci" / "constraints.txt"
HEADER = "# Written by `make lock`. Every version that `make install` and `make wheel` install.\n"
# What pip builds a source package with that names nothing itself.
LEGACY_BUILD = ["setuptools", "wheel"]
ASK_BACKEND = """
import importlib, json, sys
backend = importlib.import_module(sys.argv[1])
wheel = backend.get_requires_for_build_wheel()
print(json.dumps(wheel + backend.get_requires_for_build_editable()))
"""


def build_requirements(python: Path) -> list[str]:
    """What pip installs to build this project's wheel. Installs the build backend, to ask it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requires: list[str] = project["build-system"]["requires"]
    install(python, *requires)
    backend = project["build-system"]["build-backend"]
    command = [str(python), "-c", ASK_BACKEND, backend]
    answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return [*requires, *json.loads(answer.stdout.splitlines()[-1]), *LEGACY_BUILD]


def install(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--constraint", str(TORCH), *arguments], cwd=ROOT, check=True)


def resolve() -> dict[str, Any]:
    """pip's report of what it would install into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python, report = Path(folder) / "bin" / "python", Path(folder) / "report.json"
        requirements = [".[dev]", *build_requirements(python)]
        # --ignore-installed: what the environment has already belongs into the report as well
        install(python, "--dry-run", "--ignore-installed", "--report", str(report), *requirements)
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found


def pins(report: dict[str, Any]) -> list[str]:
    """`name==version` lines, sorted, less this project itself.

    A local version such as 2.13.0+cpu belongs to the index of one machine: 2.13.0 admits it.
    """
    found = {}
    for item in report["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        found[name] = item["metadata"]["version"].partition("+")[0]
    del found["vecsearch"]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def main() -> None:
    lines = pins(resolve())
    LOCK.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{LOCK.relative_to(ROOT)}: {len(lines)} versions", file=sys.stderr)


if __name__ == "__main__":
    main()
