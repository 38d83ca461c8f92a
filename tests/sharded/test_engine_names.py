"""Engines of processes, and the commands for shards. Ray is tested by integrations/run_ray.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app
from vecsearch.distributed.engines import ProcessEngine, engine_named


def die_once(task: tuple[int, str]) -> int:
    number, folder = task
    mark = Path(folder) / str(number)
    if number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        raise vs.RecipeError("task 3 is wrong", hint="mend it")
    return number * 10


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    done: list[int] = []
    tasks = [(n, str(tmp_path)) for n in range(3)]
    assert ProcessEngine(2).map(die_once, tasks, done.append) == done == [0, 10, 20]
    assert (tmp_path / "1").exists()


def test_an_error_of_a_task_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(vs.RecipeError, match="task 3 is wrong; mend it"):
        ProcessEngine(1).map(die_once, [(3, str(tmp_path))])


def test_engines_have_names() -> None:
    assert engine_named(None) is engine_named("local") is None
    assert isinstance(engine_named("processes"), ProcessEngine)
    for wrong in ("rays", 3, [], str):
        with pytest.raises(vs.InvalidInputError, match=r"engine is .*local, processes, ray"):
            engine_named(wrong)


def test_a_missing_ray_is_named(root: Path) -> None:
    with vs.create(root, embedder="toy:8") as c, pytest.raises(vs.MissingExtraError, match="ray"):
        c.add([{"id": 1, "text": "x"}], engine="ray", progress=False)


def test_the_commands(tmp_path: Path) -> None:
    data, folder = tmp_path / "d.jsonl", tmp_path / "c.vs"
    data.write_text("".join(f'{{"id": {n}, "text": "text {n}"}}\n' for n in range(20)))

    def run(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        return f"{result.exit_code} {result.output}"

    made = run("ingest", data, folder, "--embedder", "toy:8", "--shards", 4)
    assert made.startswith("0 "), made
    assert "of 4 shards" in run("info", folder)
    more = tmp_path / "more.csv"
    more.write_text("id,text\n20,text 20\n")
    assert "1 document added" in run("ingest", more, folder, "--engine", "processes")
    built = run("build", folder, "--recipe", "low-latency", "--engine", "processes")
    assert built.startswith("0 "), built
    again = run("reembed", folder, "toy:16", "--engine", "processes")
    assert again.startswith("0 ") and "21 documents embedded" in again
    assert run("build", folder, "--engine", "rays").startswith("2 ")
    assert "4 shards → 2" in run("reshard", folder, 2)
    refused = run("ingest", data, folder, "--shards", 3)
    assert not refused.startswith("0 ") and "reshard" in refused
    assert run("check", folder).startswith("0 ")
