"""Measuring one process: memory, page cache, the machine it runs on."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MB = 1 << 20
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def memory() -> dict[str, float]:
    """This process now, in MB: `resident` (all pages in memory, those mapped from files included),
    `anonymous` (those that no file backs), and `peak` (the most resident it ever was). From /proc,
    so Linux only.
    """
    rollup = _fields("/proc/self/smaps_rollup")
    # VmHWM and not getrusage's ru_maxrss: that one survives exec, and so shows the peak of the
    # parent when that is larger.
    peak = _fields("/proc/self/status")["VmHWM"]
    return {
        "resident": rollup["Rss"] / 1024,
        "anonymous": rollup["Anonymous"] / 1024,
        "peak": peak / 1024,
    }


def evict(folder: Path) -> None:
    """Asks the system to drop the files of `folder` from its page cache, as after a restart."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def total_memory_mb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MB


def hardware() -> dict[str, str | int]:
    """What the numbers were measured on."""
    try:
        info = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        info = []
    named = dict(line.split(":", 1) for line in info if ":" in line)
    details = {key.strip(): value.strip() for key, value in named.items()}
    flags = details.get("flags", "").split()
    return {
        "cpu": details.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "vector_instructions": ", ".join(
            flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16") if flag in flags
        ),
        "memory_gb": round(total_memory_mb() / 1024),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def version(package: str) -> str:
    """The installed version of a package; for one that runs from its source tree, what its files
    say; or "absent".
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        return str(importlib.import_module(package).__version__)
    except (ImportError, AttributeError):
        return "absent"


def save(name: str, measured: Mapping[str, Any], packages: Sequence[str]) -> Path:
    """Writes benchmarks/results/NAME.json: what was measured, when, on what, and with which
    versions.
    """
    details = {"name": name, "date": f"{datetime.now(UTC):%Y-%m-%d}", "hardware": hardware()}
    details["versions"] = {package: version(package) for package in packages}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(
        json.dumps(rounded(details | dict(measured)), indent=1) + "\n", encoding="utf-8"
    )
    return path


def rounded(value: Any) -> Any:
    """Floats to six significant digits, at any depth: more are noise."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def _fields(path: str) -> dict[str, int]:
    """The lines `Name: 123 kB` of a /proc file."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    return {
        parts[0].rstrip(":"): int(parts[1])
        for parts in lines
        if len(parts) == 3 and parts[2] == "kB"
    }
