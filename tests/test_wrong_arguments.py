"""Every public call with wrong values of every argument: it works, or it is a VecsearchError.

Methods and functions are found by looking, so that new ones and new arguments are tried as well.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.common.gate import LIBRARIES, OTHER_NAMES
from vecsearch.embedders import resolve_embedder
from vecsearch.training.distill import distill
from vecsearch.training.doc2vec import train_doc2vec
from vecsearch.training.fasttext import train_fasttext
from vecsearch.training.finetune import tune
from vecsearch.training.item2vec import train_item2vec
from vecsearch.training.node2vec import train_node2vec
from vecsearch.training.table import fit_table
from vecsearch.training.word2vec import train_word2vec

LONGEST_MESSAGE = 600

ROWS = [
    {"id": "a", "text": "plants make food from light", "year": 1999},
    {"id": "b", "text": "cats chase mice at night", "year": 2005},
    {"id": "c", "text": "a large ship at sea", "year": None},
]
WRONG = {
    "None": None,
    "3": 3,
    "-1": -1,
    "0": 0,
    "2.5": 2.5,
    "nan": float("nan"),
    "infinity": float("inf"),
    "True": True,
    "huge": 10**400,
    "2**64": 2**64,
    "empty text": "",
    "text": "x",
    "NUL": "a\0b",
    "surrogate": "\ud800",
    "long text": "x" * 20_000,
    "bytes": b"x",
    "object": object(),
    "class": int,
    "function": lambda *args: None,
    "list": [],
    "list of None": [None],
    "list of lists": [[1], ["a"]],
    "list of surrogates": ["\ud800"],
    "list of huge": [10**400],
    "long list": list(range(20_000)),
    "dict": {},
    "dict of None": {None: None},
    "dict of surrogates": {"\ud800": "\ud800"},
    "dict of objects": {"year": object()},
    "set": {1, "a"},
    "tuple": (1, "a"),
    "generator": (number for number in range(0)),
    "empty array": np.array([]),
    "array of texts": np.array(["a"]),
    "array of objects": np.array([object()]),
    "array without axes": np.array(5),
    "array of 3 axes": np.zeros((2, 2, 2)),
    "frame": pd.DataFrame({"a": [1]}),
    "series": pd.Series([1.0, None]),
    "table": pa.table({"a": [1]}),
    "column": pa.array([1, None]),
    "type": pa.int8(),
    "np.nan": np.float32("nan"),
    "np.int8": np.int8(-5),
}
# Arguments that a call needs, right ones.
GIVEN: dict[str, dict[str, Any]] = {
    "add": {"data": [{"id": "n", "text": "new"}]},
    "add_column": {"name": "new", "kind": "int64"},
    "alter_column": {"name": "year", "kind": "double"},
    "analogy": {"positive": ["a", "b"], "negative": ["c"]},
    "backup": {"target": "copy.vs"},
    "bench": {"recipes": ["exact"]},
    "delete": {"ids": ["a"]},
    "drop_column": {"name": "year"},
    "evaluate": {"queries": {"q": "plants"}, "qrels": {"q": {"a": 1}}},
    "export": {"target": "out.parquet"},
    "features": {"ids": ["a"]},
    "get": {"ids": ["a"]},
    "reduce": {"path": "small.vs", "dim": 2},
    "reembed": {"embedder": "toy:16"},
    "rollback": {"version": 2},
    "sample_queries": {"count": 0},
    "search": {"query": "plants"},
    "search_batch": {"queries": ["plants"]},
    "search_range": {"query": "plants", "min_score": 0.5},
    "update": {"where": "id = 'a'", "values": {"year": 3}},
    "vector": {"id": "a"},
}


def public_methods(cls: type) -> list[str]:
    return [
        name
        for name, member in vars(cls).items()
        if not name.startswith("_") and inspect.isfunction(inspect.unwrap(member))
    ]


def arguments(function: Callable[..., object]) -> list[str]:
    return [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and parameter.name != "self"
    ]


def raised(call: Callable[[], object]) -> str | None:
    """The message of a call's error, if it has one; it must be one that the user is to see."""
    try:
        result = call()
        if isinstance(result, Iterator):
            list(result)
    except vs.InternalError as error:
        return f"internal: {error!r} of {error.__cause__!r}"
    except vs.VecsearchError as error:
        text, at_terminal = str(error), error.for_terminal()
        if max(len(text), len(at_terminal)) > LONGEST_MESSAGE:
            return f"too long: {text}"
        return None if text else f"no message: {error!r}"
    except Exception as error:
        return f"raw: {error!r}"
    return None


class Tried:
    """A small collection that is made anew after each change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template.vs"
        with vs.create(self.template, embedder="toy:8", lock_timeout=5) as made:
            made.add(ROWS, progress=False)
        self.number = 0
        self.renew()

    def renew(self) -> None:
        self.number += 1
        self.root = self.folder / f"{self.number}.vs"
        shutil.copytree(self.template, self.root)
        self.collection = vs.open(self.root)
        self.version = self.collection.info().version

    def call(self, name: str, given: dict[str, Any]) -> str | None:
        """What is wrong with the outcome of a call; None if nothing is."""
        failed = None
        done = False

        def run() -> object:
            nonlocal done
            result = getattr(self.collection, name)(**given)
            if isinstance(result, Iterator):
                result = list(result)
            done = True
            return result

        failed = raised(run)
        try:
            now = self.collection.refresh().info().version
        except vs.CollectionClosedError:
            now = None
        if failed is None and not done and now != self.version:
            failed = "an error, but the collection was changed"
        if now != self.version:
            self.collection.close()
            shutil.rmtree(self.root)
            self.renew()
        return failed
