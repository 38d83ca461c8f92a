"""What searching costs, in estimated microseconds on one thread, from what it has to compare.

These estimates, not timings, decide between plans: the same data, recipe and seed must lead to the same searches, however busy
the machine was when the index was built. The constants were measured on one core of an AMD EPYC (Zen 4) with FAISS 1.15.1 and
the compiled walk; what matters is how they compare, and that differs less between machines than their speed. What a search
takes on the machine at hand is measured besides, and told.
"""

from __future__ import annotations


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
