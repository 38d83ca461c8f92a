"""Results of a run as files: JSON with everything measured, Markdown tables, and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import curves, measure, plot
from benchmarks.cases import UNFILTERED
from benchmarks.plot import OWN

BARE = ("faiss-hnsw", "faiss-flat")
"""Bare FAISS stands in every table, but is no peer: it is what vecsearch is built on."""

RECALLS, SHOWN = (0.90, 0.95, 0.98, 0.99), 1
"""Recalls of the tables, and at which of them libraries are sorted and their builds shown."""

FILTERED_RECALL = 0.95
METHOD = (
    "All libraries in one run, each in processes of its own; {rounds} rounds over the libraries in "
    "turn, and the median round "
    "is what stands here, never the best. Recall is |found ∩ exact| / min(k, rows that match), "
    "ties at the k-th score counting "
    'as found. "At recall r" is read off each index\'s curve: log QPS taken as linear in recall '
    "between the two neighbouring "
    "points of its frontier; nothing is extrapolated. A library tried with several builds is shown "
    "at its fastest there"
)
COSTS = (
    "Building is timed from vectors in memory to an index on disk, with all threads, and includes "
    "storing and indexing the "
    "filter columns where the library has them. Memory is of a fresh process with one thread: all "
    "resident pages, those mapped "
    "from files included, first with the library loaded, then after it opened the index with its "
    "files out of the page cache "
    "and answered 1,000 queries; in brackets what no file backs, which the system cannot take "
    "back. The cold p99 is of the "
    "first 200 of those queries."
)

Record = Mapping[str, Any]


def write(results: Record, folder: Path) -> list[Path]:
    """Writes NAME.json, NAME.md and NAME.png; returns their paths."""
    paths = [folder / f"{results['name']}{suffix}" for suffix in (".json", ".md", ".png")]
    paths[0].write_text(json.dumps(measure.rounded(results), indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(summary(results), encoding="utf-8")
    plot.draw(results, paths[2])
    return paths


def summary(results: Record) -> str:
    """The Markdown page of a run."""
    ks = results["plan"]["ks"]
    threads = {"one": "one thread, one query a call"}
    if results["plan"]["batch"]:
        threads["all"] = "all threads, all queries in one call"
    filtered = [name for name in results["plan"]["cases"] if name != UNFILTERED]
    parts = [
        _heading(results),
        *(
            _speed_table(results, name, k, f"Queries a second, {text}, k={k}")
            for name, text in threads.items()
            for k in ks
        ),
        *(_promise_table(results, name, k) for name in OWN for k in ks),
        *(_filter_table(results, name, ks[0]) for name in filtered),
        _cost_table(results),
        _left_out(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def points(entry: Record, threads: str, case: str, k: int) -> list[Record]:
    """An index's points of one kind."""
    return [p for p in entry["points"] if (p["threads"], p["case"], p["k"]) == (threads, case, k)]


def best_at(results: Record, threads: str, k: int, recall: float) -> dict[str, tuple[float, str]]:
    """Each library's QPS at `recall` without a filter, by its fastest index there, and that index's
    name.
    """
    best: dict[str, tuple[float, str]] = {}
    for entry in results["entries"]:
        curve = [(p["recall"], p["qps"]) for p in points(entry, threads, UNFILTERED, k)]
        qps = curves.qps_at(curve, recall)
        if qps is not None and qps > best.get(entry["peer"], (0.0, ""))[0]:
            best[entry["peer"]] = (qps, _arguments(entry["build"]))
    return best


def _heading(results: Record) -> str:
    data, machine, plan = results["data"], results["hardware"], results["plan"]
    versions = dict(
        sorted({entry["peer"]: entry.get("version", "?") for entry in results["entries"]}.items())
    )
    others = {
        name: version for name, version in results["versions"].items() if name not in versions
    }
    origin = "held-out rows of the same data" if data["held_out"] else "the data set's own queries"
    conditions = [
        f"{data['name']}, {data['rows']:,} rows × {data['dim']}, {data['metric']}; "
        f"{data['queries']:,} queries ({origin})",
        f"{machine['cpu']}, {machine['cores']} cores, "
        f"{machine['vector_instructions'] or 'no AVX2'}, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}",
        f"measured on {results['date']}, in {results['minutes']} minutes",
        f"{_listed(versions)}; with {_listed(others)}",
        METHOD.format(rounds=plan["rounds"]),
    ]
    title = f"# {results['name']}\n\n"
    if results["quick"]:
        title += "**A quick check on little data: its figures say nothing about speed.**\n\n"
    return title + "\n".join(f"- {fact}." for fact in conditions)


def _speed_table(results: Record, threads: str, k: int, title: str) -> str:
    columns = [best_at(results, threads, k, recall) for recall in RECALLS]
    names = sorted(
        {name for column in columns for name in column},
        key=lambda name: -columns[SHOWN].get(name, (0.0, ""))[0],
    )
    if not names:
        return ""
    lines = []
    for name in names:
        cells = [
            f"{column[name][0]:,.0f}" if name in column else "not reached" for column in columns
        ]
        shown = next(each[name] for each in (columns[SHOWN], *columns) if name in each)
        lines.append([_bold(name), *cells, shown[1]])
    for name in OWN:
        if name in names:
            lines += [
                [f"{name} ÷ best {rivals}", *(_ratio(name, each, left_out) for each in columns), ""]
                for rivals, left_out in (("peer", BARE), ("of all", ()))
            ]
    return f"## {title}\n\n" + table(
        ["", *(f"at recall {recall:.2f}" for recall in RECALLS), "build (at .95)"], lines
    )


