"""How many cores a process may use, which may be fewer than the machine has."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def cores() -> int:
    """How many cores this process may use, at least 1.

    Those it is bound to (taskset, a cpuset), and no more than a container gives it time for: with
    `docker run --cpus=2` more than two threads wait for each other.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(bound or 1, _granted()))


@functools.cache
def _granted() -> int:
    return granted(GROUPS, OWN_GROUP)


def granted(groups: Path, own: Path) -> int:
    """For how many cores the control groups of a process grant time, rounded up.

    Args:
        groups: Where the control groups are.
        own: The file that names those of the process (`man 7 cgroups`).

    Returns:
        A very large number where there is no limit, or none that can be read.
    """
    limits = [math.inf]
    for folder in _folders(groups, own):
        parts = _words(folder / "cpu.max")  # version 2: quota and period
        if not parts:
            parts = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(parts) == 2 and all(part.isdecimal() and int(part) for part in parts):
            limits.append(int(parts[0]) / int(parts[1]))
    least = min(limits)
    return 1 << 30 if math.isinf(least) else max(1, math.ceil(least))


def _folders(groups: Path, own: Path) -> list[Path]:
    """The folders of a process's groups and of those above, of either version."""
    found = [groups, groups / "cpu"]
    for line in _text(own).splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "" or "cpu" in controllers.split(","):
            root = groups if controllers == "" else groups / "cpu"
            inner = PurePosixPath(path.lstrip("/"))
            if ".." not in inner.parts:
                found += [root / part for part in (inner, *inner.parents)]
    return found


def _words(file: Path) -> list[str]:
    return _text(file).split()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
