"""`vecsearch.train`: data of any kind, options, errors, the held-out part and the report."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.trainable import TRAINABLE
from vecsearch.ingest.whole_table import as_table
from vecsearch.training.data import as_texts
from vecsearch.training.registry import options_of, trainer
from vecsearch.training.report import method_score
from vecsearch.training.stopping import Watch, held_out_rows

with_gensim = pytest.mark.skipif(
    find_spec("gensim") is None, reason="gensim (the extra 'train') is not installed"
)
THEMES = [["cat", "dog", "horse", "sheep", "goat"], ["red", "green", "blue", "white", "black"]]
TEXTS = ["the sea and the sun", "the sun and the sea"]


def corpus(texts: int = 400) -> list[str]:
    """Texts of words of one theme each."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(THEMES[row % 2], 12)) for row in range(texts)]


def noise(texts: int = 300, words: int = 60) -> list[str]:
    """Texts without any regularity: what is learned of them is wrong."""
    random = np.random.default_rng(1)
    return [" ".join(f"w{word}" for word in random.integers(0, words, 12)) for _ in range(texts)]


def test_texts_come_in_every_form_that_add_takes(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("\n".join([*TEXTS, "", " "]), encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, text in enumerate(TEXTS):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    csv = tmp_path / "t.csv"
    pd.DataFrame({"text": TEXTS}).to_csv(csv, index=False)
    forms: list[Any] = [
        TEXTS,
        iter(TEXTS),
        path,
        str(path),
        folder,
        csv,
        pa.table({"text": TEXTS}),
        pd.DataFrame({"text": TEXTS}),
        [{"text": text} for text in [*TEXTS, None]],
    ]
    for form in forms:
        assert as_texts(form) == TEXTS
    words = [text.split() for text in TEXTS]
    for form in (words, tuple(words), iter(words), pa.table({"text": words})):
        assert as_texts(form) == words
    assert as_texts(pd.DataFrame({"t": words}), text_column="t") == words
    assert as_table([{"a": 1}]).to_pylist() == [{"a": 1}]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vs.train("wordvec", TEXTS), "kind is 'wordvec'.*did you mean 'word2vec'"),
        (lambda: vs.train("zzzz", TEXTS), "cannot be trained; known are: word2vec, fasttext"),
        (lambda: vs.train("glove", TEXTS, vector_size=3), "'vector_size'; did you mean 'dim'"),
        (lambda: vs.train("glove", TEXTS, dmi=3), "did you mean 'dim'.*its options are text_col"),
        (lambda: vs.train("item2vec", [{"a": 1}]), "'item2vec' needs session and item"),
        (lambda: vs.train("glove", [{"body": "x"}]), "no column 'text'.*text_column="),
        (lambda: vs.train("glove", [{"text": 3}]), "column 'text' holds int64"),
        (lambda: vs.train("glove", []), "an empty list has no rows"),
        (lambda: vs.train("glove", [["a"], "b"]), "text 1 is of type str"),
        (lambda: vs.train("glove", 3), "data is of type builtins.int"),
        (lambda: vs.train("glove", "nowhere.txt"), "there is no file or folder 'nowhere.txt'"),
        (lambda: vs.train("glove", TEXTS, held_out=0.9), "held_out is 0.9; .* from 0 to 0.5"),
        (lambda: vs.train("glove", TEXTS, min_count=9), "none occurs 9 times"),
        (lambda: vs.train("glove", ["a"] * 9), "no two words"),
        (
            lambda: resolve_embedder("word2vec"),
            r"trained on your own data.*vecsearch.train\(\"word2",
        ),
        (lambda: resolve_embedder("node2vec:x"), "'node2vec' is no model yet"),
    ],
)
def test_what_is_wrong_is_said(call: Callable[[], object], message: str) -> None:
    with pytest.raises(vs.VecsearchError, match=f"(?s){message}"):
        call()


def test_every_kind_has_a_documented_trainer() -> None:
    for kind in TRAINABLE.values():
        assert hasattr(trainer(kind), "__gated__")
        assert {"seed"} <= set(options_of(kind))
        page = Path(__file__).parents[2] / "docs" / "reference" / "training.md"
        assert f"`{kind.name}`" in page.read_text(encoding="utf-8"), kind.name


def test_watch_keeps_the_best_and_stops_after_patience() -> None:
    values = [0.5, 0.6, 0.55, 0.7, 0.7, 0.1, 0.2]
    epoch = 0
    watch = Watch(lambda: values[epoch - 1], lambda: f"state {epoch}", patience=2)
    stopped = []
    for epoch in range(1, 8):
        stopped.append(watch.after(epoch))
        if stopped[-1]:
            break
    assert stopped == [False] * 5 + [True]  # an equal value is no better
    assert (watch.best, watch.best_epoch) == ("state 4", 4)
    assert watch.reason(50).startswith("epoch 4 was the best on a held-out part: the next 2")


