"""Passages of long documents: where they are cut, and that nothing is lost.

Splitting is checked against the text itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vecsearch.common.scripts import weighted_length
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.auto import AutoChunker
from vecsearch.ingest.chunking import Chunker, FunctionChunker, resolve_chunker
from vecsearch.ingest.sentences import sentence_spans


def passages(chunker: Chunker | FunctionChunker, text: str) -> list[str]:
    return [text[start:end] for start, end in chunker.split(text)]


# Pieces that stress the boundaries: sentence ends, headings, code, CRLF, emoji, accents, and
# characters outside the BMP.
FRAGMENTS = st.sampled_from(
    [
        "A sentence. ",
        "Dr. Who? ",
        "wait... ",
        "一句话。",
        "他说：“好！！”",
        "很长，",
        "\n",
        "\r\n",
        "\n\n",
        "\r\n  \r\n",
        "\n## Head\n",
        "```\n",
        "# code\n",
        "e\u0301",
        "👩‍👩‍👧‍👦",
        "👍🏽",
        "𠀀",
        "   ",
        "\u3000",
        "word",
        "\t",
        "\x0c",
        "\u2028",
        "1. ",
        "…",
        "\ud800",
        "|",
        "a" * 50,
        "字" * 20,
    ]
)
TEXTS = st.one_of(st.text(max_size=400), st.lists(FRAGMENTS, max_size=80).map("".join))
CHUNKERS = st.builds(
    lambda size, part, weight: Chunker(size, int(size * part), weight),
    st.integers(32, 120),
    st.floats(0, 0.5),
    st.integers(1, 8),
)


@settings(deadline=None, max_examples=400)
@given(TEXTS, CHUNKERS)
@example("", Chunker())
@example(" \n\u3000 ", Chunker(32))
@example("e" + "\u0301" * 200, Chunker(32))
@example("👍🏽" * 100, Chunker(32, 16))
def test_spans_are_in_order_within_limits_and_lose_nothing(text: str, chunker: Chunker) -> None:
    spans = chunker.split(text)
    covered = bytearray(len(text))
    for start, end in spans:
        assert 0 <= start < end <= len(text)
        passage = text[start:end]
        assert passage == passage.strip()
        assert len(passage) <= weighted_length(passage, chunker.cjk_weight) <= chunker.max_chars
        covered[start:end] = b"x" * (end - start)
    assert all(mark or text[at].isspace() for at, mark in enumerate(covered))
    assert all(a < b for (a, _), (b, _) in pairwise(spans))
    if chunker.overlap == 0:
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    else:
        for (_, end), (start, _) in pairwise(spans):
            assert weighted_length(text[start:end], chunker.cjk_weight) <= chunker.overlap


# What is read as one character, though it has several; joined letters weigh more than emoji.
CLUSTERS = st.sampled_from(
    [
        "👩‍👩‍👧‍👦",
        "👍🏽",
        "🏳️‍🌈",
        "e\u0301\u0323",
        "கி",
        "a" + "\u0301" * 25,
        "字\u200d字\u200d字",
        "\u200d".join("字" * 15),
        "x",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(CLUSTERS, min_size=1, max_size=80).map("".join), CHUNKERS)
@example("👩‍👩‍👧‍👦" * 200, Chunker(64))
@example("\u200d".join("字" * 60), Chunker(32, cjk_weight=8))
@example("x" + "a" + "\u0301" * 28, Chunker(32, overlap=16))
def test_no_passage_of_joined_characters_is_longer_than_max_chars(
    text: str, chunker: Chunker
) -> None:
    spans = chunker.split(text)
    assert all(
        weighted_length(text[start:end], chunker.cjk_weight) <= chunker.max_chars
        for start, end in spans
    )
    without_overlap = Chunker(chunker.max_chars, 0, chunker.cjk_weight)
    assert "".join(passages(without_overlap, text)) == text


SENTENCES = st.sampled_from(
    ["Short one.", "A sentence of more words.", "一句话。", "No end here", "1. first\n2. second"]
)
HEADINGS = st.sampled_from(["# Top", "## Second level", "###### Deep", "# 标题"])
NOT_HEADINGS = st.sampled_from(["#hashtag", "####### seven", "```\n# a comment\n```", " # late"])
MARKDOWN = st.lists(
    st.one_of(HEADINGS, NOT_HEADINGS, st.lists(SENTENCES, min_size=1, max_size=6).map(" ".join)),
    min_size=2,
    max_size=14,
).map("\n\n".join)


def section_starts(text: str) -> list[int]:
    """Where a heading follows text; a heading below a heading belongs to it."""
    starts, position = [], 0
    in_code = after_text = False
    for line in text.splitlines(keepends=True):
        in_code ^= line.startswith("```")
        is_heading = re.match("#{1,6} ", line) is not None and not in_code
        if is_heading and after_text:
            starts.append(position)
        if line.strip():
            after_text = not is_heading
        position += len(line)
    return starts


@settings(deadline=None, max_examples=400)
@given(MARKDOWN, CHUNKERS)
@example("# One\n\nText is here.\n\n# Two\n\nMore text is there, and it is long.", Chunker(48))
def test_no_passage_crosses_the_start_of_a_section(text: str, chunker: Chunker) -> None:
    spans = chunker.split(text)
    if len(spans) > 1:
        assert not [
            (start, at, end)
            for start, end in spans
            for at in section_starts(text)
            if start < at < end
        ]


@settings(deadline=None, max_examples=100)
@given(TEXTS, CHUNKERS)
def test_splitting_is_deterministic(text: str, chunker: Chunker) -> None:
    assert chunker.split(text) == Chunker.from_dict(
        json.loads(json.dumps(chunker.to_dict()))
    ).split(text)


def test_blank_text_has_no_passages_and_short_text_is_one() -> None:
    assert Chunker().split("") == []
    assert Chunker().split(" \r\n\t\u3000") == []
    assert Chunker().split("  One line.\n") == [(2, 11)]


def test_english_is_cut_between_sentences() -> None:
    text = (
        "Dr. Smith met J. K. Rowling at 3.14 p.m. today. She asked (e.g. politely) why. "
        "“It rained!” he said. Nothing more."
    )
    assert passages(Chunker(60), text) == [
        "Dr. Smith met J. K. Rowling at 3.14 p.m. today.",
        "She asked (e.g. politely) why. “It rained!” he said.",
        "Nothing more.",
    ]


def test_hard_wrapped_lines_do_not_end_a_sentence() -> None:
    text = (
        "The first sentence runs over\r\ntwo lines of text. "
        "The second one\r\nruns over two lines as well.\r\n"
    )
    assert passages(Chunker(60), text) == [
        "The first sentence runs over\r\ntwo lines of text.",
        "The second one\r\nruns over two lines as well.",
    ]


def test_chinese_is_cut_after_its_own_full_stops_and_quotes() -> None:
    text = "今天天气很好。他说：“我们去公园吧！！”她问为什么？因为花开了；草也绿了。"
    assert passages(Chunker(max_chars=80), text) == [
        "今天天气很好。他说：“我们去公园吧！！”",
        "她问为什么？因为花开了；草也绿了。",
    ]


def test_a_sentence_too_long_is_cut_at_clauses_then_words_then_anywhere() -> None:
    assert passages(Chunker(40), "one two three four five, six seven eight nine ten") == [
        "one two three four five,",
        "six seven eight nine ten",
    ]
    assert passages(Chunker(32), "one two three four five six seven eight nine ten") == [
        "one two three four five six",
        "seven eight nine ten",
    ]
    assert [len(p) for p in passages(Chunker(32), "x" * 70)] == [32, 32, 6]
    assert passages(Chunker(max_chars=48), "春天来了的时候，夏天来了的时候，秋天来了的时候。") == [
        "春天来了的时候，",
        "夏天来了的时候，",
        "秋天来了的时候。",
    ]


def test_markdown_is_cut_at_headings_and_a_heading_stays_with_its_text() -> None:
    text = (
        "# Guide\n\nA short opening line.\n\n"
        "## Install\n\nRun the installer and wait until it ends.\n\n"
        "```\n# not a heading\nmake\n```\n\n## 使用\n\n打开文件。然后搜索。\n"
    )
    assert passages(Chunker(100), text) == [
        "# Guide\n\nA short opening line.",
        "## Install\n\nRun the installer and wait until it ends.\n\n"
        "```\n# not a heading\nmake\n```",
        "## 使用\n\n打开文件。然后搜索。",
    ]
    long_section = "## Only a heading\n\n" + "Every sentence here has words. " * 4
    assert (
        passages(Chunker(60), long_section)[0]
        == "## Only a heading\n\nEvery sentence here has words."
    )


def test_what_is_left_of_a_cut_sentence_joins_its_neighbor() -> None:
    text = "A first part that is rather long, and a tail. Next one.\n\nLast."
    assert passages(Chunker(40), text) == [
        "A first part that is rather long,",
        "and a tail. Next one.\n\nLast.",
    ]


@pytest.mark.parametrize("cluster", ["👩‍👩‍👧‍👦", "👍🏽", "e\u0301\u0323", "❤️", "கி"])
def test_what_is_read_as_one_character_is_not_cut(cluster: str) -> None:
    found = passages(Chunker(32), cluster * 40)
    assert len(found) > 1
    assert all(passage == cluster * (len(passage) // len(cluster)) for passage in found)


def test_marks_that_belong_together_are_not_parted() -> None:
    night = "她等了一夜——整整一夜——直到天亮。" * 3
    found = passages(Chunker(max_chars=64, overlap=16), night)
    assert not [passage for passage in found if passage.startswith("—")]
    meeting = "会议于2024年3月5日14:30在三楼（大会议室）召开，他买了三斤苹果、两斤梨。" * 3
    for size in range(32, 160, 4):
        for passage in passages(Chunker(size), meeting) + passages(Chunker(size, size // 2), night):
            assert passage[0] not in "）】」』，。、！？；："
            assert passage[-1] not in "（【「『"
    dots = "他说……然后……就走了……再也没有回来……" * 3
    assert all(
        len(passage) - len(passage.rstrip("…")) in (0, 2) and passage[0] != "…"
        for size in range(32, 120, 4)
        for passage in passages(Chunker(size), dots)
    )


def test_marks_without_a_space_end_a_chinese_sentence() -> None:
    text = "好的!明天见?我等你!别忘了带伞?记得早点来!"
    assert passages(Chunker(max_chars=48), text) == [
        "好的!明天见?我等你!",
        "别忘了带伞?记得早点来!",
    ]
    text = "好吧...走了~行吧～嗯．完"
    assert [text[start:end] for start, end in sentence_spans(text)] == [
        "好吧...",
        "走了~",
        "行吧～",
        "嗯．",
        "完",
    ]
    assert len(sentence_spans("版本３．１４和3~5天，见 http://a.b/?q=中文")) == 1


def test_flags_and_half_width_kana_are_not_cut() -> None:
    for text, unit in (("🇨🇳" * 40, "🇨🇳"), ("ﾊﾞ" * 40, "ﾊﾞ")):
        found = passages(Chunker(max_chars=33), text)
        assert len(found) > 1
        assert all(passage == unit * (len(passage) // len(unit)) for passage in found)


def test_chinese_headings_and_underlined_ones_begin_sections() -> None:
    text = (
        "一、项目背景\n\n检索的准确率不高。用户抱怨。\n\n二、目标\n\n提高检索准确率。三个月内完成。"
    )
    assert passages(Chunker(max_chars=100), text) == [
        "一、项目背景\n\n检索的准确率不高。用户抱怨。",
        "二、目标\n\n提高检索准确率。三个月内完成。",
    ]
    text = "First\n=====\n\nSome text is here.\n\nSecond\n------\n\nMore text is there."
    assert passages(Chunker(max_chars=48), text) == [
        "First\n=====\n\nSome text is here.",
        "Second\n------\n\nMore text is there.",
    ]
    listed = "要买的东西：\n一、苹果\n二、香蕉\n三、梨"
    assert passages(Chunker(max_chars=64), listed + "。" * 9)[0].startswith(
        "要买的东西：\n一、苹果\n"
    )


def test_a_question_stays_with_its_answer() -> None:
    pairs = [
        "问：运费谁承担？\n答：由卖家承担。",
        "问：多久能到？\n答：一般三天就到。",
        "Q: Why?\nA: So.",
    ]
    for between in ("\n", "\n\n"):
        text = between.join(pairs)
        for size in (64, 72, 80, 96):
            found = passages(Chunker(max_chars=size), text)
            assert len(found) > 1
            assert all(any(pair in passage for passage in found) for pair in pairs), (size, found)


def test_the_header_of_a_table_stays_with_its_first_row() -> None:
    text = "| name | price |\n|---|---|\n" + "\n".join(f"| item {n} | {n} |" for n in range(9))
    assert passages(Chunker(max_chars=48), text)[:2] == [
        "| name | price |\n|---|---|\n| item 0 | 0 |",
        "| item 1 | 1 |\n| item 2 | 2 |\n| item 3 | 3 |",
    ]


def test_a_chinese_character_counts_as_four_unless_told() -> None:
    text = "字" * 100
    assert [len(p) for p in passages(Chunker(max_chars=200), text)] == [50, 50]
    assert [len(p) for p in passages(Chunker(max_chars=50, cjk_weight=1), text)] == [50, 50]
    assert weighted_length("字a。ｶ한\U00020000", 4) == 4 * 5 + 1


def test_overlap_repeats_whole_sentences() -> None:
    text = "One is here. Two is here. Three is here. Four is here. Five is here."
    assert passages(Chunker(42, overlap=16), text) == [
        "One is here. Two is here.",
        "Two is here. Three is here.",
        "Three is here. Four is here.",
        "Four is here. Five is here.",
    ]
    assert passages(
        Chunker(max_chars=64, overlap=24), "第一句话。第二句话。第三句话。第四句话。"
    ) == [
        "第一句话。第二句话。",
        "第二句话。第三句话。第四句话。",
    ]


def test_overlap_does_not_repeat_the_section_before() -> None:
    text = "# One\n\nFirst is here. Second is here.\n\n# Two\n\nThird is here. Fourth is here."
    assert passages(Chunker(46, overlap=16), text) == [
        "# One\n\nFirst is here.",
        "First is here. Second is here.",
        "# Two\n\nThird is here.",
        "Third is here. Fourth is here.",
    ]


def test_sentences_end_as_they_do_for_the_chunker() -> None:
    text = "Dr. Who is in. “Really?” he asked! 他说：“好！！”然后走了。\n1. A list item\n\nLast  "
    assert [text[start:end] for start, end in sentence_spans(text)] == [
        "Dr. Who is in.",
        "“Really?”",
        "he asked!",
        "他说：“好！！”",
        "然后走了。",
        "1. A list item",
        "Last",
    ]
    assert sentence_spans("") == sentence_spans(" \n ") == []


def test_a_long_text_without_any_boundary_is_cut_by_length() -> None:
    assert len(Chunker().split("x" * 200_000)) == 200
    assert len(Chunker().split("字" * 200_000)) == 800
    assert Chunker().split("\n " * 100_000 + "x") == [(200_000, 200_001)]


@pytest.mark.parametrize("name", ["xquad-en", "xquad-zh", "cmrc2018-dev"])
def test_real_paragraphs_are_cut_at_the_ends_of_sentences(name: str, shared_data: Path) -> None:
    with (shared_data / "beir" / name / "corpus.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file][:150]
    chunker = Chunker(max_chars=1200)
    cuts = [text[:end] for text in texts for _, end in chunker.split(text)[:-1]]
    assert len(cuts) > 3
    ends = sum(cut.rstrip("”’」』）)\"'")[-1] in ".!?。！？；" for cut in cuts)
    assert ends >= 0.95 * len(cuts)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_chars": 31}, "at least 32"),
        ({"max_chars": True}, "whole number"),
        ({"max_chars": "500"}, "whole number"),
        ({"max_chars": 100, "overlap": 51}, "half of max_chars"),
        ({"overlap": -1}, "half of max_chars"),
        ({"cjk_weight": 0}, "from 1 to 8"),
        ({"size": 100}, "unknown setting 'size'"),
        ({"kind": "pages"}, "unknown kind 'pages'"),
        ({"kind": "function", "name": "mine.split"}, "pass it again"),
    ],
)
def test_an_invalid_setting_is_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        resolve_chunker(values)


def test_each_way_to_name_a_chunker_gives_it() -> None:
    assert resolve_chunker(None) is resolve_chunker("none") is resolve_chunker(False) is None
    auto = resolve_chunker("auto")
    assert isinstance(auto, AutoChunker)
    assert resolve_chunker(auto) is auto
    assert isinstance(resolve_chunker(auto.to_dict()), AutoChunker)
    assert resolve_chunker(True) == resolve_chunker("default") == Chunker()
    assert (
        resolve_chunker(300)
        == resolve_chunker("300")
        == resolve_chunker({"max_chars": 300})
        == Chunker(300)
    )
    chunker = Chunker(400, 50)
    assert resolve_chunker(chunker) is chunker
    assert resolve_chunker(chunker.to_dict()) == chunker
    own = resolve_chunker(str.splitlines)
    assert isinstance(own, FunctionChunker)
    assert resolve_chunker(own) is own
    wrong: Any
    for wrong in ("pages", 3.5, ["x"]):
        with pytest.raises(InvalidInputError, match="chunker is"):
            resolve_chunker(wrong)


def test_the_key_follows_the_settings() -> None:
    assert Chunker().key == Chunker(max_chars=1000).key
    assert (
        len({Chunker().key, Chunker(500).key, Chunker(overlap=10).key, Chunker(cjk_weight=1).key})
        == 4
    )


def test_importing_the_module_does_not_import_chonkie() -> None:
    code = (
        "import sys, vecsearch.ingest.chunking; "
        "print('chonkie' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["False", "False"]


def test_a_function_may_return_spans_strings_or_objects() -> None:
    text = "ab cd ab "
    assert FunctionChunker(lambda text: [(0, 3), (3, 6), (2, 6)][:2]).split(text) == [
        (0, 2),
        (3, 5),
    ]
    assert FunctionChunker(str.split).split(text) == [(0, 2), (3, 5), (6, 8)]
    assert FunctionChunker(lambda text: [SimpleNamespace(start_index=0, end_index=5)]).split(
        text
    ) == [(0, 5)]
    assert FunctionChunker(lambda text: []).split(text) == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([(0, 100)], "inside the text"),
        ([(3, 5), (0, 2)], "in order"),
        ([(2, 1)], "inside the text"),
        (["ab", "missing"], "not in the text"),
        ([5], "returned 5 as passage 0"),
        ([(0.0, 1.0)], "as passage 0"),
    ],
)
def test_a_function_that_returns_something_else_is_named(answer: list[object], says: str) -> None:
    def mine(text: str) -> list[object]:
        return answer

    with pytest.raises(InvalidInputError, match=says) as caught:
        FunctionChunker(mine).split("ab cd")
    assert "mine" in str(caught.value)


def test_the_key_of_a_function_follows_its_code() -> None:
    def versioned(step: int) -> FunctionChunker:
        def mine(text: str) -> list[tuple[int, int]]:
            return [(0, step)]

        return FunctionChunker(mine)

    assert versioned(1).key == versioned(1).key
    assert versioned(1).key != versioned(2).key
    assert FunctionChunker(lambda text: [(0, 1)]).key != FunctionChunker(lambda text: [(0, 2)]).key

    class Named:
        key = "v1"

        def __call__(self, text: str) -> list[str]:
            return [text]

    assert FunctionChunker(Named()).key == FunctionChunker(Named()).key
