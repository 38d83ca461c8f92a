"""What turns a text into the terms that full-text search counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, Literal

from vecsearch.common.gate import gate
from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.text.words import fold, is_run, pieces, spans

FORMAT = 1  # goes up when the same options give other terms
MOST_STEMS = 500_000  # remembered at a time


@gate
@dataclass(frozen=True)
class Analyzer:
    """How texts become terms. A collection stores the one that it was made with.

    All texts are folded (NFKC, without case) and split into words at what is no letter or digit.
    Chinese, Japanese and Korean, and scripts without spaces, are read by pairs of characters.

    Args:
        language: The language whose word endings are cut off by Snowball's rules, such as
            "english" or "german". None keeps words as they are.
        chinese: "pairs" reads Chinese by pairs of characters, which needs no dictionary and misses
            nothing; "words" by the words of rjieba's dictionary (the extra `zh`).
        simplify: Whether traditional and simplified characters are the same.
        pinyin: Whether Chinese is also found by its pinyin, such as "mima" for 密码 (the extra
            `zh`).

    Example:
        >>> import vecsearch as vs
        >>> vs.Analyzer().terms("Running in the Straßen")
        ['run', 'in', 'the', 'strassen']
        >>> vs.Analyzer().terms("重置密碼")
        ['重置', '置密', '密码', '码']
        >>> vs.Analyzer(language=None).terms("running")
        ['running']
    """

    language: str | None = "english"
    chinese: Literal["pairs", "words"] = "pairs"
    simplify: bool = True
    pinyin: bool = False

    def __post_init__(self) -> None:
        if self.chinese not in ("pairs", "words"):
            raise InvalidInputError(
                f"chinese is {shown(self.chinese)}; it must be 'pairs' or 'words'"
            )
        for name in ("simplify", "pinyin"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(
                    f"{name} is {shown(getattr(self, name))}; it must be a bool"
                )
        if self.language is not None:
            known = _snowball().algorithms()
            if self.language not in known:
                raise InvalidInputError(
                    f"there are no rules for the language {shown(self.language)}"
                    f"{did_you_mean(str(self.language), known)}",
                    hint="or None for no endings",
                    command_hint="leave the option out for no endings",
                )

    def load(self) -> Analyzer:
        """Import what it needs. Raises MissingExtraError, naming what is not installed."""
        if self.chinese == "words":
            _ = self._cut
        if self.pinyin:
            _ = self._pinyin_of
        return self

    def terms(self, text: str) -> list[str]:
        """The terms of a document's text, in order, with repetitions."""
        stems = self.stems
        return [stems[word] for word in self.words(text)]

    def pieces(self, text: str) -> list[str]:
        """The terms of words, and runs of characters as they are, in order."""
        stems = self.stems
        found = pieces(fold(text, simplify=self.simplify))
        return [piece if is_run(piece) else stems[piece] for piece in found]

    def split(self, text: str) -> Iterable[list[str]]:
        """The words of each piece of a question, as `words` would give them without last ones."""
        for piece in pieces(fold(text, simplify=self.simplify)):
            if not is_run(piece):
                yield [piece]
            elif self.chinese == "words" and len(piece) > 1:
                yield self._cut(piece)
            else:
                yield _pairs(piece) if len(piece) > 1 else [piece]

    def words(self, text: str) -> list[str]:
        """The words of a document's text, before their endings are cut off.

        The last character of a run is a word by itself, so that each occurrence of a character
        begins exactly one word: one character is found by the words that begin with it.
        """
        found = pieces(fold(text, simplify=self.simplify))
        if text.isascii():
            return found
        words: list[str] = []
        for piece in found:
            if not is_run(piece):
                words.append(piece)
                continue
            own = _pairs(piece) if self.chinese == "pairs" else self._cut(piece)
            words += own
            if self.chinese == "pairs":
                words.append(piece[-1])
            if self.pinyin:
                words += [key for word in own for key in self._pinyin_of(word)]
                words += self._pinyin_of(piece[-1])
        return words

    def places(self, text: str, terms: Iterable[str]) -> list[tuple[int, int]]:
        """Where a text has some of these terms: spans of characters, in order, none overlapping."""
        wanted, stems = set(terms), self.stems
        found: list[tuple[int, int]] = []
        for start, stop in spans(text):
            folded = fold(text[start:stop], simplify=self.simplify)
            words = pieces(folded)
            if len(words) == 1 and is_run(words[0]) and len(folded) == stop - start:
                found += self._places_in_run(folded, start, wanted)
            elif any(stems[word] in wanted for word in self.words(text[start:stop])):
                found.append((start, stop))
        joined: list[tuple[int, int]] = []
        for start, stop in found:
            if joined and start < joined[-1][1]:
                joined[-1] = joined[-1][0], max(stop, joined[-1][1])
            else:
                joined.append((start, stop))
        return joined

    def _places_in_run(self, run: str, start: int, wanted: set[str]) -> list[tuple[int, int]]:
        widths = {len(term) for term in wanted}
        return sorted(
            (start + at, start + at + width)
            for width in widths
            for at in range(len(run) - width + 1)
            if run[at : at + width] in wanted
        )

    def to_dict(self) -> dict[str, Any]:
        """The full description, as the manifest stores it."""
        return asdict(self) | {"format": FORMAT}

    @cached_property
    def stems(self) -> Mapping[str, str]:
        """The term of each word."""
        if self.language is None:
            return _Same()
        return _Stems(_snowball().stemmer(self.language).stemWord)

    @cached_property
    def _cut(self) -> Callable[[str], list[str]]:
        cut: Callable[[str], list[str]] = require(
            "rjieba", "rjieba", "zh", "An analyzer of Chinese words"
        ).cut_for_search
        return cut

    @cached_property
    def _pinyin_of(self) -> Callable[[str], list[str]]:
        """The pinyin of a word, written together, and nothing for a word without one."""
        pypinyin = require("pypinyin", "pypinyin", "zh", "An analyzer with pinyin")
        known: dict[str, str] = {}

        def pinyin_of(word: str) -> list[str]:
            syllables = []
            for character in word:
                if character not in known:
                    read = pypinyin.lazy_pinyin(character, errors="ignore")
                    known[character] = read[0] if read else ""
                syllables.append(known[character])
            return ["".join(syllables)] if all(syllables) else []

        return pinyin_of

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (asdict(self),)