def _promise_table(results: Record, name: str, k: int) -> str:
    """What vecsearch, by one of its recipes, promised, what it kept, and how fast the best peer is
    at the recall it achieved.
    """
    lines = []
    for entry in results["entries"]:
        for point in points(entry, "one", UNFILTERED, k) if entry["peer"] == name else ():
            rivals = best_at(results, "one", k, point["recall"])
            rival = _best_rival(rivals, BARE)
            lines.append(
                [
                    _arguments(entry["build"]),
                    f"{point['query']['recall']:g}",
                    f"{point['recall']:.4f} ({point['recall_low']:.4f}–{point['recall_high']:.4f})",
                    f"{point['qps']:,.0f}",
                    f"{point['p50_ms']:.3f} / {point['p95_ms']:.3f} / {point['p99_ms']:.3f}",
                    f"{rival} {rivals[rival][0]:,.0f}" if rival else "none reaches it",
                    f"{point['qps'] / rivals[rival][0]:.2f}×" if rival else "—",
                ]
            )
    header = [
        "built for",
        "asked for",
        "recall (99% interval)",
        "QPS",
        "p50 / p95 / p99 ms",
        "best peer at that recall",
        "ratio",
    ]
    title = f"## The promise of {name}, k={k}, one thread\n\n"
    return title + table(header, lines) if lines else ""


def _filter_table(results: Record, case: str, k: int) -> str:
    """Each library's fastest measured point that keeps the recall, or else the one with its best
    recall.
    """
    lines = []
    for peer in dict.fromkeys(entry["peer"] for entry in results["entries"]):
        measured = [
            (p, e["build"])
            for e in results["entries"]
            if e["peer"] == peer
            for p in points(e, "one", case, k)
        ]
        if not measured:
            continue
        # Those that keep the recall by speed, before those that do not by recall.
        point, build = max(measured, key=lambda each: _keeping(each[0]))
        note = "" if point["recall"] >= FILTERED_RECALL else "below the recall asked for"
        if point["outside_filter"]:
            note = f"{point['outside_filter']} hits outside the filter"
        cells = [
            _bold(peer),
            f"{point['recall']:.4f}",
            f"{point['p50_ms']:.3f}",
            f"{point['p99_ms']:.3f}",
        ]
        cells += [
            f"{point['qps']:,.0f}",
            f"{_arguments(build)}; {_arguments(point['query'])}",
            note,
        ]
        lines.append((_keeping(point), cells))
    lines.sort(key=lambda line: line[0], reverse=True)
    title = (
        f"## Filter: {case}, k={k}, one thread, the fastest point with recall ≥ "
        f"{FILTERED_RECALL}\n\n"
    )
    header = ["", "recall", "p50 ms", "p99 ms", "QPS", "build; search", ""]
    return title + table(header, [cells for _, cells in lines]) if lines else ""


def _keeping(point: Record) -> tuple[bool, float]:
    keeps = point["recall"] >= FILTERED_RECALL
    return keeps, float(point["qps"] if keeps else point["recall"])


def _cost_table(results: Record) -> str:
    lines = []
    for entry in results["entries"]:
        build, cold = entry.get("build_facts"), entry.get("cold_start")
        if not build:
            continue
        cells = [_bold(entry["peer"]), _arguments(entry["build"]), f"{build['seconds']:.1f}"]
        cells += [f"{build[name]:.0f}" for name in ("disk_mb", "index_mb", "peak_mb")]
        if cold:
            after, loaded = cold["memory_after_queries_mb"], cold["memory_loaded_mb"]
            growth, own = (after[kind] - loaded[kind] for kind in ("resident", "anonymous"))
            cells += [
                f"{loaded['resident']:.0f}",
                f"{after['resident']:.0f} ({after['anonymous']:.0f})",
                f"{growth:.0f} ({own:.0f})",
            ]
            cells += [
                f"{build['index_mb'] + growth:.0f} ({build['index_mb'] + own:.0f})",
                f"{cold['open_seconds'] * 1e3:.0f}",
            ]
            cells += [f"{cold['first_query_ms']:.1f}", f"{cold['cold_p99_ms']:.1f}"]
        lines.append(cells)
    header = [
        "",
        "build",
        "build s",
        "disk MB",
        "of it index",
        "peak MB building",
        "MB with library loaded",
    ]
    header += [
        "MB after 1,000 queries",
        "growth MB",
        "index + growth MB",
        "open ms",
        "first query ms",
        "cold p99 ms",
    ]
    return (
        f"## Building, size, memory, cold start\n\n{COSTS}\n\n" + table(header, lines)
        if lines
        else ""
    )


def _left_out(results: Record) -> str:
    failed = [
        (entry["peer"], _arguments(entry["build"]), entry["error"])
        for entry in results["entries"]
        if entry["error"]
    ]
    return "## Left out\n\n" + table(["", "build", "why"], failed) if failed else ""


def _best_rival(column: Mapping[str, tuple[float, str]], exclude: Sequence[str]) -> str | None:
    others = {
        name: qps for name, (qps, _) in column.items() if name not in OWN and name not in exclude
    }
    return max(others, key=lambda name: others[name]) if others else None


def _ratio(name: str, column: Mapping[str, tuple[float, str]], exclude: Sequence[str]) -> str:
    rival = _best_rival(column, exclude)
    if name not in column or rival is None:
        return "—"
    return f"{column[name][0] / column[rival][0]:.2f}× ({rival})"


def _arguments(args: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in args.items()) or "—"


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _bold(name: str) -> str:
    return f"**{name}**" if name in OWN else name


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; short lines are filled up with empty cells."""
    filled = [[*line, *[""] * (len(header) - len(line))] for line in lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |"
        for row in [header, ["---"] * len(header), *filled]
    )
