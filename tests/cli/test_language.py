"""The model of a new collection follows the language of the first texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli import Answer

from vecsearch.cli.language import fitting_model, is_foreign
from vecsearch.cli.options import DEFAULT_EMBEDDER
from vecsearch.embedders import catalog
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
