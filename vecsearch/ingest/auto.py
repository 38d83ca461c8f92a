"""The chunker "auto": what is longer than the model reads is split, so that all of it is found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final

from vecsearch.ingest.heads import Heads, with_head
from vecsearch.ingest.packing import Packer
from vecsearch.ingest.sentences import Span, trimmed_spans
from vecsearch.ingest.windows import Window
from vecsearch.types import AUTO

_HEAD_SHARE: Final = 1 / 3  # the most of a window that goes to what stands over a passage
_TRIES: Final = 4


class AutoChunker:
    """Splits what is longer than the model reads, and leaves all other texts as they are.

    Args:
        model: Gives the model, when it is first needed.
    """

    def __init__(self, model: Callable[[], Any] = lambda: None) -> None:
        self._model = model

    @property
    def key(self) -> str:
        """A short digest of the settings; there are none."""
        return hashlib.sha256(AUTO.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values, as a collection stores them."""
        return {"kind": AUTO}

    @cached_property
    def window(self) -> Window:
        """What the model reads."""
        return Window(self._model())

    def fits(self, texts: Sequence[str | None]) -> list[bool]:
        """Whether each text stays whole."""
        return self.window.fits(texts)

    def split(self, text: str, title: str = "") -> list[Span]:
        """Spans of one document, as `Chunker.split` returns them; one where the text fits.

        Args:
            text: The document.
            title: What stands over each passage.
        """
        window = self.window
        limit = window.limit
        if limit is None or window.fits([with_head(title, text)])[0]:
            return trimmed_spans(text, [(0, len(text))])
        if not window.cuts:
            return Packer(text, window.measure, limit).spans()
        heads = self.heads(text, title)
        packer = Packer(text, window.measure, limit, reserve=lambda at: self._size(heads.at(at)))
        return self._fitting(packer, packer.spans(), heads, limit)

    def split_below(self, title: str, text: str) -> list[Span]:
        """As `split`, with room for a title above each passage."""
        return self.split(text, title)

    def heads(self, text: str, title: str = "") -> Heads:
        """What stands over the passages of a document, as far as it leaves room for them."""
        limit = self.window.limit
        if limit is None or not self.window.cuts:
            return Heads(text, title)
        return Heads(text, title, lambda head: self._size(head) <= limit * _HEAD_SHARE)

    def _size(self, text: str) -> int:
        return self.window.measure.sizes([text])[0] if text else 0

    def _fitting(self, packer: Packer, spans: list[Span], heads: Heads, limit: int) -> list[Span]:
        """The passages, cut again where what is embedded of one is too long after all.

        Lengths of pieces add up to a little more or less than that of the whole.
        """
        sizes = self.window.measure.sizes(
            [with_head(heads.at(start), packer.text[start:end]) for start, end in spans]
        )
        fitting: list[Span] = []
        for span, size in zip(spans, sizes, strict=True):
            fitting += [span] if size <= limit else self._shorter(packer, span, heads, limit)
        return fitting

    def _shorter(self, packer: Packer, span: Span, heads: Heads, limit: int) -> list[Span]:
        measure = self.window.measure
        parts = [span]
        for attempt in range(1, _TRIES + 1):
            room = limit - self._size(heads.at(span[1] - 1)) - attempt
            parts = packer.cut(span, max(1, int(room * (1 - 0.15 * (attempt - 1)))))
            texts = [with_head(heads.at(start), packer.text[start:end]) for start, end in parts]
            if max(measure.sizes(texts)) <= limit:
                break
        return parts
