"""Find words in a sorted list of them: one, those that begin alike, and those that are near."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.lazy import lazy

Numbers = npt.NDArray[np.int64]
AFTER_ALL = b"\xff"  # no UTF-8 text begins so
PART = 65_536  # words that are compared together


class Dictionary:
    """Words in the order of their bytes, read where they are. Thread-safe.

    Args:
        words: A large_string array without nulls, ascending.
    """

    def __init__(self, words: pa.Array) -> None:
        self.words = words
        _, offsets, data = words.buffers()
        first = words.offset
        self._offsets: Numbers = np.frombuffer(offsets, np.int64)[first : first + len(words) + 1]
        self._data = memoryview(b"" if data is None else data)

    def __len__(self) -> int:
        return len(self.words)

    def find(self, word: str) -> int:
        """The number of a word; -1 if it is not there."""
        key = _bytes(word)
        at = self._first_from(key)
        return at if at < len(self) and self._word(at) == key else -1

    def beginning(self, prefix: str) -> tuple[int, int]:
        """The numbers of the words that begin so: from the first to the second."""
        key = _bytes(prefix)
        return self._first_from(key), self._first_from(key + AFTER_ALL)

    def near(self, word: str, edits: int) -> list[tuple[int, int]]:
        """The words within so many edits: their numbers and edits.

        An edit inserts, removes or changes a character, or exchanges two that are neighbors.
        """
        lengths, codes = self._characters
        target = np.array([ord(character) for character in word], np.uint32)
        found: list[tuple[int, int]] = []
        for first in range(0, len(self), PART):
            part = np.arange(first, min(first + PART, len(self)))
            part = part[np.abs(lengths[part] - len(target)) <= edits]
            for width in np.unique(lengths[part]).tolist():
                numbers = part[lengths[part] == width]
                starts = self._starts[numbers]
                words = codes[starts[:, None] + np.arange(width)]
                distances = _edits(words, target)
                close = distances <= edits
                found += zip(numbers[close].tolist(), distances[close].tolist(), strict=True)
        return sorted(found)

    def text(self, number: int) -> str:
        """The word of a number."""
        return self._word(number).decode()

    def _word(self, number: int) -> bytes:
        return bytes(self._data[self._offsets[number] : self._offsets[number + 1]])

    def _first_from(self, key: bytes) -> int:
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._word(middle) < key:
                low = middle + 1
            else:
                high = middle
        return low

    @lazy
    def _characters(self) -> tuple[Numbers, npt.NDArray[np.uint32]]:
        """The characters of each word, and all of them one after the other."""
        whole = b"".join([self._word(number) for number in range(len(self))]).decode()
        codes = np.frombuffer(whole.encode("utf-32-le"), np.uint32)
        lengths = np.array([len(word) for word in self.words.to_pylist()], np.int64)
        return lengths, codes

    @lazy
    def _starts(self) -> Numbers:
        lengths = self._characters[0]
        return np.cumsum(lengths) - lengths


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")


def _edits(words: npt.NDArray[np.uint32], target: npt.NDArray[np.uint32]) -> Numbers:
    """Edits from each word (rows of one length) to another: optimal string alignment."""
    count, width = words.shape
    before = np.zeros((count, len(target) + 1), np.int64)
    last = np.broadcast_to(np.arange(len(target) + 1), (count, len(target) + 1)).copy()
    for at in range(width):
        row = np.empty_like(last)
        row[:, 0] = at + 1
        changed = words[:, at, None] != target[None]
        for to in range(len(target)):
            row[:, to + 1] = np.minimum(
                np.minimum(last[:, to + 1], row[:, to]) + 1, last[:, to] + changed[:, to]
            )
            if at and to:
                swapped = (words[:, at] == target[to - 1]) & (words[:, at - 1] == target[to])
                swap = np.where(swapped, before[:, to - 1] + 1, row[:, to + 1])
                row[:, to + 1] = np.minimum(row[:, to + 1], swap)
        before, last = last, row
    return last[:, -1]
