"""What the tests share."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from hypothesis import settings

import vecsearch as vs

# The normal suite draws the same examples in each run; VECSEARCH_SOAK=1 draws others each time.
settings.register_profile("normal", derandomize=True, deadline=None)
settings.register_profile("soak", derandomize=False, deadline=None, print_blob=True)
CALIBRATE, UNLIKE = "vecsearch.index.calibrate", "vecsearch.index.unlike"
INDEX = "vecsearch.index.faiss.index"
SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
settings.load_profile("soak" if SOAK else "normal")

DATA = Path(os.environ.get("VECSEARCH_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Of the million objects that come with the tests none is garbage: look for none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="module")
def what_earlier_modules_loaded_is_not_looked_through() -> None:
    """The garbage collector passes over all that is there before a module's tests: the libraries
    alone are so many objects that each full collection would take a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, which is not part of the project."""
    if not DATA.is_dir():
        pytest.skip("the shared data sets are not here (set VECSEARCH_DATA to their folder)")
    return DATA


@pytest.fixture(autouse=True, scope="session")
def no_compiled_search_from_the_middle_of_a_test_on() -> None:
    """Compiled searches break ties otherwise than FAISS. They begin once a process has searched for
    long, so a test that compares two searches would depend on the tests before it. Tests of the
    compiled search load it themselves."""
    from vecsearch.index.kernels import loader

    loader.AFTER_QUERIES = loader.MUCH_WORK = sys.maxsize


@pytest.fixture(autouse=True, scope="session")
def commands_are_made_once() -> Iterator[None]:
    """Typer would make all commands again, an eighth of a second, for each call of the runner."""
    with pytest.MonkeyPatch.context() as patch:
        made = functools.cache(typer.main.get_command)
        patch.setattr("typer.testing._get_command", made, raising=False)
        yield


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "c.vs"


@pytest.fixture
def texts(root: Path) -> Iterator[vs.Collection]:
    """A small collection of texts in two languages."""
    with vs.create(root, embedder="toy:64") as collection:
        collection.add(
            [
                {"id": 1, "text": "plants make food from light", "lang": "en", "year": 1999},
                {"id": 2, "text": "植物利用光合作用制造养分", "lang": "zh", "year": 2005},
                {"id": 3, "text": "cats chase mice at night", "lang": "en", "year": 2010},
                {"id": 4, "text": "猫在夜里抓老鼠", "lang": "zh", "year": None},
            ]
        )
        yield collection


@pytest.fixture
def small_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make scoring rows look dear to the planner, so that small data takes the index as large data
    would.
    """
    from vecsearch.index import measurer

    original = measurer.row_micros
    monkeypatch.setattr(measurer, "row_micros", lambda dim: 50 * original(dim))


@pytest.fixture(autouse=True, scope="module")
def quick_calibration(request: pytest.FixtureRequest) -> Iterator[None]:
    """Measure new indexes for a few k, recalls and efforts with fewer made queries, in less time;
    a search for another k uses the next larger one. Modules about calibration say
    `FULL_CALIBRATION = True`, and those that search an index for more than 100 rows, or through
    filters that leave few, `WIDE_CALIBRATION = True`.
    """
    widest = (1250,) if getattr(request.module, "WIDE_CALIBRATION", False) else ()
    with pytest.MonkeyPatch.context() as patch:
        if not SOAK and not getattr(request.module, "FULL_CALIBRATION", False):
            patch.setattr(f"{CALIBRATE}.KS", (1, 10, 50, 100, *widest))
            patch.setattr(f"{CALIBRATE}.AIMS", (0.8, 0.9, 0.95, 0.99))
            patch.setattr(f"{INDEX}.EFFORTS", tuple(8 * 2**n for n in range(10)))
            patch.setattr(f"{UNLIKE}.MOST", 200)
        yield