def _made(options: dict[str, Any]) -> Analyzer:
    return Analyzer(**options)


def analyzer_of(given: Any) -> Analyzer:
    """An analyzer as a caller gives it: None, a language, options, or an Analyzer.

    Raises InvalidInputError.
    """
    if given is None:
        return Analyzer()
    if isinstance(given, Analyzer):
        return given
    if isinstance(given, str):
        return Analyzer(language=given)
    if isinstance(given, Mapping):
        known = [field.name for field in fields(Analyzer)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise InvalidInputError(
                f"an analyzer has no option {shown(unknown[0])}"
                f"{did_you_mean(str(unknown[0]), known)}"
            )
        return Analyzer(**given)
    raise InvalidInputError(
        f"the analyzer is {shown(given)}; it must be a language, such as 'english', or an Analyzer"
    )


def stored_analyzer(description: Mapping[str, Any]) -> Analyzer:
    """The analyzer that a manifest describes.

    Raises:
        CorruptedError: This version of vecsearch does not know such an analyzer.
        MissingExtraError: What it needs is not installed.
    """
    options = dict(description)
    known = {field.name for field in fields(Analyzer)}
    if options.pop("format", None) != FORMAT or set(options) != known:
        raise CorruptedError(
            f"the collection is searched by words with {shown(dict(description))}, which this "
            "vecsearch does not know: upgrade it, or call build_text_index again"
        )
    return _loaded(tuple(sorted(options.items())))


@lru_cache(maxsize=16)
def _loaded(options: tuple[tuple[str, Any], ...]) -> Analyzer:
    """The analyzer of some options, the same object each time: it remembers stems."""
    return Analyzer(**dict(options)).load()


def _snowball() -> Any:
    import snowballstemmer

    return snowballstemmer


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]


class _Same(dict[str, str]):
    """Each word is its own term."""

    def __missing__(self, word: str) -> str:
        return word


class _Stems(dict[str, str]):
    """Words without their endings, each computed once."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self._stem = stem

    def __missing__(self, word: str) -> str:
        if len(self) > MOST_STEMS:
            self.clear()
        stem = self[word] = word if is_run(word) else self._stem(word)
        return stem


def whole_texts(column: Sequence[Any]) -> list[str]:
    """The values of a column of texts; a missing one is empty."""
    return ["" if value is None else str(value) for value in column]
