"""Fine-tuning of a tiny random BERT: loss against sentence-transformers, split, best epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sentence_transformers import make_model
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli import app
from vecsearch.embedders import resolve_embedder
from vecsearch.evaluation.metrics import ndcg_at_k
from vecsearch.storage import folders
from vecsearch.training import contrastive, finetune
from vecsearch.training.contrastive import ranking_loss
from vecsearch.training.distill import distill
from vecsearch.training.finetune import Settings
from vecsearch.training.pairs import read_pairs, split_queries

WORDS = [
    "parse",
    "date",
    "string",
    "open",
    "socket",
    "plant",
    "make",
    "food",
    "the",
    "a",
    "query",
    "passage",
    "日",
    "期",
    "网",
]
QUICK = Settings(epochs=3, batch_size=8, learning_rate=5e-3, held_out=0.3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def pairs() -> list[dict[str, Any]]:
    """Queries of two words, answered by the first word's opposite in the list, with noise."""
    rows = []
    for first in range(len(WORDS)):
        for second in range(0, len(WORDS), 2):
            if first != second:
                answer = WORDS[(first + 7) % len(WORDS)]
                rows.append(
                    {"query": f"{WORDS[first]} {WORDS[second]}", "document": f"{answer} {answer}"}
                )
    return rows


# -- pairs -----------------------------------------------------------------------------------------
# ----------------------


