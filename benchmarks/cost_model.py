"""What an index on disk costs up to a billion rows: bytes, reads, seconds and money, from counts.

    python benchmarks/cost_model.py [--dim 96] [--disk-mb-s 1000] [--disk-reads-s 100000]
                                    [--gb-month 0.10] [--core-hour 0.05] [--queries-month 1000000]

Nothing here is extrapolated from a clock alone. Bytes and reads follow from the format: a row is
its vector, its id and its code; a search reads the lists that it probes and a page for each
candidate that it scores. Seconds are these counts times what one comparison, one product or one
read takes, which are inputs. How many lists a search probes is measured up to a million rows
(`benchmarks/on_disk.py`), where it does not grow; from there on it is assumed to double with
sixteen times the rows. Prices are inputs, and the defaults are round numbers, nobody's offer. The
table is that of docs/how-to/large.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

SIZES = (1_000_000, 20_000_000, 100_000_000, 1_000_000_000)
SHARD_ROWS = 50_000_000  # rows that one build holds, at most
LISTS = 4  # times the square root of the rows
ID_BYTES = 8 + 8 + 8  # the id, its key in the file of keys, and the length of the vector
PAGE = 4096
HEAD_BYTES = 4  # a number of a centroid
LINK_BYTES = 300  # of a centroid in the graph that finds the nearest
POSITION_BYTES = 40  # of a row while its shard is built: positions and labels
SHARD_POSITION_BYTES = 9  # of a row while searching, where there are several shards
BUILD_BYTES = 450_000_000  # of a build beside these
QUERIES = 3600  # that calibration searches for exactly
LIST_SCANS = 7_500_000  # lists that calibration reads in memory, at all efforts together
MEASURED = 4_000_000, 8  # rows, and lists probed for recall .95; it was 8 for 200,000 rows, too
GROWTH = 0.25  # power of the rows by which the probed lists are assumed to grow
CANDIDATES = 24  # scored for k = 10


@dataclass(frozen=True)
class Inputs:
    """What differs between machines and bills.

    Attributes:
        dim: Dimensions of a vector, stored as float16.
        cores: Processors of the machine.
        assign_micros: Processor time to find a row's list and encode it.
        compare_micros: To compare the code of a row.
        products_s: Multiplications of float32 a second and core.
        disk_mb_s: Megabytes that the disk reads a second.
        disk_reads_s: Single pages that it reads a second, many at a time.
        read_micros: What one read waits for.
        gb_month: Price of a gigabyte of disk for a month.
        core_hour: Price of a core for an hour.
        queries_month: Searches a month.
    """

    dim: int = 96
    cores: int = 2
    assign_micros: float = 30.0
    compare_micros: float = 0.036
    products_s: float = 15e9
    disk_mb_s: float = 1000.0
    disk_reads_s: float = 100_000.0
    read_micros: float = 100.0
    gb_month: float = 0.10
    core_hour: float = 0.05
    queries_month: float = 1_000_000.0


@dataclass(frozen=True)
class Cost:
    """What a collection of so many rows costs.

    Attributes:
        rows: Rows.
        shards: Shards, so that a build holds at most `SHARD_ROWS`.
        vector_bytes: Vectors and ids on disk.
        index_bytes: Codes and labels on disk.
        search_memory: Bytes in memory while searching, of all processes that hold shards together:
            the centroids and their graph, and the positions of the rows of shards.
        build_memory: Bytes in memory while one shard is built.
        probes: Lists that a search reads, in all shards.
        read_bytes: Bytes that it reads if nothing is in the page cache.
        reads: Reads that it makes: lists, and pages of candidates.
        compared: Codes that it compares.
        cold_seconds: Seconds of a search from a cold cache.
        warm_seconds: And if what it needs is in memory, on one core.
        build_hours: Hours on all cores of one machine.
        month: Disk, and processor time of the searches, for a month.
        build_price: Processor time of the build.
    """

    rows: int
    shards: int
    vector_bytes: float
    index_bytes: float
    search_memory: float
    build_memory: float
    probes: float
    read_bytes: float
    reads: float
    compared: float
    cold_seconds: float
    warm_seconds: float
    build_hours: float
    month: float
    build_price: float


def probes_of(rows: float) -> float:
    """Lists that a search of so many rows probes, assumed to grow faster than was measured."""
    measured, lists = MEASURED
    return lists * (rows / measured) ** GROWTH


def cost(rows: int, inputs: Inputs = Inputs()) -> Cost:
    """The counts, and what they take."""
    shards = max(1, -(-rows // SHARD_ROWS))
    part = rows / shards
    lists = LISTS * math.sqrt(part)
    code_bytes = inputs.dim / 2 + 8
    a_list = part / lists
    probes = probes_of(part)
    candidates = CANDIDATES * (1 if shards == 1 else min(shards, 3))  # a shard has few of the best
    compared = shards * probes * a_list
    list_bytes = compared * code_bytes
    reads = shards * probes + candidates
    read_bytes = list_bytes + candidates * PAGE
    nearest = shards * math.log2(lists) * 64 * inputs.dim / inputs.products_s  # among centroids
    warm = nearest + compared * inputs.compare_micros * 1e-6
    waits = 2 * inputs.read_micros * 1e-6  # for the lists, then for the candidates
    cold = warm + waits + list_bytes / inputs.disk_mb_s / 1e6 + reads / inputs.disk_reads_s
    vector_bytes = rows * (2 * inputs.dim + ID_BYTES)
    index_bytes = rows * code_bytes
    core_seconds = (
        rows * inputs.assign_micros * 1e-6
        + shards * QUERIES * part * inputs.dim / inputs.products_s
        + shards * LIST_SCANS * a_list * inputs.compare_micros * 1e-6
    )
    written = 3 * index_bytes  # runs, lists to calibrate, lists with the held-out rows
    passes = -(-QUERIES // 1024) + 2
    read = passes * vector_bytes + 2 * index_bytes
    seconds = core_seconds / inputs.cores + (read + written) / inputs.disk_mb_s / 1e6
    return Cost(
        rows=rows,
        shards=shards,
        vector_bytes=vector_bytes,
        index_bytes=index_bytes,
        search_memory=shards * lists * (HEAD_BYTES * inputs.dim + LINK_BYTES)
        + (SHARD_POSITION_BYTES * rows if shards > 1 else 0),
        build_memory=BUILD_BYTES + POSITION_BYTES * part,
        probes=shards * probes,
        read_bytes=read_bytes,
        reads=reads,
        compared=compared,
        cold_seconds=cold,
        warm_seconds=warm,
        build_hours=seconds / 3600,
        month=(vector_bytes + index_bytes) / 1e9 * inputs.gb_month
        + inputs.queries_month * warm / 3600 * inputs.core_hour,
        build_price=seconds / 3600 * inputs.cores * inputs.core_hour,
    )


HEADERS = (
    "rows",
    "shards",
    "vectors",
    "index",
    "memory to search",
    "memory to build",
    "a search reads",
    "in reads",
    "codes compared",
    "cold",
    "warm",
    "build",
    "a month",
    "one build",
)


def table(costs: Sequence[Cost]) -> str:
    """The costs as a Markdown table."""
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + " ---: |" * len(HEADERS)]
    for one in costs:
        cells = (
            f"{one.rows:,}",
            f"{one.shards}",
            size(one.vector_bytes),
            size(one.index_bytes),
            size(one.search_memory),
            size(one.build_memory),
            size(one.read_bytes),
            f"{one.reads:,.0f}",
            f"{one.compared:,.0f}",
            f"{one.cold_seconds * 1000:,.1f} ms",
            f"{one.warm_seconds * 1000:,.1f} ms",
            f"{one.build_hours:,.2f} h",
            f"{one.month:,.2f}",
            f"{one.build_price:,.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def size(count: float) -> str:
    """Bytes in three digits."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count / 1e3:.3g} KB"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/cost_model.py", description=(__doc__ or "").splitlines()[0]
    )
    for name, default in vars(Inputs()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    given = vars(parser.parse_args())
    rows = given.pop("rows")
    print(table([cost(each, Inputs(**given)) for each in rows]))


if __name__ == "__main__":
    main()
