"""Split a long document into passages, each a span of characters of the original text.

An embedding model reads only so many tokens and silently ignores the rest (all-MiniLM-L6-v2: 256), so a long document is
cut into passages that fit. Cuts fall on Markdown headings where possible, else between paragraphs, sentences, lines,
clauses and words, in that order; a word is cut only when it alone is too long. Chinese and Japanese sentences, which end in
。！？； without a space, are sentences here too.

The packing is chonkie's recursive chunker (the extra `chunk`; no tokenizer, no network). It sees a shadow of the text: a string
of the same length in which every true boundary has one spelling and false ones ("Dr. ", "1. ", a comment in a code block)
are masked. Lengths being equal, its offsets are offsets into the original.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import pairwise
from types import CodeType
from typing import Any

from vecsearch.common.optional import find_installed, require
from vecsearch.errors import InvalidInputError

Span = tuple[int, int]
SMALLEST_MAX_CHARS = 32
LARGEST_CJK_WEIGHT = 8


@dataclass(frozen=True)
class Chunker:
    """Splits on headings, paragraphs and sentences into passages of at most `max_chars` characters.

    max_chars   the most characters in a passage. 1000 letters of English are about 230 tokens, which fits MiniLM's window
                of 256; models that read 512 tokens take 2000.
    overlap     at most so many characters at the end of a passage are said again at the start of the next, from a
                sentence's start where there is one. At most half of max_chars.
    cjk_weight  how many characters a Chinese, Japanese or Korean one counts for in both numbers above. Models read about one
                token from each, and one from about four letters, so by default 1000 is 250 Chinese characters;
                1 counts every character alike.

    Raises InvalidInputError for values out of range.
    """

    max_chars: int = 1000
    overlap: int = 0
    cjk_weight: int = 4

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise InvalidInputError(f"chunker: {name} is {value!r}; it must be a whole number")
        if self.max_chars < SMALLEST_MAX_CHARS:
            raise InvalidInputError(
                f"chunker: {self.max_chars} characters are too few for a passage",
                hint=f"max_chars must be at least {SMALLEST_MAX_CHARS}",
                command_hint=f"--chunk-chars must be at least {SMALLEST_MAX_CHARS}",
            )
        if not 0 <= self.overlap <= self.max_chars // 2:
            raise InvalidInputError(
                f"chunker: overlap is {self.overlap}; it must be from 0 to half of max_chars"
            )
        if not 1 <= self.cjk_weight <= LARGEST_CJK_WEIGHT:
            raise InvalidInputError(
                f"chunker: cjk_weight is {self.cjk_weight}; it must be from 1 to {LARGEST_CJK_WEIGHT}"
            )

    @property
    def key(self) -> str:
        """A short digest of everything that decides the spans."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "sentences", **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Chunker:
        """The inverse of to_dict; missing values take their defaults. Raises InvalidInputError on unknown ones."""
        values = dict(values)
        kind = values.pop("kind", "sentences")
        if kind == "function":
            raise InvalidInputError(
                f"the collection's chunker is your own function {values.get('name')!r}",
                hint="pass it again, chunker=...",
                command_hint="use this collection from Python, where the function can be given",
            )
        unknown = values.keys() - asdict(cls()).keys()
        if kind != "sentences" or unknown:
            what = f"the kind {kind!r}" if kind != "sentences" else f"{sorted(unknown)[0]!r}"
            raise InvalidInputError(
                f"chunker: {what} is not known; known are max_chars, overlap and cjk_weight"
            )
        return cls(**values)

    def split(self, text: str) -> list[Span]:
        """Spans (start, end) of `text`, in order, as indices of Python characters.

        Together they cover every character that is not white space; none begins or ends in white space, none is longer than
        max_chars (as counted above). Blank text has none. Raises MissingExtraError without the extra `chunk`.
        """
        if self._measure(text) <= self.max_chars:
            return _trimmed(text, [(0, len(text))])
        limit = self.max_chars - self.overlap
        shadow = _shadow(text)
        pieces = [
            piece
            for start, end in _pack(shadow, limit, self.cjk_weight)
            for piece in self._cut(text, start, end, limit)
        ]
        spans = self._joined(shadow, _trimmed(text, pieces), limit)
        return self._with_overlap(shadow, spans) if self.overlap else spans

    def _joined(self, shadow: str, spans: list[Span], limit: int) -> list[Span]:
        """Join neighbours that fit into one passage, but not across a heading: what a cut inside a long sentence or section
        leaves over is often too short to mean anything alone."""
        joined: list[Span] = []
        for start, end in spans:
            if (
                joined
                and shadow[start] != "#"
                and self._measure(shadow[joined[-1][0] : end]) <= limit
            ):
                start = joined.pop()[0]
            joined.append((start, end))
        return joined

    def _measure(self, text: str) -> int:
        return measure(text, self.cjk_weight)

    def _cut(self, text: str, start: int, end: int, limit: int) -> Iterator[Span]:
        """Cut a piece without any boundary by length, if it is too long, but not inside what is read as one character."""
        used = 0
        for at in range(start, end):
            used += self._measure(text[at])
            if used > limit:
                cut = next(
                    (
                        c
                        for c in range(at, max(start, at - _LONGEST_CLUSTER), -1)
                        if _is_character_start(text, c)
                    ),
                    at,
                )
                yield start, cut
                start, used = cut, self._measure(text[cut : at + 1])
        yield start, end

    def _with_overlap(self, shadow: str, spans: list[Span]) -> list[Span]:
        widened = spans[:1]
        for (previous, _), (start, end) in pairwise(spans):
            # All of the passage before may be said again, unless that makes it a part of this one.
            lowest = previous if widened[-1][0] < previous else previous + 1
            room, floor = self.overlap, start
            while floor > lowest and (room := room - self._measure(shadow[floor - 1])) >= 0:
                floor -= 1
            widened.append(
                (floor if floor == previous else _resume_point(shadow, floor, start), end)
            )
        return widened