def test_the_parts_are_disjoint_and_the_same_for_a_seed() -> None:
    train, stop, report = held_out_rows(500, 0.1, 3, most=1000)
    assert (len(train), len(stop), len(report)) == (450, 25, 25)
    assert sorted([*train, *stop, *report]) == list(range(500))
    again = held_out_rows(500, 0.1, 3, most=1000)
    assert all((a == b).all() for a, b in zip(again, (train, stop, report), strict=True))
    assert (held_out_rows(500, 0.1, 4, most=1000)[1] != stop).any()
    assert [len(part) for part in held_out_rows(199, 0.1, 0, most=1000)] == [179, 10, 10]
    assert [len(part) for part in held_out_rows(100, 0.1, 0, most=1000)] == [100, 0, 0]
    assert [len(part) for part in held_out_rows(5000, 0.5, 0, most=40)] == [4960, 20, 20]


@with_gensim
@pytest.mark.parametrize("kind", ["word2vec", "fasttext", "glove"])
def test_word_vectors_are_measured_and_the_report_is_kept(kind: str, tmp_path: Path) -> None:
    model = vs.train(kind, corpus(), dim=8, epochs=4, progress=False)
    report = model.report
    assert report is not None and report.kind == kind
    assert [each.method for each in report.scores] == [kind, "counts (PPMI, SVD)", "chance"]
    own, counts, _ = report.scores
    assert own.value > 0.65 and counts.value > 0.65  # half of the random words are of the theme
    assert all(each.low <= each.value <= each.high for each in report.scores)
    assert report.trained_on["passages"] == 360
    assert report.epochs is not None and 1 <= report.epochs <= 4 and report.stopped
    assert max(map(len, str(report).splitlines())) <= 80
    assert "<table>" in report._repr_html_()
    assert vs.TrainingReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    folder = model.save(tmp_path / "m")
    loaded = resolve_embedder(str(folder))
    assert loaded.report == report  # type: ignore[attr-defined]
    assert loaded.fingerprint() == model.fingerprint()
    with vs.create(tmp_path / "c.vs", embedder=str(folder)) as c:
        c.add(["cat dog", "red blue"], progress=False)
    with vs.open(tmp_path / "c.vs") as c:
        assert c.search("sheep", k=1)[0]["text"] == "cat dog"
    (folder / "report.json").write_text("{")
    with pytest.raises(vs.CorruptedError, match=r"report\.json is damaged"):
        resolve_embedder(str(folder))


@with_gensim
@pytest.mark.parametrize("kind", ["word2vec", "glove", "doc2vec"])
def test_training_stops_where_nothing_more_can_be_learned(kind: str) -> None:
    """Of texts without regularity, what is learned is chance: training ends early."""
    options = {"min_count": 1, "dim": 16, "epochs": 40, "patience": 2, "held_out": 0.2}
    if kind == "doc2vec":
        options["infer_epochs"] = 5
    seen: list[int] = []
    model = trainer(TRAINABLE[kind])(
        noise(), progress=lambda done, total: seen.append(done), **options
    )
    assert model.report is not None and model.report.epochs is not None
    assert model.report.epochs < 36
    assert "was the best on a held-out part: the next 2" in model.report.stopped
    assert seen[-1] == 40 and len(seen) < 40  # the bar is full, but epochs were saved


@with_gensim
def test_doc2vec_is_compared_with_tf_idf() -> None:
    random = np.random.default_rng(2)
    topics = [[f"t{topic}w{word}" for word in range(12)] for topic in range(40)]
    texts = [" ".join(random.choice(topics[row % 40], 24)) for row in range(400)]
    model = vs.train("doc2vec", texts, dim=24, epochs=20, infer_epochs=20, progress=False)
    report = model.report
    assert report is not None
    assert [each.method for each in report.scores] == ["doc2vec", "tf-idf", "tf-idf, SVD (LSI)"]
    assert report.scores[1].value > 0.6 and report.scores[0].value > 0.3
    assert "20 texts" in report.measure


@with_gensim
def test_nothing_is_held_out_of_few_texts_or_where_it_is_not_wanted() -> None:
    few = vs.train("word2vec", TEXTS * 5, dim=4, epochs=2, progress=False).report
    assert few is not None and not few.scores and not few.better and few.epochs == 2
    assert "too few texts" in str(few)
    none = vs.train("glove", corpus(), dim=4, epochs=2, held_out=0, progress=False).report
    assert none is not None and none.trained_on["passages"] == 400
    assert "(as asked for)" in str(none)


@with_gensim
@pytest.mark.parametrize("kind", ["word2vec", "fasttext", "doc2vec"])
def test_long_texts_are_used_whole(kind: str) -> None:
    """gensim ignores what comes after the 10,000th word of a text: it never sees these words."""
    long = [["early", "words"] * 5000 + ["cat", "dog"] * 500]
    options = {"dim": 8, "epochs": 3, "held_out": 0, "cutting": "words"}
    if kind == "fasttext":
        options["buckets"] = 50
    model: Any = trainer(TRAINABLE[kind])(long, **options)
    cut: Any = trainer(TRAINABLE[kind])([long[0][:10_000], ["cat"] * 500, ["dog"] * 500], **options)
    one, other = (
        each._model.syn1neg if kind == "doc2vec" else each.vectors for each in (model, cut)
    )
    assert not np.allclose(one[2:4], other[2:4])


