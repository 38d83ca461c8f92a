"""The tour is the same as a page and as a notebook, in the order it promises, and it runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.doc_blocks import blocks_of, needs

FULL_CALIBRATION = True

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
import tour_pictures  # noqa: E402

PAGE = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
NOTEBOOK: dict[str, Any] = json.loads(
    (ROOT / "examples" / "tour.ipynb").read_text(encoding="utf-8")
)
STATIONS = [
    "One-hot",
    "word2vec",
    "GloVe",
    "fastText",
    "Doc2Vec",
    "BERT",
    "item2vec",
    "DeepWalk",
    "node2vec",
    "graph2vec",
    "TransE",
    "CNN",
    "RNN",
    "CLIP",
    "Vector arithmetic",
    "Fewer dimensions",
    "Wide & Deep",
    "DeepFM",
    "FNN",
    "The first layer of a language model",
]


def test_the_tour_has_its_stations_in_order() -> None:
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == STATIONS


@pytest.mark.parametrize("station", STATIONS)
def test_a_station_shows_code_and_a_name(station: str) -> None:
    part = PAGE.partition(f"\n## {station}\n")[2].partition("\n## ")[0]
    assert [block for block in blocks_of(part) if block.language == "python"], station


def test_the_notebook_is_the_page() -> None:
    made = tour_pictures.notebook_text(PAGE)
    assert json.loads(made) == NOTEBOOK, "run: python docs/tour_pictures.py --notebook"


def test_the_notebook_is_one_that_jupyter_reads() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(names)) == len(names)
    for cell in NOTEBOOK["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        assert all(isinstance(line, str) for line in cell["source"])
        assert ("outputs" in cell) == (cell["cell_type"] == "code")


def test_links_and_pictures_of_the_notebook_exist() -> None:
    prose = "".join(
        "".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "markdown"
    )
    targets = re.findall(r"\]\(([^)#]+)", prose)
    assert targets
    for target in targets:
        assert (ROOT / "examples" / target).exists(), target


@pytest.mark.parametrize("name", tour_pictures.DRAWN)
def test_a_picture_is_on_the_page_and_loads_nothing(name: str) -> None:
    assert f"pictures/tour-{name}.svg" in PAGE
    picture = ROOT / "docs" / "pictures" / f"tour-{name}.svg"
    root = ElementTree.parse(picture).getroot()
    assert root.tag.endswith("svg")
    assert "href" not in picture.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    """With nbclient if it is there, or else its cells one after the other."""
    for module in needs(PAGE):
        if find_spec(module) is None:
            pytest.skip(f"the tour needs {module}: pip install '.[dev]'")
    if find_spec("nbclient") and find_spec("nbformat") and find_spec("ipykernel"):
        import nbclient
        import nbformat

        nbclient.NotebookClient(nbformat.from_dict(NOTEBOOK), timeout=600).execute()
        return
    before, names = Path.cwd(), {"__name__": "tour"}
    try:
        for cell in NOTEBOOK["cells"]:
            if cell["cell_type"] == "code":
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
                shown = "".join(line for part in cell["outputs"] for line in part["text"])
                assert bool(printed.getvalue()) == bool(shown), cell["id"]
    finally:
        os.chdir(before)
