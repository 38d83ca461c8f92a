"""Measuring one process: memory, page cache, the machine it runs on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

MB = 1 << 20


def memory() -> dict[str, float]:
    """This process now, in MB: `resident` (all pages in memory, those mapped from files included), `anonymous` (those that no
    file backs), and `peak` (the most resident it ever was). From /proc, so Linux only."""
    rollup = _fields("/proc/self/smaps_rollup")
    # VmHWM and not getrusage's ru_maxrss: that one survives exec, and so shows the peak of the parent when that is larger.
    peak = _fields("/proc/self/status")["VmHWM"]
    return {"resident": rollup["Rss"] / 1024, "anonymous": rollup["Anonymous"] / 1024, "peak": peak / 1024}


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
    facts = {key.strip(): value.strip() for key, value in named.items()}
    flags = facts.get("flags", "").split()
    return {
        "cpu": facts.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "vector_instructions": ", ".join(flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16") if flag in flags),
        "memory_gb": round(total_memory_mb() / 1024),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def version(package: str) -> str:
    """The installed version of a package; for one that runs from its source tree, what its files say."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "source tree"


def _fields(path: str) -> dict[str, int]:
    """The lines `Name: 123 kB` of a /proc file."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    return {parts[0].rstrip(":"): int(parts[1]) for parts in lines if len(parts) == 3 and parts[2] == "kB"}