class FunctionChunker:
    """A chunker of one's own: a function from a text to its passages.

    The passages are spans (start, end), or strings that stand in the text in that order, or objects with `start_index` and
    `end_index` as chonkie's chunkers return. A function is not stored with a collection; its `key` digests its code, so that
    work staged under another version of the function is not taken up again.
    """

    def __init__(self, function: Callable[[str], Sequence[Any]]) -> None:
        self.function = function
        self.name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"

    @property
    def key(self) -> str:
        """`function.key` where the function has such an attribute, else a digest of its code and of what it closes over."""
        own = getattr(self.function, "key", None)
        manifest = own if isinstance(own, str) else _describe(self.function)
        return hashlib.sha256(
            f"{self.name}\n{manifest}".encode("utf-8", "backslashreplace")
        ).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "function", "name": self.name}

    def split(self, text: str) -> list[Span]:
        """Spans of `text` in order, without white space at their ends. Raises InvalidInputError when the function's answer
        does not fit the text."""
        spans: list[Span] = []
        for number, part in enumerate(self.function(text)):
            start, end = self._span(text, part, number, spans[-1][0] if spans else 0)
            if not 0 <= start <= end <= len(text) or (spans and start < spans[-1][0]):
                raise InvalidInputError(
                    f"the chunker {self.name} returned the span ({start}, {end}) as passage {number} of a text of {len(text)} "
                    "characters; spans must lie inside the text and come in order"
                )
            spans.append((start, end))
        return _trimmed(text, spans)

    def _span(self, text: str, part: Any, number: int, after: int) -> Span:
        if isinstance(part, str):
            start = text.find(part, after)
            if start < 0:
                raise InvalidInputError(
                    f"the chunker {self.name} returned passage {number}, {part[:40]!r}, which is not in the text after the "
                    "passage before; return spans (start, end) where passages are rewritten"
                )
            return start, start + len(part)
        pair = (part.start_index, part.end_index) if hasattr(part, "start_index") else part
        if (
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(isinstance(value, int) for value in pair)
        ):
            return pair
        raise InvalidInputError(
            f"the chunker {self.name} returned {part!r} as passage {number}; return spans (start, end) or str"
        )


