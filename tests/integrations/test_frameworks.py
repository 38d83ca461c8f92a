"""The adapters and the server, tested in environments that have what they are tested with.

Each environment is made once in build/envs and sees the packages of the running one, so that only
the framework is installed. Without its packages a test is skipped, and says why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PACKAGES = {
    "langchain": ["langchain-core>=1.0.0", "langchain-tests>=1.1.9"],
    "llama_index": ["llama-index-core>=0.14.0"],
    "haystack": ["haystack-ai>=3.0.0", "pytest-asyncio>=1.3.0"],
    "mcp": ["mcp>=2.3.0"],
    "datasets": ["datasets>=4.0.0"],
    "bertopic": ["bertopic>=0.17.0"],
    "s3": ["moto[s3,server]>=5.2.5", "obstore>=0.12.1"],
    "schemathesis": ["schemathesis>=4.0.0"],
    "ray": ["ray>=2.50.0"],
}
RUNS = {"ray": 3}
"""How often tests are begun again that end without a word of pytest's. Ray ends the whole process,
with code 1, when the program that keeps its cluster has not answered for a minute."""
SUMMARY = re.compile(r"^\d+ (passed|failed|error)", re.MULTILINE)
SHARED = {"gs": "s3", "azure": "s3"}  # tests that run in the environment of others


def environment(name: str) -> Path:
    """The Python of an environment with a framework; skips the test if it cannot be had."""
    folder = ROOT / "build" / "envs" / name
    python = folder / "bin" / "python"
    made = folder / "made"
    wanted = "\n".join(PACKAGES[name])
    if made.exists() and made.read_text() == wanted:
        return python
    venv.create(folder, with_pip=True, clear=True)
    site = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    (site / "zz_outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*command, *PACKAGES[name]], capture_output=True, text=True, timeout=900)
    if done.returncode:
        pytest.skip(f"{' '.join(PACKAGES[name])} cannot be installed: {done.stderr[-300:]}")
    made.write_text(wanted)
    return python


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PACKAGES, *SHARED])
def test_the_adapter_passes_in_an_environment_of_its_own(name: str, tmp_path: Path) -> None:
    python = environment(SHARED.get(name, name))
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest"]
    if name in ("langchain", "haystack"):
        command += ["-o", "asyncio_mode=auto"]
    command += ["-o", "python_files=run_*.py", f"--basetemp={tmp_path / 'run'}"]
    for _ in range(RUNS.get(name, 1)):
        done = subprocess.run(
            [*command, str(HERE / f"run_{name}.py")],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=400,
        )
        print(done.stdout, done.stderr, sep="\n")
        if not done.returncode or SUMMARY.search(done.stdout):
            break  # it passed, or tests failed
        for log in sorted(Path("/tmp/ray/session_latest/logs").glob("gcs_server.*")):
            print(f"{log.name} ended with:", log.read_text(errors="replace")[-2000:], sep="\n")
    ends = [
        line for line in done.stdout.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))
    ]
    assert done.returncode == 0, "\n".join(ends[-20:]) or f"no test's result: {done.stdout}"


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("langchain", "langchain-core", "langchain"),
        ("llama_index", "llama-index-core", "llama-index"),
        ("haystack", "haystack-ai", "haystack"),
        ("mcp", "mcp", "mcp"),
        ("datasets", "datasets", "datasets"),
        ("haystack_retrievers", "haystack-ai", "haystack"),
    ],
)
def test_a_missing_framework_gives_the_pip_command(module: str, package: str, extra: str) -> None:
    code = f"""
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: (
    None if name in ("langchain_core", "llama_index", "haystack", "mcp", "datasets")
    else found(name, *rest)
)
import vecsearch.common.optional as optional
optional.find_spec = importlib.util.find_spec
import vecsearch as vs
try:
    import vecsearch.integrations.{module}
except vs.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert f"'{package}'" in done.stdout, done.stderr
    assert f'pip install "vecsearch[{extra}]"' in done.stdout
