"""Texts become words: folding, scripts, endings, places of words in texts."""

from __future__ import annotations

import itertools
import pickle

import pytest

import vecsearch as vs
from vecsearch.text.analyzer import Analyzer, analyzer_of, stored_analyzer
from vecsearch.text.dictionary import Dictionary
from vecsearch.text.postings import merged_postings, postings_of

pa = pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("... --- !!!", []),
        ("Running SHIPS, running", ["run", "ship", "run"]),
        ("XPS-9310 c_name 3.14", ["xps", "9310", "c", "name", "3", "14"]),
        ("Ｐａｓｓｗｏｒｄ １２", ["password", "12"]),
        ("Straße ΣΊΣΥΦΟΣ", ["strass", "σίσυφοσ"]),
        ("重置密码", ["重置", "置密", "密码", "码"]),
        ("重置密碼", ["重置", "置密", "密码", "码"]),
        ("iPhone的电池", ["iphon", "的电", "电池", "池"]),
        ("猫", ["猫"]),
        ("한국어", ["한국", "국어", "어"]),
        (
            "ひらがな、カタカナー",
            ["ひら", "らが", "がな", "な", "カタ", "タカ", "カナ", "ナー", "ー"],
        ),
        ("हिन्दी", ["हिन्दी"]),  # marks belong to their letters
        ("ไทย", ["ไท", "ทย", "ย"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("🎉 party", ["parti"]),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert Analyzer().terms(text) == terms


def test_options_of_an_analyzer() -> None:
    assert Analyzer(language=None).terms("running") == ["running"]
    assert Analyzer(language="german").terms("Schiffe") == ["schiff"]
    assert Analyzer(simplify=False).terms("密碼") == ["密碼", "碼"]


def test_chinese_words_and_pinyin() -> None:
    pytest.importorskip("rjieba")
    pytest.importorskip("pypinyin")
    words = Analyzer(chinese="words").terms("南京市长江大桥")
    assert {"南京市", "长江大桥"} <= set(words)
    assert {"mima", "ma"} <= set(Analyzer(language=None, pinyin=True).terms("密码"))


def test_descriptions_are_stored_whole_and_unknown_ones_refused() -> None:
    for analyzer in (Analyzer(), Analyzer("german", "words", False, True)):
        assert analyzer_of(analyzer) == analyzer
        assert pickle.loads(pickle.dumps(analyzer)) == analyzer
    assert stored_analyzer(Analyzer("french").to_dict()) == Analyzer("french")
    assert stored_analyzer(Analyzer().to_dict()) is stored_analyzer(Analyzer().to_dict())
    for wrong in ({**Analyzer().to_dict(), "format": 2}, {"format": 1}):
        with pytest.raises(vs.CorruptedError, match="does not know"):
            stored_analyzer(wrong)
    for given in (3, {"lang": "english"}, "klingon", {"chinese": "letters"}, {"pinyin": "yes"}):
        with pytest.raises(vs.InvalidInputError):
            analyzer_of(given)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecsearch.common import optional

    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(vs.MissingExtraError, match=r"vecsearch\[zh\]"):
        Analyzer(chinese="words").load()
    with pytest.raises(vs.MissingExtraError, match=r"vecsearch\[zh\]"):
        Analyzer(pinyin=True).load()


@pytest.mark.parametrize(
    ("text", "terms", "places"),
    [
        ("Ships and a ship", {"ship"}, ["Ships", "ship"]),
        ("怎么重置密碼吗", {"重置", "密码"}, ["重置", "密碼"]),
        ("密码码", {"密码", "码"}, ["密码", "码"]),
        ("ＳＨＩＰ", {"ship"}, ["ＳＨＩＰ"]),
        ("nothing", {"ship"}, []),
    ],
)
def test_places_of_terms(text: str, terms: set[str], places: list[str]) -> None:
    found = Analyzer().places(text, terms)
    assert "".join(text[start:stop] for start, stop in found) == "".join(places)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))


def test_a_dictionary_finds_words_beginnings_and_neighbors() -> None:
    words = sorted(["ship", "shop", "chip", "shipping", "sh", "密码", "密", "ab", "ba"])
    found = Dictionary(pa.array(sorted(words, key=str.encode), pa.large_string()))
    listed = [found.text(number) for number in range(len(found))]
    for word in words:
        assert listed[found.find(word)] == word
    assert found.find("nothing") == found.find("") == found.find("\ud800") == -1
    first, stop = found.beginning("sh")
    assert listed[first:stop] == [word for word in listed if word.startswith("sh")]

    def edits(a: str, b: str) -> int:
        """Optimal string alignment, cell by cell."""
        table = {(-1, -1): 0}
        for i in range(-1, len(a)):
            for j in range(-1, len(b)):
                if i == j == -1:
                    continue
                options = []
                if i >= 0:
                    options.append(table[i - 1, j] + 1)
                if j >= 0:
                    options.append(table[i, j - 1] + 1)
                if i >= 0 and j >= 0:
                    options.append(table[i - 1, j - 1] + (a[i] != b[j]))
                if i > 0 and j > 0 and a[i] == b[j - 1] and a[i - 1] == b[j]:
                    options.append(table[i - 2, j - 2] + 1)
                table[i, j] = min(options)
        return table[len(a) - 1, len(b) - 1]

    for wanted in ("ship", "hsip", "ab", "密", "shp"):
        for most in (0, 1, 2):
            near = {listed[number]: distance for number, distance in found.near(wanted, most)}
            assert near == {w: edits(w, wanted) for w in words if edits(w, wanted) <= most}


def test_an_empty_dictionary() -> None:
    empty = Dictionary(pa.array([], pa.large_string()))
    assert empty.find("a") == -1
    assert empty.near("a", 2) == []
    assert empty.beginning("a") == (0, 0)


def test_merged_postings_are_those_of_all_texts() -> None:
    texts = [["running ships", None, "a ship"], ["密码", "run runs"], [], ["", "zebra"]]
    analyzer = Analyzer()
    whole = postings_of([[text for part in texts for text in part]], analyzer)
    merged = merged_postings([postings_of([part], analyzer) for part in texts])
    assert merged.terms.equals(whole.terms)
    assert merged.forms.equals(whole.forms)
    for name in ("starts", "rows", "counts", "lengths", "form_terms"):
        assert getattr(merged, name).tolist() == getattr(whole, name).tolist()


def test_counts_are_of_each_column() -> None:
    postings = postings_of([["a b a", None], ["b", "a"]], Analyzer(language=None))
    assert postings.terms.to_pylist() == ["a", "b"]
    lists = [
        list(
            zip(
                postings.rows[start:stop].tolist(),
                postings.counts[start:stop].tolist(),
                strict=True,
            )
        )
        for start, stop in zip(postings.starts, postings.starts[1:], strict=False)
    ]
    assert lists == [[(0, 2)], [(1, 1)], [(0, 1)], [(0, 1)]]
    assert postings.lengths.tolist() == [[3, 0], [1, 1]]