def resolve_chunker(
    spec: bool
    | int
    | str
    | Mapping[str, Any]
    | Chunker
    | FunctionChunker
    | Callable[[str], Sequence[Any]]
    | None,
) -> Chunker | FunctionChunker | None:
    """What the user gave as `chunker=` as a chunker, or None for whole documents.

    None or False: no chunking; True or "default": the default; a number, also as text: that many characters at most; a mapping
    as from `to_dict`; a Chunker; or a function of one's own (see FunctionChunker).
    Raises InvalidInputError, or MissingExtraError without the extra `chunk`.
    """
    chunker: Chunker | FunctionChunker
    if spec is None or spec is False:
        return None
    if isinstance(spec, FunctionChunker):
        return spec
    if isinstance(spec, Chunker):
        chunker = spec
    elif spec is True or spec == "default":
        chunker = Chunker()
    elif isinstance(spec, int) or (isinstance(spec, str) and spec.isdecimal()):
        chunker = Chunker(max_chars=int(spec))
    elif isinstance(spec, Mapping):
        chunker = Chunker.from_dict(spec)
    elif callable(spec):
        return FunctionChunker(spec)
    else:
        raise InvalidInputError(
            f"chunker is {spec!r}; give True, a number of characters, vecsearch's Chunker, or a function"
        )
    find_installed("chonkie", "chonkie", "chunk", "Splitting long text")
    return chunker


# Chinese, Japanese and Korean letters, their punctuation (but not the wide space), and full-width forms.
_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u2fff\u3001-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)


def measure(text: str, cjk_weight: int) -> int:
    """The length of `text` in characters, a Chinese, Japanese or Korean one counted `cjk_weight` times."""
    return len(text) + (cjk_weight - 1) * len(_CJK.findall(text))


# How the shadow spells things: "\n\n" between paragraphs, ". " or ".\n" after a sentence in scripts with spaces, "。" in those
# without; the two masks stand for anything that only looks like a boundary, and weigh what it weighed or more.
_MASK, _CJK_MASK = "_", "一"
_LINE_ENDS = re.compile(r"\r(?!\n)|[\x0b\x0c\x85\u2028\u2029]")
_OTHER_SPACE = re.compile(r"[^\S\n]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BLANK_LINE = re.compile(r"\n( +)(?=\n)")
_CODE_BLOCK = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_CODE_COMMENT = re.compile(r"^#", re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6} .*)(\n+)", re.MULTILINE)
_LIST_NUMBER = re.compile(r"^( *\d{1,3})\.(?= )", re.MULTILINE)
_ABBREVIATION = re.compile(
    r"\b(Mrs?|Ms|Dr|Prof|[SJ]r|St|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Inc|Ltd|Co|Corp|vs|cf|ca|al|etc|approx|[Ff]igs?|[Ee]qs?|Nos?|[Vv]ol"
    r"|[Cc]h|[Ss]ec|pp?|eds?|Ph\.D|e\.g|i\.e|[ap]\.m|[A-Z])\.(?=\s)"
)
_SENTENCE_END = re.compile(r"""[.!?]+["'”’)\]]*(?=\s)""")
_CJK_SENTENCE_END = re.compile(r"""[。！？；｡।॥؟۔]+["'”’」』）》】)\]]*""")


