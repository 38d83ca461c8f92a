"""Faults that a person wrote, each with the tests that must see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Named:
    """A fault: `old` is replaced by `new` in a file, and `tests` should fail.

    A fault whose text is no longer there, exactly once, is stale, which fails the run.
    """

    id: str
    file: str
    old: str
    new: str
    tests: str


NAMED: list[Named] = []
