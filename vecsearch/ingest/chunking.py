"""Split a long document into passages, each a span of characters of the original text.

An embedding model reads a limited number of tokens and silently ignores the rest
(all-MiniLM-L6-v2: 256), so a long document is cut into passages that fit. Each section under a
Markdown heading is cut apart from the others. Inside a section, cuts fall between paragraphs,
sentences, lines, clauses and words, in that order; a word is cut only when it alone is too long.
Chinese and Japanese sentences end in 。！？； without a space.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import CodeType
from typing import Any, TypeAlias

from vecsearch.common.gate import gate
from vecsearch.common.scripts import weighted_length
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.auto import AutoChunker
from vecsearch.ingest.heads import Heads
from vecsearch.ingest.packing import Packer, Weighted
from vecsearch.ingest.sentences import Span, trimmed_spans
from vecsearch.ingest.splitting import Splitting
from vecsearch.types import AUTO, counted

SMALLEST_MAX_CHARS = 32
LARGEST_CJK_WEIGHT = 8


@gate
@dataclass(frozen=True)
class Chunker:
    """Splits documents into passages of at most `max_chars` characters.

    A passage never crosses a Markdown heading, unless the whole text fits into one passage. It
    begins and ends with a paragraph, else a sentence, else a line, clause or word.

    Args:
        max_chars: The most characters in a passage, at least 32. 1000 letters of English are about
            230 tokens, which fits MiniLM's window of 256; models that read 512 tokens take 2000.
        overlap: The most characters at the end of a passage that are repeated at the start of the
            next one in the same section, from the start of a sentence where there is one. At most
            half of max_chars.
        cjk_weight: What a Chinese, Japanese or Korean character counts in both numbers above, from
            1 to 8. Models read about one token from each of them, and one from about four letters,
            so by default 1000 is 250 Chinese characters; 1 counts every character alike.

    Raises:
        InvalidInputError: A value is out of range.

    Example:
        >>> from vecsearch import Chunker
        >>> text = "One sentence is here. Another sentence follows."
        >>> [text[start:end] for start, end in Chunker(max_chars=32).split(text)]
        ['One sentence is here.', 'Another sentence follows.']
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
                f"chunker: a passage of {counted(self.max_chars, 'character')} is too short",
                hint=f"max_chars must be at least {SMALLEST_MAX_CHARS}",
                command_hint=f"--chunker takes auto, none, or at least {SMALLEST_MAX_CHARS}",
            )
        if not 0 <= self.overlap <= self.max_chars // 2:
            raise InvalidInputError(
                f"chunker: overlap is {self.overlap}; it must be from 0 to half of max_chars"
            )
        if not 1 <= self.cjk_weight <= LARGEST_CJK_WEIGHT:
            raise InvalidInputError(
                f"chunker: cjk_weight is {self.cjk_weight}; it must be from 1 to "
                f"{LARGEST_CJK_WEIGHT}"
            )

    @property
    def key(self) -> str:
        """A short digest of all settings."""
        settings = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values, as a collection stores them."""
        return {"kind": "sentences", **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Chunker:
        """The inverse of `to_dict`; missing values take their defaults.

        Raises:
            InvalidInputError: A value is unknown or out of range, or the chunker was a function,
                which is not stored.
        """
        values = dict(values)
        kind = values.pop("kind", "sentences")
        if kind == "function":
            raise InvalidInputError(
                f"the collection's chunker is your own function {values.get('name')!r}",
                hint="pass it again, chunker=...",
                command_hint="use this collection from Python, where the function can be given",
            )
        if kind != "sentences":
            raise InvalidInputError(
                f"chunker: unknown kind {kind!r}; the kinds are 'auto', 'sentences' and 'function'"
            )
        unknown = sorted(values.keys() - asdict(cls()).keys())
        if unknown:
            raise InvalidInputError(
                f"chunker: unknown setting {unknown[0]!r}; the settings are max_chars, overlap "
                "and cjk_weight"
            )
        return cls(**values)

    def split(self, text: str) -> list[Span]:
        """Split one document.

        Args:
            text: The document.

        Returns:
            Spans (start, end) in order, as indices of Python characters. Together they cover every
            character that is not white space; none begins or ends with white space, and none is
            longer than `max_chars`. Blank text has none.
        """
        if weighted_length(text, self.cjk_weight) <= self.max_chars:
            return trimmed_spans(text, [(0, len(text))])
        return Packer(text, Weighted(self.cjk_weight), self.max_chars, self.overlap).spans()

    def heads(self, text: str, title: str = "") -> Heads:
        """What stands over the passages of a document: at most a third of `max_chars`."""
        longest = self.max_chars // 3
        return Heads(text, title, lambda head: weighted_length(head, self.cjk_weight) <= longest)


class FunctionChunker:
    """A chunker of your own: a function from a text to its passages.

    A function is not stored with a collection: pass it again when you open the collection.

    Args:
        function: Returns the passages of a text in order, as spans (start, end), as strings that
            occur in the text, or as objects with `start_index` and `end_index`, such as the chunks
            of chonkie.

    Example:
        >>> from vecsearch.ingest.chunking import FunctionChunker
        >>> FunctionChunker(str.splitlines).split("first line\\nsecond line")
        [(0, 10), (11, 22)]
    """

    outlines = False  # what it says of pages and source code counts

    def __init__(self, function: Callable[[str], Sequence[Any]]) -> None:
        self.function = function
        module = getattr(function, "__module__", "")
        self.name = f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"

    @property
    def key(self) -> str:
        """`function.key` if the function has one, else a digest of its code and its closure."""
        key = getattr(self.function, "key", None)
        content = key if isinstance(key, str) else _describe(self.function)
        encoded = f"{self.name}\n{content}".encode("utf-8", "backslashreplace")
        return hashlib.sha256(encoded).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The name of the function, as a collection stores it."""
        return {"kind": "function", "name": self.name}

    def split(self, text: str) -> list[Span]:
        """Split one document.

        Args:
            text: The document.

        Returns:
            Spans (start, end) in order, without white space at their ends.

        Raises:
            InvalidInputError: What the function returned does not fit the text.
        """
        spans: list[Span] = []
        for number, passage in enumerate(self.function(text)):
            start, end = self._span(text, passage, number, spans[-1][0] if spans else 0)
            if not 0 <= start <= end <= len(text) or (spans and start < spans[-1][0]):
                raise InvalidInputError(
                    f"the chunker {self.name} returned the span ({start}, {end}) as passage "
                    f"{number} of a text of {counted(len(text), 'character')}; spans must lie "
                    "inside the text "
                    "and come in order"
                )
            spans.append((start, end))
        return trimmed_spans(text, spans)

    def _span(self, text: str, passage: Any, number: int, after: int) -> Span:
        if isinstance(passage, str):
            start = text.find(passage, after)
            if start < 0:
                raise InvalidInputError(
                    f"the chunker {self.name} returned passage {number}, {passage[:40]!r}, which "
                    "is not in the text after the passage before; return spans (start, end) where "
                    "passages are rewritten"
                )
            return start, start + len(passage)
        is_object = hasattr(passage, "start_index")
        span = (passage.start_index, passage.end_index) if is_object else passage
        if (
            isinstance(span, tuple)
            and len(span) == 2
            and all(isinstance(position, int) for position in span)
        ):
            return span
        raise InvalidInputError(
            f"the chunker {self.name} returned {passage!r} as passage {number}; return spans "
            "(start, end) or str"
        )


