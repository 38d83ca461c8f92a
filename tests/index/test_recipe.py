"""Recipes: TOML and mappings, errors that help, and the rules of the automatic choice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecsearch.errors import RecipeError
from vecsearch.index.auto import EXACT_BELOW, GRAPH_UP_TO, auto_recipe, estimated_bytes
from vecsearch.index.recipe import (
    IndexRecipe,
    load_recipe,
    nlist_rule,
    parse_recipe,
    recipe_from_mapping,
    shipped_recipes,
)

GRAPH = 'name = "g"\nkind = "hnsw"\ncode = "sq8"\nM = 16\nef_construction = 100\n'

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(1, 250)
recipes = st.one_of(
    st.builds(IndexRecipe, texts.filter(bool), st.just("exact"), texts),
    st.builds(
        IndexRecipe,
        texts.filter(bool),
        st.just("hnsw"),
        texts,
        st.none() | numbers,
        st.sampled_from(["float32", "fp16", "sq8"]),
        st.integers(2, 256),
        numbers,
        seed=st.integers(0, 2**31 - 1),
    ),
    st.builds(
        IndexRecipe,
        texts.filter(bool),
        st.just("ivf"),
        texts,
        st.none() | numbers,
        st.sampled_from(["pq4", "rabitq"]),
        nlist=st.none() | numbers,
    ),
    st.builds(IndexRecipe, texts.filter(bool), st.just("factory"), factory=texts.filter(bool)),
)


@given(recipes)
def test_a_recipe_survives_toml_and_a_mapping(recipe: IndexRecipe) -> None:
    assert parse_recipe(recipe.to_toml()) == recipe
    plain = {key: value for key, value in dataclasses.asdict(recipe).items() if value is not None}
    assert recipe_from_mapping(plain) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GRAPH + "ef_constuction = 3",
            "unknown key 'ef_constuction'; did you mean 'ef_construction'",
        ),
        (GRAPH + "zzz = 3", "unknown key 'zzz'; known are: name, kind"),
        (GRAPH.replace('kind = "hnsw"\n', ""), "the key 'kind' is missing"),
        (GRAPH.replace('"hnsw"', '"hsnw"'), "unknown kind 'hsnw'.*did you mean 'hnsw'"),
        (GRAPH.replace("M = 16\n", ""), "kind 'hnsw' needs 'M', an integer from 2 to 256"),
        (GRAPH.replace("16", '"16"'), "'M' is '16'; it must be an integer from 2 to 256"),
        (GRAPH.replace("16", "true"), "'M' is True; it must be an integer from 2 to 256"),
        (GRAPH.replace("16", "1"), "'M' is 1; it must be an integer from 2 to 256"),
        (
            GRAPH.replace("sq8", "sq9"),
            "'code' is 'sq9'; it must be one of 'float32', 'fp16', 'sq8'",
        ),
        (GRAPH + "nlist = 5", "'nlist' does not apply to kind 'hnsw'"),
        (GRAPH + "reduced = -1", "'reduced' is -1"),
        (GRAPH + "seed = -1", "'seed' is -1"),
        (GRAPH.replace('"g"', '""'), "'name' is ''; it must be a text that is not empty"),
        ('name = "f"\nkind = "factory"', "needs 'factory'"),
        (GRAPH + "description = 3", "'description' is 3; it must be a text"),
        (GRAPH + "rescore = true", "the key 'rescore' no longer exists: remove it"),
        ("name = ", "not valid TOML"),
    ],
)
def test_errors_name_the_file_and_what_to_do(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path)
    assert "mine.toml" in str(caught.value)


def test_a_recipe_is_loaded_by_path_name_or_factory_string(tmp_path: Path) -> None:
    path = tmp_path / "图.toml"
    path.write_text(GRAPH + 'description = "图索引"\n', encoding="utf-8")
    assert load_recipe(str(path)) == load_recipe(path)
    assert load_recipe(path).description == "图索引"
    assert load_recipe("low-latency").kind == "hnsw"
    for factory in (
        "Flat",
        "IVF64,PQ16x4fs",
        "HNSW16_SQ8",
        "PCA32,HNSW16_SQ8",
        "OPQ16_64,IVF1024(IVF32,Flat),PQ16",
        "IVF8,Flat,RFlat",
    ):
        assert load_recipe(factory) == IndexRecipe(name=factory, kind="factory", factory=factory)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("low-latancy", "did you mean 'low-latency'"),
        (
            "hnsw please",
            "not a shipped recipe.*: exact, fast-build, fastest, large-scale, low-latency, low-m",
        ),
        ("nowhere.toml", "cannot read the index recipe"),
    ],
)
def test_an_unknown_recipe_names_the_shipped_ones(source: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(source)


def test_the_shipped_recipes_are_described_and_named_as_their_files() -> None:
    shipped = shipped_recipes()
    names = ["exact", "fast-build", "fastest", "large-scale", "low-latency"]
    names += ["low-memory", "on-disk"]
    assert list(shipped) == names
    for name, path in shipped.items():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.description
        assert path.read_text(encoding="utf-8").startswith("# ")


def test_an_installed_package_has_its_recipes_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "vecsearch"
    (package / "_indexes").mkdir(parents=True)
    (package / "_indexes" / "mine.toml").write_text(GRAPH, encoding="utf-8")
    monkeypatch.setattr("vecsearch.index.recipe.__file__", str(package / "index" / "recipe.py"))
    assert list(shipped_recipes()) == ["mine"]
    assert load_recipe("mine").M == 16


def test_auto_follows_size_recall_and_memory() -> None:
    assert auto_recipe(0, 384, "cosine").kind == "exact"
    assert auto_recipe(EXACT_BELOW - 1, 384, "cosine").kind == "exact"
    assert auto_recipe(10**6, 384, "cosine", recall=1).kind == "exact"
    middle = auto_recipe(100_000, 384, "cosine")
    assert (middle.kind, middle.code, middle.reduced) == ("hnsw", "sq8", 192)
    high = auto_recipe(100_000, 384, "ip", recall=0.99)
    assert (high.M or 0) > (middle.M or 0)
    assert middle.ef_construction == 200
    assert auto_recipe(99_999, 384, "cosine").ef_construction == 128
    assert auto_recipe(100_000, 96, "l2").reduced is None
    assert auto_recipe(100_000, 1536, "l2").reduced == 384
    assert auto_recipe(100_000, 768, "l2", reduced=160).reduced == 160
    assert auto_recipe(GRAPH_UP_TO + 1, 384, "cosine").kind == "ivf"


def test_auto_keeps_to_the_memory_budget() -> None:
    n, dim = 1_000_000, 384
    budgets = [500_000_000, 380_000_000, 100_000_000, 45_000_000, 38_000_000]
    chosen = [auto_recipe(n, dim, "cosine", budget) for budget in budgets]
    for budget, recipe in zip(budgets, chosen, strict=True):
        assert estimated_bytes(recipe, n, dim) <= budget
    assert [(recipe.code, recipe.reduced) for recipe in chosen] == [
        ("sq8", 192),
        ("sq8", 192),
        ("pq4", 192),
        ("pq4", 128),
        ("rabitq", 128),
    ]
    assert (chosen[1].M or 0) < (chosen[0].M or 0)
    assert auto_recipe(n, dim, "cosine", 4_000_000).kind == "disk"
    with pytest.raises(RecipeError, match="fits in 1,000,000 bytes; the smallest needs about"):
        auto_recipe(n, dim, "cosine", 1_000_000)


@pytest.mark.parametrize(
    ("n", "dim", "metric", "recall"),
    [(-1, 8, "l2", 0.9), (5, 0, "l2", 0.9), (5, 8, "xy", 0.9), (5, 8, "l2", 1.1)],
)
def test_auto_refuses_arguments_out_of_range(n: int, dim: int, metric: str, recall: float) -> None:
    with pytest.raises(RecipeError):
        auto_recipe(n, dim, metric, recall=recall)


def test_the_number_of_centroids_is_four_roots_of_the_rows_or_what_the_sample_allows() -> None:
    assert nlist_rule(1_000_000) == 4000
    assert nlist_rule(1_000_000, sample=39_000) == 1000
    assert nlist_rule(10) == 1
