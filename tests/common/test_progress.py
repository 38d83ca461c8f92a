"""The progress bar: on a terminal, in a notebook, and nowhere else."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from vecsearch.common import progress
from vecsearch.common.progress import Shares, progress_bar, rate, summary


class ZMQInteractiveShell:
    """Called as IPython calls the shell of a notebook's kernel."""


class Handle:
    def __init__(self, shown: list[dict[str, str]]) -> None:
        self.shown = shown

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What a notebook was given to show."""
    shown: list[dict[str, str]] = []

    def display(bundle: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw and display_id
        shown.append(bundle)
        return Handle(shown)

    shell = SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", shell)  # type: ignore[arg-type]
    monkeypatch.setitem(
        sys.modules,
        "IPython.display",
        SimpleNamespace(display=display),  # type: ignore[arg-type]
    )
    return shown


def test_a_notebook_shows_a_bar(
    notebook: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress_bar("adding <b>", 200) as advance:
        for _ in range(4):
            clock[0] += 10
            advance(50)
    assert [bundle["text/plain"] for bundle in notebook] == [
        "adding <b>: 0/200",
        "adding <b>: 50/200, 5/s, 0:30 left",
        "adding <b>: 100/200, 5/s, 0:20 left",
        "adding <b>: 150/200, 5/s, 0:10 left",
        "adding <b>: 200/200, 5/s",
        "adding <b>: 200/200, 5/s",
    ]
    assert '<progress value="50" max="200">' in notebook[1]["text/html"]
    assert "&lt;b&gt;" in notebook[1]["text/html"] and "<b>" not in notebook[1]["text/html"]


def test_a_notebook_bar_may_be_switched_off(notebook: list[dict[str, str]]) -> None:
    with progress_bar("adding", 2, show=False) as advance:
        advance(2)
    assert notebook == []


def test_without_a_terminal_nothing_is_written(capsys: Any) -> None:
    with progress_bar("adding", 2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_count_and_rate(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bar("adding notes", 1200, show=True) as advance:
        advance(1200)
    written = capsys.readouterr().err
    assert "adding notes" in written and "1200/1200" in written


def test_the_summary_says_what_is_known() -> None:
    assert summary("reading", 1500, None, 0.5) == "reading: 1,500, 3,000/s"
    assert summary("reading", 0, 10, 5.0) == "reading: 0/10"
    assert rate(5, 0) == ""


def test_shares_become_steps_that_add_up() -> None:
    for total, shares in ((7, [0.1] * 10), (100, [1 / 3] * 3), (5, [0.5, 0.9, 1.0]), (0, [1.0])):
        steps: list[int] = []
        parts = Shares(total, steps.append)
        for share in shares:
            parts.add(share)
        parts.finish()
        assert sum(steps) == total and all(step > 0 for step in steps)