def _shadow(text: str) -> str:
    """A string of the same length as `text` with its boundaries spelled as chonkie is told they are."""
    text = _OTHER_SPACE.sub(" ", _LINE_ENDS.sub("\n", _SURROGATES.sub(_MASK, text)))
    text = _BLANK_LINE.sub(lambda m: m[1] + "\n", text)
    text = _CODE_BLOCK.sub(lambda m: _CODE_COMMENT.sub(_MASK, m[0]), text)
    # A heading stays with the first sentence below it: a passage of a heading alone finds nothing.
    text = _HEADING.sub(lambda m: m[1] + " " * len(m[2]), text)
    text = _LIST_NUMBER.sub(lambda m: m[1] + _MASK, text)
    text = _ABBREVIATION.sub(lambda m: _MASK * len(m[0]), text)
    text = _SENTENCE_END.sub(lambda m: _MASK * (len(m[0]) - 1) + ".", text)
    return _CJK_SENTENCE_END.sub(lambda m: _CJK_MASK * (len(m[0]) - 1) + "。", text)


def _pack(shadow: str, limit: int, cjk_weight: int) -> list[Span]:
    chunks = _chonkie(limit, cjk_weight).chunk(shadow)
    return [(chunk.start_index, chunk.end_index) for chunk in chunks]


@lru_cache(maxsize=16)
def _chonkie(limit: int, cjk_weight: int) -> Any:
    chonkie = require("chonkie", "chonkie", "chunk", "Splitting long text")
    types = require("chonkie.types", "chonkie", "chunk", "Splitting long text")
    rules = types.RecursiveRules(
        levels=[
            types.RecursiveLevel(
                delimiters=["\n" + "#" * depth + " " for depth in range(1, 7)], include_delim="next"
            ),
            types.RecursiveLevel(delimiters=["\n\n"]),
            types.RecursiveLevel(delimiters=[". ", ".\n", "。"]),
            types.RecursiveLevel(delimiters=["\n"]),
            types.RecursiveLevel(delimiters=[", ", "; ", ": ", "，", "、", "：", "—", "…"]),
            types.RecursiveLevel(whitespace=True),
        ]
    )
    counter: Any = partial(measure, cjk_weight=cjk_weight)
    return chonkie.RecursiveChunker(
        tokenizer=counter, chunk_size=limit, rules=rules, min_characters_per_chunk=1
    )


def _resume_point(shadow: str, floor: int, start: int) -> int:
    """Where the overlap of a passage that starts at `start` begins: the first sentence, clause or word from `floor` on."""
    for boundary in _BOUNDARIES:
        found = boundary.search(shadow, floor - 1, start)
        if found and shadow[found.end() : start].strip():
            rest = shadow[found.end() : start]
            return found.end() + len(rest) - len(rest.lstrip())
    return start


_BOUNDARIES = (
    re.compile(r"\.(?=\s)|。|\n"),
    re.compile(r"[,;:](?=\s)|[，、：—…]"),
    re.compile(r"\s"),
)


def _trimmed(text: str, spans: Sequence[Span]) -> list[Span]:
    trimmed = []
    for start, end in spans:
        piece = text[start:end]
        if stripped := piece.strip():
            start += len(piece) - len(piece.lstrip())
            trimmed.append((start, start + len(stripped)))
    return trimmed


_LONGEST_CLUSTER = 32  # characters; an emoji of a whole family has 11
_ZERO_WIDTH_JOINER = "\u200d"


def _is_character_start(text: str, at: int) -> bool:
    """Whether what a reader takes for one character begins at `at`: not an accent, an emoji's modifier or its joined half."""
    this, before = text[at], text[at - 1]
    modifier = (
        unicodedata.category(this)[0] == "M"
        or "\U0001f3fb" <= this <= "\U0001f3ff"
        or this == _ZERO_WIDTH_JOINER
    )
    return not modifier and before != _ZERO_WIDTH_JOINER


def _describe(function: Any) -> str:
    """What decides a function's answers, as text: its code, defaults and closure; of other callables, their repr."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return repr(function)
    closed_over = [cell.cell_contents for cell in function.__closure__ or ()]
    return f"{_describe_code(code)} {function.__defaults__!r} {function.__kwdefaults__!r} {closed_over!r}"


def _describe_code(code: CodeType) -> str:
    constants = [
        _describe_code(value) if isinstance(value, CodeType) else repr(value)
        for value in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names!r} {constants!r}"
