"""The plot of a run: recall against queries a second, for every library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import curves
from benchmarks.cases import UNFILTERED

OURS, FASTEST = "vecsearch", "vecsearch-fastest"
OWN = (OURS, FASTEST)
"""Both are vecsearch, by two recipes: neither is a peer of the other."""

OUR_COLOUR = "#d62728"
COLOURS = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#17becf",
    "#bcbd22",
    "#7f7f7f",
    "#3b5998",
)
MARKERS = "osD^v<>pPXh"
TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
RIGHT_EDGE = 0.0005


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Writes the plot as a PNG: one thread, one panel a k; up and to the right is better."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ks = results["plan"]["ks"]
    peers = list(dict.fromkeys(entry["peer"] for entry in results["entries"] if entry["points"]))
    figure, panels = plt.subplots(
        1, len(ks), figsize=(7.2 * len(ks) + 1.5, 6.2), squeeze=False, layout="constrained"
    )
    for panel, k in zip(panels[0], ks, strict=True):
        for number, peer in enumerate(peers):
            curve = curves.frontier(_points(results, peer, k))
            panel.plot(
                [_place(recall) for recall, _ in curve],
                [qps for _, qps in curve],
                label=peer,
                **_style(peer, number),
            )
        panel.set_xticks([_place(tick) for tick in TICKS], [f"{tick:g}" for tick in TICKS])
        panel.set_xlim(_place(0.75), _place(1.0) + 0.05)
        panel.set_yscale("log")
        panel.set_xlabel(f"recall@{k}")
        panel.set_ylabel("queries a second")
        panel.set_title(f"k={k}, one thread, one query a call")
        panel.grid(visible=True, which="both", alpha=0.25)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    data, machine = results["data"], results["hardware"]
    title = (
        f"{data['name']}: {data['rows']:,} × {data['dim']}, {data['metric']} — "
        f"{machine['cpu']}, {results['date']}"
    )
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _points(results: Mapping[str, Any], peer: str, k: int) -> list[curves.Point]:
    """All points of a library's indexes, one thread, no filter."""
    return [
        (point["recall"], point["qps"])
        for entry in results["entries"]
        if entry["peer"] == peer
        for point in entry["points"]
        if (point["threads"], point["case"], point["k"]) == ("one", UNFILTERED, k)
    ]


def _place(recall: float) -> float:
    """Where a recall stands on the axis: by the log of what is missed, so that .95, .99 and .999 do
    not fall on one spot.
    """
    return -math.log10(max(1.0 - recall, RIGHT_EDGE))


def _style(peer: str, number: int) -> dict[str, Any]:
    if peer in OWN:
        ours = {"color": OUR_COLOUR, "marker": "*", "linewidth": 3.0, "markersize": 13, "zorder": 5}
        return ours if peer == OURS else ours | {"linestyle": ":", "markersize": 9, "zorder": 4}
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": "--" if number >= len(COLOURS) else "-",
        "linewidth": 1.3,
        "markersize": 5,
    }
