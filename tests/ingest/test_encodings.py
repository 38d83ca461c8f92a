"""Files that are not UTF-8: read where it is sure, told, and refused by file and byte otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.sources import Write, refused, rows

import vecsearch as vs
from vecsearch.ingest.sources import Reading, open_source


def text_of(path: Path) -> str:
    found: str = rows(path)[0]["text"]
    return found


def named(path: Path, encoding: str | None = None) -> dict[str, str]:
    reading = Reading(encoding=encoding)
    list(open_source(path, reading=reading).batches)
    return dict(reading.report().encodings)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("你好", "gb18030"),
        ("怎么退货", "gbk"),
        ("密码重置", "gb2312"),
        ("张伟,李娜,王芳", "gbk"),
        ("一段中文𠀀", "gb18030"),
        ("血压监测仪器使用说明书", "gbk"),
        ("你好", "big5"),
        ("向量檢索的準確率", "big5"),
        ("台北市今天的天氣很好。", "cp950"),
        ("香港嘅天氣", "big5hkscs"),
        ("向量檢索的準確率", "gb18030"),
        ("你好", "utf-16"),
    ],
)
def test_text_that_is_surely_chinese_is_read_and_its_encoding_told(
    write: Write, text: str, encoding: str
) -> None:
    path = write("t.txt", text, encoding)
    assert text_of(path) == text
    shown = named(path)["t.txt"]
    assert shown.startswith(
        {"cp950": "Big5", "big5": "Big5", "big5hkscs": "Big5", "utf-16": "UTF-16"}.get(
            encoding, "GB18030"
        )
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("id,text\n1,Die Müller fuhren nach Köln\n", "latin-1"),
        ("Größe und Straße", "cp1252"),
        ("Příliš žluťoučký kůň", "cp1250"),
        ("東京の天気は晴れです", "shift_jis"),
        ("東京", "shift_jis"),
        ("データ", "shift_jis"),
        ("東京の天気", "euc_jp"),
        ("日本語", "euc_jp"),
        ("カタカナ", "euc_jp"),
        ("안녕하세요", "euc_kr"),
        ("서울의 날씨는 맑음", "euc_kr"),
        ("데이터", "euc_kr"),
        ("привет мир", "koi8_r"),
        ("Привет, мир", "cp1251"),
        ("Καλημέρα κόσμε", "cp1253"),
        ("שלום עולם", "cp1255"),
        ("สวัสดีชาวโลก", "cp874"),
    ],
)
def test_other_encodings_are_refused_with_file_and_byte_and_read_when_named(
    write: Write, tmp_path: Path, text: str, encoding: str
) -> None:
    path = write("t.txt", text, encoding)
    first = next(number for number, byte in enumerate(text.encode(encoding)) if byte > 0x7F)
    refused(path, f"t.txt: byte {first}", "encoding=")
    c = vs.create(tmp_path / "c.vs", embedder="toy:16")
    result = c.add(path, encoding=encoding)
    assert c.get(["t.txt"])[0]["text"] == text
    assert list(result.report.encodings) == ["t.txt"]


def test_the_euro_sign_of_cp936_is_read(write: Write) -> None:
    content = "产品,价格\n苹果,".encode("gbk") + b"\x803\n"
    assert text_of(write("t.txt", content)) == "产品,价格\n苹果,€3\n"


def test_damaged_utf8_is_refused_however_short(write: Write) -> None:
    refused(write("t.txt", "密码重置".encode()[:-2]), "t.txt: byte 9", "damaged")
    refused(write("u.txt", "价格".encode() + b"\xff" + "很好".encode()), "u.txt: byte 6", "damaged")


def test_a_named_encoding_that_does_not_fit_is_refused(write: Write, tmp_path: Path) -> None:
    path = write("t.txt", b"a\xff")
    c = vs.create(tmp_path / "c.vs", embedder="toy:16")
    with pytest.raises(vs.InvalidInputError, match=r"t\.txt: byte 1 is not big5"):
        c.add(path, encoding="big5")
    for wrong in ("latin-99", "base64", "rot13"):
        with pytest.raises(vs.InvalidInputError, match="encoding is"):
            c.add(path, encoding=wrong)


def test_private_use_characters_far_down_make_a_file_unsure(write: Write) -> None:
    start = "今天天气很好。\n".encode("gb18030") * 200_000
    refused(write("t.txt", start + "\ue6bc".encode("gb18030")), "t.txt: byte 0")