AnyChunker: TypeAlias = "AutoChunker | Chunker | FunctionChunker"


def resolve_chunker(
    spec: bool
    | int
    | str
    | Mapping[str, Any]
    | AutoChunker
    | Chunker
    | FunctionChunker
    | Callable[[str], Sequence[Any]]
    | None,
) -> AnyChunker | None:
    """The chunker that the user means by `chunker=`.

    Args:
        spec: "auto" to split what is longer than the model reads; None, False or "none" for whole
            documents; True or "default" for the default Chunker; a number, also as text, for that
            many characters at most; a mapping as from `to_dict`; a Chunker; or a function (see
            FunctionChunker).

    Returns:
        The chunker, or None for whole documents.

    Raises:
        InvalidInputError: The value is none of these, or a setting is out of range.
    """
    if spec is None or spec is False or (isinstance(spec, str) and spec == "none"):
        return None
    if isinstance(spec, FunctionChunker | AutoChunker | Chunker):
        return spec
    if isinstance(spec, str) and spec == AUTO:
        return AutoChunker()
    if spec is True or (isinstance(spec, str) and spec == "default"):
        return Chunker()
    if isinstance(spec, int) or (isinstance(spec, str) and spec.isdecimal()):
        return Chunker(max_chars=int(spec))
    if isinstance(spec, Mapping):
        return AutoChunker() if dict(spec) == {"kind": AUTO} else Chunker.from_dict(spec)
    if callable(spec):
        return FunctionChunker(spec)
    raise InvalidInputError(
        f"chunker is {shown(spec)}",
        hint='give "auto", None, a number of characters, a vecsearch.Chunker, or a function',
        command_hint="give auto, none, or a number of characters",
    )


def splitting_of(chunker: AnyChunker) -> Splitting:
    """How a collection with this chunker splits its texts."""
    if isinstance(chunker, AutoChunker):
        return Splitting(chunker.split, chunker.split_below, chunker.fits, chunker.heads)
    if isinstance(chunker, Chunker):
        return Splitting(chunker.split, heads=chunker.heads)
    return Splitting(chunker.split, outlines=chunker.outlines)


def _describe(function: Any) -> str:
    """What decides a function's result, as text; for other callables, their repr."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return repr(function)
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    defaults = f"{function.__defaults__!r} {function.__kwdefaults__!r}"
    return f"{_describe_code(code)} {defaults} {closure!r}"


def _describe_code(code: CodeType) -> str:
    constants = [
        _describe_code(value) if isinstance(value, CodeType) else repr(value)
        for value in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names!r} {constants!r}"
