"""The pictures of docs/tour.md and its notebook, made from the page itself.

`python docs/tour_pictures.py` runs the page's code, draws docs/pictures/tour-*.svg from what it
made, and writes examples/tour.ipynb: the same text, code and outputs as a notebook.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PAGE, NOTEBOOK = ROOT / "docs" / "tour.md", ROOT / "examples" / "tour.ipynb"
PICTURES = ROOT / "docs" / "pictures"
COLORS = ("#1f5fa8", "#c0392b", "#1e8449", "#8e44ad", "#b9770e", "#117a8b", "#5d6d7e", "#7b241c")
COLORS += ("#2e4053", "#d35400")
WIDTH, HEIGHT, EDGE = 520, 320, 34


def plane(vectors: np.ndarray) -> np.ndarray:
    """The first two principal components."""
    centered = vectors - vectors.mean(axis=0)
    _, _, parts = np.linalg.svd(centered, full_matrices=False)
    parts = parts[:2] * np.sign(parts[:2].sum(axis=1, keepdims=True))
    return np.asarray(centered @ parts.T)


def scatter(
    points: np.ndarray,
    groups: Sequence[int],
    labels: Sequence[str],
    lines: Sequence[tuple[int, int]] = (),
    arrows: bool = False,
) -> str:
    """Points in colors by group, with their labels, as SVG."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.maximum(high - low, 1e-9)
    x = EDGE + scaled[:, 0] * (WIDTH - 2 * EDGE - 30)
    y = HEIGHT - EDGE - scaled[:, 1] * (HEIGHT - 2 * EDGE)
    end = ' marker-end="url(#tip)"' if arrows else ""
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#999"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    out += [
        f'<line x1="{x[a]:.1f}" y1="{y[a]:.1f}" x2="{x[b]:.1f}" y2="{y[b]:.1f}" stroke="#bbb" '
        f'stroke-width="1"{end}/>'
        for a, b in lines
    ]
    for n, label in enumerate(labels):
        color = COLORS[groups[n] % len(COLORS)]
        out.append(f'<circle cx="{x[n]:.1f}" cy="{y[n]:.1f}" r="3" fill="{color}"/>')
        if label:
            out.append(
                f'<text x="{x[n] + 5:.1f}" y="{y[n] + 4:.1f}" fill="{color}">{escape(label)}</text>'
            )
    return "\n".join([*out, "</svg>", ""])


def words(names: dict[str, Any]) -> str:
    """Neighbors of four words of the news."""
    model, shown, groups = names["words"], [], []
    for group, word in enumerate(("police", "fire", "cricket", "palestinian")):
        near = [word, *(key for key, _ in model.most_similar(word, 7))]
        fresh = [key for key in near if key not in shown]
        shown, groups = shown + fresh, groups + [group] * len(fresh)
    return scatter(plane(model.unit[[model.row[key] for key in shown]]), groups, shown)


def films(names: dict[str, Any]) -> str:
    """Films by kind."""
    model = names["films"]
    keys = sorted(model.keys, key=int)
    points = plane(model.unit[[model.row[key] for key in keys]])
    return scatter(points, [int(key) // 10 for key in keys], keys)


def club(names: dict[str, Any]) -> str:
    """The members of the club, with their friendships."""
    model, half = names["members"], names["half"]
    row = {key: n for n, key in enumerate(model.keys)}
    lines = [(row[str(a)], row[str(b)]) for a, b in names["club"].edges]
    groups = [int(half[key] == "Officer") for key in model.keys]
    unit = model.vectors / np.linalg.norm(model.vectors, axis=1, keepdims=True)
    return scatter(plane(unit), groups, model.keys, lines)


def states(names: dict[str, Any]) -> str:
    """Digits by the last state of the network that read them."""
    digits = names["digits"].target[1200:1500].tolist()
    return scatter(plane(names["states"][1200:1500]), digits, [str(digit) for digit in digits])


DRAWN = {"word2vec": words, "item2vec": films, "deepwalk": club, "rnn": states}


def names_of_page(text: str) -> dict[str, Any]:
    """Run the code of the page in an empty folder; all names that it made."""
    from support.doc_blocks import blocks_of

    names: dict[str, Any] = {"__name__": "tour"}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for block in blocks_of(text):
                if block.language == "python" and block.is_run:
                    exec(compile(block.body, "tour.md", "exec"), names)
        finally:
            os.chdir(before)
    return names


def notebook(text: str) -> dict[str, Any]:
    """The page as a notebook, which runs in a folder of its own."""
    from support.doc_blocks import blocks_of

    cells: list[dict[str, Any]] = []

    def add(kind: str, source: str, **more: Any) -> None:
        lines = source.strip("\n").splitlines(keepends=True)
        if lines:
            name = f"cell-{len(cells):02}"
            cells.append({"cell_type": kind, "id": name, "metadata": {}, "source": lines, **more})

    def prose(part: str) -> None:
        part = re.sub(r"<!--.*?-->\n?", "", part, flags=re.DOTALL)
        part = re.sub(r"\]\((?!https?:|#|\.\./)", "](../docs/", part)
        add("markdown", re.sub(r"\]\(\.\./examples/", "](", part))

    at, blocks = 0, blocks_of(text)
    for number, block in enumerate(blocks):
        opening = text.rindex("```", 0, block.start)
        if block.language == "python" and block.is_run:
            prose(text[at:opening])
            shown = blocks[number + 1] if number + 1 < len(blocks) else None
            outputs = []
            if shown is not None and shown.language == "text" and shown.follows_code:
                printed = shown.body.splitlines(keepends=True)
                outputs = [{"name": "stdout", "output_type": "stream", "text": printed}]
            if not any(cell["cell_type"] == "code" for cell in cells):
                start = "import os\nimport tempfile\n\nos.chdir(tempfile.mkdtemp())"
                add("code", start, execution_count=None, outputs=[])
            add("code", block.body, execution_count=None, outputs=outputs)
        elif block.language == "text" and block.follows_code:
            prose(text[at:opening])
        else:
            continue
        at = block.end + 4
    prose(text[at:])
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def notebook_text(text: str) -> str:
    """The file of the notebook."""
    return json.dumps(notebook(text), ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    NOTEBOOK.write_text(notebook_text(text), encoding="utf-8")
    if "--notebook" not in sys.argv:
        names = names_of_page(text)
        for name, draw in DRAWN.items():
            (PICTURES / f"tour-{name}.svg").write_text(draw(names), encoding="utf-8")


if __name__ == "__main__":
    main()