def test_a_model_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests/training');"
        "from test_train import corpus; import vecsearch as vs;"
        "kinds = [('glove', {}), ('word2vec', {}), ('fasttext', {'buckets': 100}),"
        " ('doc2vec', {'infer_epochs': 2})];"
        "models = [vs.train(k, corpus(240), dim=4, epochs=2, **o) for k, o in kinds];"
        "print([(m.fingerprint(), m.report.to_dict()) for m in models])"
    )
    if find_spec("gensim") is None:
        pytest.skip("gensim (the extra 'train') is not installed")
    root = Path(__file__).parents[2]
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    ]
    assert printed[0] == printed[1] and len(printed[0]) > 1000


def test_scores_are_the_mean_and_a_bootstrap_interval() -> None:
    values = np.random.default_rng(0).random(200)
    score = method_score("x", values, seed=1)
    assert score.value == pytest.approx(values.mean())
    draws = np.random.default_rng(5).choice(values, (4000, 200)).mean(axis=1)
    assert [score.low, score.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.005)


def test_tables_are_measured_by_hidden_values() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 3, 400)
    table = pa.table(
        {
            "id": [f"row{n}" for n in range(400)],
            "group": [("a", "b", "c")[group] for group in groups],
            "size": groups * 10 + random.normal(size=400),
            "color": [("red", "green", "blue")[group] for group in groups],
            "noise": random.normal(size=400),
        }
    )
    tabular = vs.train("tabular", table, target="group", dim=3, progress=False)
    assert {column.name for column in tabular.columns} == {"size", "color", "noise"}  # type: ignore[attr-defined]
    assert tabular.report is not None
    own, one_hot, guess = tabular.report.scores
    assert own.value > 0.95 and one_hot.value > 0.95 and abs(guess.value) < 1e-9
    mixed = vs.train("One_Hot", table, progress=False)
    assert mixed.dim == 3 + 1 + 3 + 1 and mixed.report is not None
    assert mixed.report.scores[0].method == "one-hot"
    assert 0.5 < mixed.report.scores[0].value < 0.9  # the noise cannot be guessed
    only_noise = table.select(["noise"]).append_column("more", pa.array(random.normal(size=400)))
    report = vs.train("tabular", only_noise, progress=False).report
    assert report is not None and report.scores[0].value < 0.1


def test_durations_are_numbers_and_numbers_in_texts_are_said() -> None:
    days = [dt.timedelta(days=day % 5) for day in range(20)]
    table = pa.table(
        {
            "took": days,
            "size": [str(number % 4) for number in range(20)],
            "day": [f"2024-01-0{1 + number % 4}" for number in range(20)],
            "color": ["red", "blue"] * 10,
        }
    )
    model = vs.train("one-hot", table)
    assert model.dim == 1 + 4 + 4 + 2 and model.report is not None
    one, other = model.embed_documents([{"took": days[4]}, {"took": days[0]}])
    deviation = np.std([day.total_seconds() for day in days])
    assert one[0] - other[0] == pytest.approx(4 * 86_400 / deviation)
    notes = " ".join(model.report.notes)
    assert "'size' holds texts that are all numbers" in notes
    assert "'day' holds texts that are all dates" in notes and "'color'" not in notes


def test_the_command_trains_saves_and_reports(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("\n".join(corpus()), encoding="utf-8")
    run = CliRunner()
    shown = run.invoke(app, ["train"])
    assert all(kind in shown.stdout for kind in TRAINABLE)
    shown = run.invoke(app, ["train", "glove", "--help"], env={"COLUMNS": "120"})
    assert "--x-max" in shown.stdout and "--text-column" in shown.stdout
    assert "--x-max" not in run.invoke(app, ["train", "--help"]).stdout
    model = tmp_path / "m"
    words = ["train", "glove", str(path), str(model), "--dim", "4", "--epochs", "2"]
    done = run.invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["dim"] == 4 and answer["report"]["scores"][0]["method"] == "glove"
    again = run.invoke(app, words)
    assert again.exit_code == 1 and "is in use" in again.stderr
    other = [*words[:3], str(tmp_path / "n")]
    assert "--dim is 0" in run.invoke(app, [*other, "--dim", "0"]).stderr
    assert run.invoke(app, [*other, "--no-such", "1"]).exit_code == 2
    assert "DATA was not given" in run.invoke(app, ["train", "glove"]).stderr
    assert "did you mean 'glove'" in run.invoke(app, ["train", "glov", "a", "b"]).stderr
    assert not (tmp_path / "n").exists()
