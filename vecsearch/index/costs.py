"""What searching costs, in estimated microseconds on one thread, from what it has to compare.

These estimates, not timings, decide between plans: the same data, recipe and seed must lead to the same searches, however busy
the machine was when the index was built. The constants were measured on one core of an AMD EPYC (Zen 4) with FAISS 1.15.1 and
the compiled walk; what matters is how they compare, and that differs less between machines than their speed. What a search
takes on the machine at hand is measured besides, and told.
"""

from __future__ import annotations

import math

WINDOW_SIGMAS = (
    3.0  # how sure to be of k matches within reach when the filter is independent of the query
)
EXACT_START_MICROS = 20.0  # what an exact search costs before it scores its first row


def row_micros(dim: int) -> float:
    """Scoring one of many listed rows by its full vector: its numbers come from memory."""
    return 0.01 + 0.00028 * dim


def code_micros(code_bytes: int) -> float:
    """Comparing one of many listed codes."""
    return 0.008 + 0.00006 * code_bytes


def graph_micros(distances: float, code_bytes: int) -> float:
    """Walking through a graph: each code lies somewhere else, and is waited for."""
    return 5 + distances * (0.022 + 0.0001 * code_bytes)


def list_micros(distances: float, code_bytes: int) -> float:
    """Comparing the codes of an inverted file's lists, or of all rows, one after another."""
    return 20 + distances * (0.002 + 0.00003 * code_bytes)


def exact_micros(rows: int, per_row: float) -> float:
    """Estimated cost of scoring so many rows, in microseconds."""
    return EXACT_START_MICROS + rows * per_row


def window_for(k: int, kept: int, rows: int) -> int:
    """How deep in the unfiltered ranking the k-th kept row lies, `REACH_SIGMAS` standard deviations to the safe side.

    The rank of the k-th kept row is negative-binomial: mean k/p, variance k(1-p)/p².
    """
    if kept >= rows:
        return k
    share = kept / rows
    return math.ceil((k + WINDOW_SIGMAS * math.sqrt(k * (1 - share))) / share)
