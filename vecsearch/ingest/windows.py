"""How much of a text a model reads, and so how long its passages may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from vecsearch.ingest.packing import Measure, Weighted

CJK_WEIGHT: Final = 4
CHARACTERS_A_TOKEN: Final = 3.5  # a cautious estimate for models that cannot count
FEWEST_TOKENS: Final = 8  # of a passage; a smaller window is taken for this one
COUNTED_TOGETHER: Final = 256
_BYTES_A_CHARACTER: Final = 4


class Counted(NamedTuple):
    """Tokens of texts, those left out that a model adds to every text.

    Attributes:
        lengths: Tokens of each text.
        unknown: How many of them the model does not know.
    """

    lengths: list[int]
    unknown: list[int]


class Window:
    """How much of a text one model reads.

    Args:
        model: The embedder. It may have `max_tokens`, how many tokens of a text it reads;
            `count_tokens(texts)`, which gives their `lengths` and how many are `unknown`;
            `document_prompt`, put before each text; and, if it reads all but sums it up,
            `passage_chars`, how many characters it represents well (a Chinese, Japanese or Korean
            one counts as four).
    """

    def __init__(self, model: Any) -> None:
        self.name = str(getattr(model, "name", ""))
        self.max_tokens = _positive(getattr(model, "max_tokens", None))
        self.passage_chars = _positive(getattr(model, "passage_chars", None))
        self._count: Callable[[Sequence[str]], Any] | None = getattr(model, "count_tokens", None)
        prompt = getattr(model, "document_prompt", None) or ""
        self._added = [len(prompt) // 3 + 2] * 2  # tokens with the prompt, and without it
        if self._count is not None:
            counts = self._count([prompt, ""])
            if counts is None:
                self._count = None
            else:
                self._added = [int(length) for length in counts.lengths]

    @property
    def counts(self) -> bool:
        """Whether the model can count the tokens of a text."""
        return self._count is not None

    @property
    def limit(self) -> int | None:
        """The longest passage in the unit of `measure`; None for a model that takes any text."""
        if self.max_tokens is None:
            return self.passage_chars
        tokens = max(FEWEST_TOKENS, self.max_tokens - self._added[0])
        return tokens if self.counts else int(tokens * CHARACTERS_A_TOKEN)

    @property
    def measure(self) -> Measure:
        """What passages are measured with."""
        is_counted = self.counts and self.max_tokens is not None
        return _Tokens(self) if is_counted else Weighted(CJK_WEIGHT)

    @property
    def cuts(self) -> bool:
        """Whether the model leaves out what is beyond the limit."""
        return self.max_tokens is not None

    def tokens(self, texts: Sequence[str]) -> Counted:
        """The tokens of texts; none of a model that cannot count."""
        counted = Counted([], [])
        if self._count is None:
            return counted
        for first in range(0, len(texts), COUNTED_TOGETHER):
            part = [_encodable(text) for text in texts[first : first + COUNTED_TOGETHER]]
            counts = self._count(part)
            counted.lengths.extend(max(0, int(size) - self._added[1]) for size in counts.lengths)
            counted.unknown.extend(int(number) for number in counts.unknown)
        return counted

    def fits(self, texts: Sequence[str | None]) -> list[bool]:
        """Whether each text is short enough for one passage."""
        limit = self.limit
        if limit is None:
            return [True] * len(texts)
        # A token has at least one byte, so a text with few bytes has few tokens.
        fits = [text is None or _BYTES_A_CHARACTER * len(text) <= limit for text in texts]
        unsure = [number for number, sure in enumerate(fits) if not sure]
        sizes = self.measure.sizes([texts[number] or "" for number in unsure])
        for number, size in zip(unsure, sizes, strict=True):
            fits[number] = size <= limit
        return fits


class _Tokens:
    """Lengths in tokens of a model."""

    def __init__(self, window: Window) -> None:
        self.window = window

    def sizes(self, pieces: Sequence[str]) -> list[int]:
        """The tokens of each piece."""
        return self.window.tokens(pieces).lengths


def _positive(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and value > 0 else None


def _encodable(text: str) -> str:
    """The text without halves of characters, which tokenizers refuse."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