def test_pairs_clicks_and_negatives() -> None:
    data = read_pairs(
        [
            {"query": "q", "document": "good", "score": 2},
            {"query": "q", "document": "shown", "score": 0},
            {"query": "q", "document": "good", "score": 1},
            {"query": "猫", "document": "猫在睡觉", "negative": ["狗", "good"]},
            {"query": "猫", "document": "shown", "clicks": 3, "negative": None},
            {"query": "r", "document": "good", "clicked": False, "negative": ""},
        ]
    )
    assert data.relevant == {"q": {"good": 2.0}, "猫": {"猫在睡觉": 1.0, "shown": 3.0}}
    assert data.negatives == {"q": ("shown",), "猫": ("狗", "good"), "r": ("good",)}
    assert data.documents == ("good", "shown", "猫在睡觉", "狗")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"query": "a", "document": "b"}, {"query": "a", "text": "b"}],
            "the pairs, row 2: there is no column 'document'",
        ),
        ([{"query": " ", "document": "b"}], "row 1, column 'query': ' ' is not a text"),
        ([{"query": "a", "document": None}], "row 1, column 'document': None is not a text"),
        (
            [{"query": "a", "document": "b", "score": "high"}],
            "row 1, column 'score': 'high' is not a number",
        ),
        ([{"query": "a", "document": "b", "score": float("nan")}], "nan is not a number"),
        ([{"query": "a", "document": "b", "negative": [3]}], "column 'negative'"),
        ([{"query": "a", "document": "b", "score": 0}], "no pair to learn from"),
        ([], "no pair to learn from"),
    ],
)
def test_wrong_pairs_name_row_and_column(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(vs.InvalidInputError, match=message):
        read_pairs(rows)


@settings(deadline=None)
@given(
    st.sets(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=40),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_the_split_parts_queries_and_is_stable(queries: set[str], share: float, seed: int) -> None:
    listed = sorted(queries)
    if len({" ".join(query.casefold().split()) for query in listed}) < 2:
        return
    training, held_out = split_queries(listed, share, seed)
    assert training and held_out
    assert sorted(training + held_out) == listed
    assert split_queries(listed[::-1], share, seed)[0] == training[::-1]
    assert {" ".join(q.casefold().split()) for q in training}.isdisjoint(
        " ".join(q.casefold().split()) for q in held_out
    )


def test_more_queries_do_not_move_the_old_ones() -> None:
    old = [f"query {n}" for n in range(200)]
    training, held_out = split_queries(old, 0.2, 0)
    assert 20 <= len(held_out) <= 60
    later = split_queries([*old, *(f"new {n}" for n in range(100))], 0.2, 0)
    assert set(training) <= set(later[0])
    assert set(held_out) <= set(later[1])


def test_a_split_with_an_empty_side_is_refused() -> None:
    with pytest.raises(vs.InvalidInputError, match="two different queries"):
        split_queries(["Same", "same "], 0.5, 0)
    with pytest.raises(vs.InvalidInputError, match="held_out is 1"):
        split_queries(["a", "b"], 1.0, 0)


# -- the loss --------------------------------------------------------------------------------------
# ----------------------


def test_the_loss_is_that_of_sentence_transformers(tiny: str) -> None:
    import torch
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    torch.manual_seed(0)
    queries, documents, away = torch.randn(5, 8), torch.randn(5, 8), torch.randn(3, 8)
    theirs = MultipleNegativesRankingLoss(resolve_embedder(tiny).model)
    labels = torch.arange(5)
    own = torch.eye(5, 8, dtype=torch.bool)
    expected = theirs.compute_loss_from_embeddings([queries, documents, away], labels)
    torch.testing.assert_close(ranking_loss(queries, torch.cat([documents, away]), own), expected)


def test_a_relevant_document_is_no_negative() -> None:
    """Candidate 1 is relevant to query 0 too, so its loss is that without candidate 1."""
    import torch

    queries, candidates = (
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
    )
    known = torch.tensor([[True, True, False], [False, True, False]])
    first = np.log(1 + np.exp(-20.0))
    second = np.log(np.exp(0.0) + np.exp(0.0) + np.exp(20.0)) - 0.0
    assert float(ranking_loss(queries, candidates, known)) == pytest.approx(
        (first + second) / 2, rel=1e-5
    )


# -- tuning ----------------------------------------------------------------------------------------
# ----------------------


@pytest.fixture(scope="module")
def tuned(
    tiny: str, pairs: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> finetune.TuneReport:
    return finetune.tune(
        tiny, pairs, tmp_path_factory.mktemp("tuned") / "model", settings=QUICK, device="cpu"
    )


def held_out_ndcg(model: str, pairs: list[dict[str, Any]], seed: int = 0) -> float:
    """The held-out score, worked out apart from the code under test."""
    relevant: dict[str, dict[str, float]] = {}
    for row in pairs:
        relevant.setdefault(row["query"], {})[row["document"]] = 1.0
    _, held_out = split_queries(relevant, QUICK.held_out, seed)
    embedder = resolve_embedder(model, device="cpu")
    documents = sorted({row["document"] for row in pairs})
    vectors, asked = embedder.embed_documents(documents), embedder.embed_queries(held_out)
    scores = (asked / np.linalg.norm(asked, axis=1)[:, None]) @ (
        vectors / np.linalg.norm(vectors, axis=1)[:, None]
    ).T
    found = [[documents[at] for at in np.argsort(-row)] for row in scores]
    return float(ndcg_at_k(found, [relevant[query] for query in held_out], 10).mean())


def test_tuning_learns_and_the_kept_model_scores_as_reported(
    tiny: str, tuned: finetune.TuneReport, pairs: list[dict[str, Any]]
) -> None:
    assert tuned.after > tuned.before + 0.1
    assert tuned.low <= tuned.after - tuned.before <= tuned.high
    assert tuned.before == pytest.approx(held_out_ndcg(tiny, pairs), abs=1e-6)
    assert tuned.after == pytest.approx(held_out_ndcg(tuned.output, pairs), abs=1e-6)
    assert tuned.after == max(tuned.epoch_scores) == tuned.epoch_scores[tuned.best_epoch - 1]


def test_the_folder_is_an_embedder_of_its_own(tiny: str, tuned: finetune.TuneReport) -> None:
    folder = Path(tuned.output)
    loaded = resolve_embedder(str(folder), device="cpu")
    assert (
        loaded.fingerprint()
        == tuned.fingerprint
        != resolve_embedder(tiny, device="cpu").fingerprint()
    )
    assert (folder / "model.safetensors").exists()
    assert not [
        path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".pth")
    ]
    assert json.loads((folder / "tuning.json").read_text(encoding="utf-8"))["after"] == tuned.after
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


def test_the_same_seed_gives_the_same_model(
    tiny: str, tuned: finetune.TuneReport, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    import torch

    torch.manual_seed(1234)
    state = torch.random.get_rng_state()
    again = finetune.tune(tiny, pairs, tmp_path / "again", settings=QUICK, device="cpu")
    assert again.fingerprint == tuned.fingerprint
    assert torch.equal(
        torch.random.get_rng_state(), state
    )  # the caller's random numbers are left alone
    other = Settings(
        **{
            name: getattr(QUICK, name)
            for name in ("epochs", "batch_size", "learning_rate", "held_out")
        },
        seed=1,
    )
    assert (
        finetune.tune(tiny, pairs, tmp_path / "other", settings=other, device="cpu").fingerprint
        != tuned.fingerprint
    )


def fixed_scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Held-out scores as given, one call after the other."""
    left = iter(values)
    monkeypatch.setattr(contrastive, "held_out_scores", lambda *_: np.full(4, next(left)))


def test_it_stops_when_the_score_falls_and_keeps_the_best(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed_scores(monkeypatch, [0.1, 0.3, 0.5, 0.4, 0.9])
    seen: list[tuple[int, float]] = []
    report = finetune.tune(
        tiny,
        pairs[:20],
        tmp_path / "m",
        settings=Settings(epochs=9),
        scored=lambda *at: seen.append(at),
        device="cpu",
    )
    assert seen == [(0, 0.1), (1, 0.3), (2, 0.5), (3, 0.4)]
    assert (report.before, report.after, report.best_epoch) == (0.1, 0.5, 2)


def test_training_goes_on_for_patience_epochs_below_the_best(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed_scores(monkeypatch, [0.1, 0.3, 0.2, 0.25, 0.6, 0.5, 0.5])
    report = finetune.tune(
        tiny, pairs[:20], tmp_path / "m", settings=Settings(epochs=6, patience=3), device="cpu"
    )
    assert (report.after, report.best_epoch, len(report.epoch_scores)) == (0.6, 4, 6)


def test_a_model_that_is_not_better_is_not_written(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed_scores(monkeypatch, [0.5, 0.5])
    with pytest.raises(
        vs.EmbedderError,
        match=r"not better, so nothing was written: nDCG@10 on \d+ .* is 0.5000 with",
    ):
        finetune.tune(tiny, pairs[:20], tmp_path / "m", settings=QUICK, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_better_model_is_not_replaced(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Path(make_model(tmp_path / "m", seed=5))
    before = resolve_embedder(str(target), device="cpu").fingerprint()
    with pytest.raises(vs.InvalidInputError, match="is in use"):
        finetune.tune(tiny, pairs[:20], target, settings=QUICK, device="cpu")
    fixed_scores(monkeypatch, [0.6, 0.1, 0.5, 0.4])  # the model that is there, the base, two epochs
    with pytest.raises(vs.EmbedderError, match=f"is 0.6000 with {target}, and 0.5000, 0.4000"):
        finetune.tune(tiny, pairs[:20], target, settings=QUICK, replace=True, device="cpu")
    assert resolve_embedder(str(target), device="cpu").fingerprint() == before
    fixed_scores(monkeypatch, [0.4, 0.1, 0.5, 0.4])
    report = finetune.tune(tiny, pairs[:20], target, settings=QUICK, replace=True, device="cpu")
    assert resolve_embedder(str(target), device="cpu").fingerprint() == report.fingerprint != before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("at", [1, 4])
def test_an_interruption_keeps_the_best_epoch_or_writes_nothing(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, at: int
) -> None:
    """An epoch has two or three batches: the first precedes any score, the fourth follows one."""

    def press(done: int, total: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    options = {
        "settings": Settings(
            epochs=3, batch_size=len(pairs) // 3 + 1, learning_rate=5e-3, held_out=0.3
        ),
        "device": "cpu",
    }
    if at == 1:
        with pytest.raises(KeyboardInterrupt):
            finetune.tune(tiny, pairs, tmp_path / "m", progress=press, **options)
        assert list(tmp_path.iterdir()) == []
    else:
        report = finetune.tune(tiny, pairs, tmp_path / "m", progress=press, **options)
        assert report.interrupted
        assert len(report.epoch_scores) < 3
        assert resolve_embedder(report.output, device="cpu").fingerprint() == report.fingerprint


def test_a_failed_write_leaves_what_was_there(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed_scores(monkeypatch, [0.1, 0.5, 0.4])

    def full(path: Path) -> Iterator[None]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.disk, "sync_file", full)
    with pytest.raises(vs.StorageError, match="the disk is full"):
        finetune.tune(tiny, pairs[:20], tmp_path / "m", settings=QUICK, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_prompts_are_trained_with_and_saved(pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    base = make_model(
        tmp_path / "e5-tiny"
    )  # its name brings the prompts of e5; the new folder's name does not
    report = finetune.tune(base, pairs, tmp_path / "mine", settings=QUICK, device="cpu")
    loaded: Any = resolve_embedder(report.output, device="cpu")
    assert (loaded.query_prompt, loaded.document_prompt) == ("query: ", "passage: ")
    assert loaded.fingerprint() == report.fingerprint


def test_wrong_settings_are_refused(tiny: str, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    for wrong, message in [
        (Settings(epochs=0), "epochs is 0"),
        (Settings(batch_size=1), "batch_size is 1"),
        (Settings(patience=0), "patience is 0"),
        (Settings(learning_rate=0.0), "learning_rate is 0.0"),
        (Settings(held_out=0.0), "held_out is 0.0"),
    ]:
        with pytest.raises(vs.InvalidInputError, match=message):
            finetune.tune(tiny, pairs, tmp_path / "m", settings=wrong)
    with pytest.raises(vs.EmbedderError, match="contains no model"):
        finetune.tune(str(tmp_path), pairs, tmp_path / "m")


# -- the commands ----------------------------------------------------------------------------------
# ----------------------


def run(*words: object) -> Any:
    return CliRunner().invoke(app.app, [str(word) for word in words], env={"COLUMNS": "160"})


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_the_command_tunes_from_files(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"clicks{suffix}"
    table = pa.Table.from_pylist([{**row, "clicks": 1} for row in pairs])
    if suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()),
            encoding="utf-8",
        )
    elif suffix == ".csv":
        pa_csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    options = ("--epochs", 3, "--batch-size", 8, "--learning-rate", 5e-3, "--held-out", 0.3)
    answer = run("tune", tiny, path, tmp_path / "m", *options, "--json")
    assert answer.exit_code == 0, answer.stderr
    report = json.loads(answer.stdout)
    expected = finetune.tune(tiny, pairs, tmp_path / "expected", settings=QUICK)
    assert (report["fingerprint"], report["after"]) == (expected.fingerprint, expected.after)


def test_the_command_says_why_it_wrote_nothing(
    tiny: str, pairs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in pairs[:20]), encoding="utf-8")
    fixed_scores(monkeypatch, [0.5, 0.4])
    answer = run("tune", tiny, path, tmp_path / "m")
    assert (answer.exit_code, (tmp_path / "m").exists()) == (1, False)
    assert "before: held-out nDCG@10 0.5000" in answer.stdout
    assert answer.stderr.startswith("error: the tuned model is not better")
    path.write_text(
        '{"query": "a", "document": "b"}\n{"query": "a", "document": null}\n', encoding="utf-8"
    )
    answer = run("tune", tiny, path, tmp_path / "m")
    assert answer.exit_code == 1
    assert "pairs.jsonl, row 2, column 'document'" in answer.stderr


def test_the_command_distills_on_files_and_collections(tiny: str, tmp_path: Path) -> None:
    pytest.importorskip("model2vec")
    lines = tmp_path / "texts.csv"
    lines.write_text('text\n"open parse parse"\n"date"\n', encoding="utf-8")
    with vs.create(tmp_path / "c.vs", embedder="toy:8", text_column="body") as collection:
        collection.add([{"id": 1, "body": "socket socket open"}])
    answer = run(
        "distill",
        tiny,
        tmp_path / "static",
        "--corpus",
        lines,
        "--corpus",
        tmp_path / "c.vs",
        "--dim",
        4,
        "--json",
    )
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["texts"] == 3
    teacher: Any = resolve_embedder(tiny)
    direct = distill(
        teacher,
        tmp_path / "direct",
        corpus=["open parse parse", "date", "socket socket open"],
        dim=4,
    )
    made = resolve_embedder(f"model2vec:{tmp_path / 'static'}")
    expected = resolve_embedder(f"model2vec:{direct}").embed_documents(["open date", "socket"])
    np.testing.assert_array_equal(made.embed_documents(["open date", "socket"]), expected)
    answer = run("distill", tiny, tmp_path / "more", "--corpus", lines, "--text-column", "body")
    assert answer.exit_code == 1
    assert "has no column 'body'; it has text" in answer.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(("steps", "kept"), [(1, False), (6, True)])
def test_an_interrupted_command_writes_the_best_epoch_or_nothing(
    tiny: str,
    pairs: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    kept: bool,
) -> None:
    """14 pairs in batches of 8: at most two steps an epoch, so six steps are three epochs."""
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in pairs[:14]), encoding="utf-8")
    left = iter(range(steps))
    step = contrastive.train_step

    def press(*arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        step(*arguments)

    monkeypatch.setattr(contrastive, "train_step", press)
    fixed_scores(monkeypatch, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    answer = run("tune", tiny, path, tmp_path / "m", "--batch-size", 8, "--epochs", 8)
    assert answer.exit_code == 130
    assert (tmp_path / "m" / "model.safetensors").exists() == kept
    assert ("→" in answer.stdout) == kept
    assert {entry.name for entry in tmp_path.iterdir()} == (
        {"pairs.jsonl", "m"} if kept else {"pairs.jsonl"}
    )
