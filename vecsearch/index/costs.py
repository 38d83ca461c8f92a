"""Estimated cost of a search, in microseconds on one thread, from what it has to compare.

These estimates decide between plans, not timings: the same data, recipe and seed must lead to the
same searches, however busy the machine was during the build. The constants were measured on one
core of an AMD EPYC (Zen 4) with FAISS 1.15.1 and the compiled graph search. Only the ratios
matter; they vary little between machines. Real latency is measured and reported separately.
"""

from __future__ import annotations

import math

WINDOW_SIGMAS = 3.0  # standard deviations by which a candidate window exceeds the expected one
DISK_BYTES_A_MICRO = 300.0
EXACT_START_MICROS = 20.0  # what an exact search costs before it scores its first row


def row_micros(dim: int) -> float:
    """Scoring one of many listed rows by its full vector, which is read from memory."""
    return 0.01 + 0.00028 * dim


def disk_micros(row_bytes: int) -> float:
    """Reading a row of many in order from a disk of 300 MB a second, before it is scored.

    For collections that do not fit in memory, in which an exact search reads all rows each time.
    """
    return row_bytes / DISK_BYTES_A_MICRO


def code_micros(code_bytes: int) -> float:
    """Comparing one of many listed codes."""
    return 0.008 + 0.00006 * code_bytes


def graph_micros(distances: float, code_bytes: int) -> float:
    """Searching a graph: each code lies elsewhere in memory, and the search waits for it."""
    return 5 + distances * (0.022 + 0.0001 * code_bytes)


def coded_micros(visited: float, near_bytes: int) -> float:
    """What codes of neighbors take in a graph, beside the codes that are compared one by one.

    The query's table, and for each visited node the codes that stand beside it. Measured in turn
    with graphs without such codes, at 1,024 and 1,280 bytes and efforts from 8 to 384.
    """
    return 12 + visited * (0.2 + 0.000164 * near_bytes)


def list_micros(distances: float, code_bytes: int) -> float:
    """Comparing the codes of an inverted file's lists, or of all rows, in order."""
    return 20 + distances * (0.002 + 0.00003 * code_bytes)


def exact_micros(rows: int, per_row: float) -> float:
    """Scoring this many rows."""
    return EXACT_START_MICROS + rows * per_row


def window_for(k: int, matching: int, rows: int) -> int:
    """How many of the unfiltered best rows hold k rows that pass a filter, with high probability.

    The rank of the k-th row that passes is negative-binomial: mean k/p, variance k(1-p)/p²,
    where p = matching / rows and the filter is independent of the query. `WINDOW_SIGMAS` standard
    deviations are added to the mean.

    Args:
        k: Rows to find.
        matching: Rows that pass the filter, at least 1.
        rows: Rows in all.
    """
    if matching >= rows:
        return k
    share = matching / rows
    return math.ceil((k + WINDOW_SIGMAS * math.sqrt(k * (1 - share))) / share)


def first_for(k: int, matching: int, rows: int) -> int:
    """How many of the unfiltered best rows are found as often as the k best that pass a filter.

    Where the filter is independent of the query, one of rank r is among the k best that pass with a
    probability that falls with r. So what is found of these is a mean of what is found of the first
    m rows, in which m has the weight m p/k times the probability that the k-th that passes has rank
    m (see `window_for`). The mean of m is (k + 1)/p - 1.

    Args:
        k: Rows to find.
        matching: Rows that pass the filter, at least 1.
        rows: Rows in all.
    """
    return k if matching >= rows else math.ceil((k + 1) * rows / matching) - 1
