"""How many cores a process may use: bound to some, or granted time for some."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecsearch.common.cores import cores, granted

NO_LIMIT = 1 << 30


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be bound here")
def test_a_process_bound_to_one_core_has_one() -> None:
    code = "from vecsearch.common.cores import cores; print(cores())"
    first = min(os.sched_getaffinity(0))
    found = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: os.sched_setaffinity(0, {first}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "1\n"


def test_never_more_than_the_machine_has() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("5000 100000\n", 1),
        ("max 100000\n", NO_LIMIT),
        ("", NO_LIMIT),
        ("-1 100000\n", NO_LIMIT),
        ("1 0\n", NO_LIMIT),
        ("what is this", NO_LIMIT),
    ],
)
def test_the_quota_of_a_container(text: str, expected: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert granted(tmp_path, tmp_path / "none") == expected


def test_the_least_of_a_group_and_those_above(tmp_path: Path) -> None:
    inner = tmp_path / "groups" / "system.slice" / "search.service"
    inner.mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("0::/system.slice/search.service\n", encoding="ascii")
    (inner / "cpu.max").write_text("800000 100000", encoding="ascii")
    (inner.parent / "cpu.max").write_text("300000 100000", encoding="ascii")
    assert granted(tmp_path / "groups", own) == 3
    own.write_text("0::/../system.slice\n", encoding="ascii")  # outside of what is mounted
    assert granted(tmp_path / "groups", own) == NO_LIMIT


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    group = tmp_path / "groups" / "cpu" / "docker" / "1f"
    group.mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("4:memory:/docker/1f\n3:cpu,cpuacct:/docker/1f\n", encoding="ascii")
    (group / "cpu.cfs_quota_us").write_text("400000\n", encoding="ascii")
    (group / "cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    assert granted(tmp_path / "groups", own) == 4
    (group / "cpu.cfs_quota_us").write_text("-1\n", encoding="ascii")
    assert granted(tmp_path / "groups", own) == NO_LIMIT
