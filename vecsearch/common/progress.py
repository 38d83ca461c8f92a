"""A progress bar for long work: on stderr of a terminal, or in a notebook."""

from __future__ import annotations

import contextlib
import html
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

Advance = Callable[[int], None]
REDRAWN_SECONDS: Final = 0.2  # how often a notebook's bar is drawn at most


@contextlib.contextmanager
def progress_bar(what: str, total: int | None, show: bool | None = None) -> Iterator[Advance]:
    """Show a progress bar during a block, with the rate and the time left.

    Args:
        what: The text before the bar.
        total: The number of steps, if known.
        show: Whether to show the bar; None shows it where stderr is a terminal, and in notebooks.

    Yields:
        A function that advances the bar by a number of steps.
    """
    display = _notebook_display()
    if not (display is not None or sys.stderr.isatty() if show is None else show):
        yield lambda count: None
    elif display is not None:
        with _notebook_bar(display, what, total) as advance:
            yield advance
    else:
        with _terminal_bar(what, total) as advance:
            yield advance


@contextlib.contextmanager
def _terminal_bar(what: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import ProgressColumn as Column
    from rich.text import Text

    class Rate(Column):
        def render(self, task: Task) -> Text:
            return Text(rate(task.completed, task.elapsed or 0.0))

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def _notebook_display() -> Any:
    """IPython's `display` in a notebook; None elsewhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if type(shell).__name__ != "ZMQInteractiveShell":
        return None
    return importlib.import_module("IPython.display").display


@contextlib.contextmanager
def _notebook_bar(display: Any, what: str, total: int | None) -> Iterator[Advance]:
    """A bar of HTML that is drawn over itself; its text is there where HTML is not."""
    begin = drawn = time.monotonic()
    done = 0

    def bundle() -> dict[str, str]:
        text = summary(what, done, total, time.monotonic() - begin)
        bar = f'<progress value="{done}" max="{total}"></progress> ' if total else ""
        return {"text/plain": text, "text/html": bar + html.escape(text)}

    handle = display(bundle(), raw=True, display_id=True)

    def advance(count: int) -> None:
        nonlocal done, drawn
        done += count
        if handle is not None and time.monotonic() - drawn >= REDRAWN_SECONDS:
            drawn = time.monotonic()
            handle.update(bundle(), raw=True)

    try:
        yield advance
    finally:
        if handle is not None:
            handle.update(bundle(), raw=True)


@contextlib.contextmanager
def steps_bar(what: str, show: bool | None = None) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for work that reports (steps done, steps in total).

    Args:
        what: The text before the bar.
        show: As in `progress_bar`.

    Yields:
        A function to be called with both numbers; the bar appears at its first call.
    """
    with contextlib.ExitStack() as stack:
        advance: Advance | None = None
        shown = 0

        def update(done: int, total: int) -> None:
            nonlocal advance, shown
            if advance is None:
                advance = stack.enter_context(progress_bar(what, total, show))
            advance(done - shown)
            shown = done

        yield update


class Shares:
    """Turns shares of a part of the work into steps.

    Args:
        steps: The steps of the part.
        advance: Called with the number of steps that were done.

    Example:
        >>> shares = Shares(10, print)
        >>> shares.add(0.25)
        2
        >>> shares.add(0.25)
        3
        >>> shares.finish()
        5
    """

    def __init__(self, steps: int, advance: Advance) -> None:
        self._steps = steps
        self._advance = advance
        self._share = 0.0
        self._done = 0

    def add(self, share: float) -> None:
        """So much more of the part is done."""
        self._share = min(1.0, self._share + share)
        self._go_to(int(self._steps * self._share + 1e-6))

    def finish(self) -> None:
        """All of the part is done."""
        self._go_to(self._steps)

    def _go_to(self, step: int) -> None:
        if step > self._done:
            self._advance(step - self._done)
            self._done = step


def summary(what: str, done: int, total: int | None, seconds: float) -> str:
    """The state of long work in a line.

    Example:
        >>> summary("adding notes", 30, 120, 60)
        'adding notes: 30/120, 30/min, 3:00 left'
    """
    parts = [f"{what}: {done:,}/{total:,}" if total else f"{what}: {done:,}"]
    parts += [found] if (found := rate(done, seconds)) else []
    if total and 0 < done < total:
        left = round(seconds * (total - done) / done)
        parts.append(f"{left // 60}:{left % 60:02} left")
    return ", ".join(parts)


def rate(done: float, seconds: float) -> str:
    """How much is done in a second, or in a minute if that is little.

    Example:
        >>> rate(300, 2), rate(3, 60), rate(0, 1)
        ('150/s', '3/min', '')
    """
    if not done or seconds <= 0:
        return ""
    each = done / seconds
    return f"{each:,.0f}/s" if each >= 2 else f"{60 * each:,.0f}/min"
