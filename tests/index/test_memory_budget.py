"""`memory=` holds for every recipe: an index that fits, or an error that names the size."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.data import clustered

import vecsearch as vs
from vecsearch.index.faiss.size import factory_bytes
from vecsearch.index.recipe import load_recipe, shipped_recipes
from vecsearch.storage import log

ROWS, DIM = 600, 32
FACTORIES = ["HNSW8,Flat", "IVF4,SQ8", "PCA16,Flat", "SQ8", "IVF4,Flat,RFlat"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    roots = {}
    for metric in ("cosine", "ip", "l2"):
        roots[metric] = tmp_path_factory.mktemp(metric) / "c.vs"
        with vs.create(roots[metric], dim=DIM, metric=metric) as c:
            c.add(clustered(ROWS, DIM))
    return roots


def opened(root: Path) -> vs.Collection:
    return vs.open(root, limits=vs.Limits(smallest_index_rows=100))


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("recipe", [*shipped_recipes(), *FACTORIES])
def test_an_index_fits_or_its_size_is_named(
    recipe: str, metric: str, root: dict[str, Path]
) -> None:
    with opened(root[metric]) as c:
        before = c.info().version
        if recipe in ("exact", "auto"):
            pytest.skip("no index of its own")
        built_of: str | vs.IndexRecipe = recipe
        if recipe == "fastest":  # whose own number of components is for more dimensions
            built_of = replace(load_recipe(recipe), reduced=DIM)
            if metric == "ip":
                pytest.skip("not for inner products")
        with pytest.raises(vs.RecipeError, match="needs about") as caught:
            c.build_index(built_of, memory=1000)
        assert c.info().version == before  # nothing was built
        found = re.search(r"needs about ([0-9,]+) bytes, more than the 1,000", str(caught.value))
        assert found is not None
        needed = int(found[1].replace(",", ""))
        allowed = 2 * needed
        try:
            built = c.build_index(built_of, memory=allowed)
        except vs.RecipeError as error:  # many lists of few rows: known when they are filled
            assert recipe == "large-scale" and c.info().version == before
            size = re.search(r"takes ([0-9,]+) bytes", str(error))
            assert size is not None
            allowed = int(size[1].replace(",", ""))
            built = c.build_index(built_of, memory=allowed)
        (ref,) = log.load(root[metric]).indexes[0].files
        assert built.memory_bytes <= allowed
        assert ref.bytes <= allowed + 20_000 or recipe == "on-disk"
        # The estimate is near what the file takes: not a guess that refuses what would fit.
        assert needed <= 1.3 * ref.bytes, (needed, ref.bytes)


@pytest.mark.parametrize("recipe", ["PQ4x7", "IVF4,PQ4x7", "IVF4,Flat,RFlat", "PCA16,SQ8", "RQ3x6"])
def test_codebooks_and_second_codes_are_counted(recipe: str, root: dict[str, Path]) -> None:
    """What an index takes in memory is nearly what its file takes, codes or not."""
    with opened(root["l2"]) as c:
        built = c.build_index(recipe)
        (ref,) = log.load(root["l2"]).indexes[0].files
        assert ref.bytes - 6000 <= built.memory_bytes <= ref.bytes
        size = factory_bytes(recipe, built.rows, DIM)
        assert 0.8 * ref.bytes - 6000 <= size <= ref.bytes
        with pytest.raises(vs.RecipeError, match="needs about"):
            c.build_index(recipe, memory=size - 1)
        with pytest.raises(vs.InvalidInputError, match="memory is -1"):
            c.build_index(recipe, memory=-1)


def test_a_size_that_was_guessed_too_low_is_noticed_before_the_commit(
    root: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecsearch.index.build.needed_bytes", lambda *_: 0)
    with opened(root["l2"]) as c:
        before = c.info().version
        with pytest.raises(vs.RecipeError, match=r"takes [0-9,]+ bytes, more than the 1,000"):
            c.build_index("HNSW8,Flat", memory=1000)
        assert c.info().version == before


def test_what_cannot_be_read_again_is_not_published(
    root: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecsearch.index.faiss import FaissIndex

    right = FaissIndex.write

    def faulty(index: FaissIndex, path: Path) -> None:
        right(index, path)
        content = path.read_bytes()
        path.write_bytes(content[:-16] + b"\0" * 16)

    monkeypatch.setattr(FaissIndex, "write", faulty)
    with opened(root["cosine"]) as c:
        before = c.info().version
        with pytest.raises(vs.CorruptedError):
            c.build_index("HNSW8,SQ8")
        assert c.info().version == before and c.check() == []
