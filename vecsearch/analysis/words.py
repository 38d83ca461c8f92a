"""Words of texts, for labels of clusters and for `classify`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise, permutations

import numpy as np

from vecsearch.common.scripts import CJK_LETTERS

# Compiled when they are first used: each takes milliseconds, of which most processes need none.
_WORD = rf"[{CJK_LETTERS}]+|[^\W\d_{CJK_LETTERS}][^\W_{CJK_LETTERS}]+"
_TERM = rf"[{CJK_LETTERS}]|[^\W_{CJK_LETTERS}]+"
_CJK = f"[{CJK_LETTERS}]"
# Characters that join words and mean little by themselves.
LONGEST = 8  # characters of a word that is put together
_JOINING = frozenset(
    "的了是在和与及或也就都而之其于以为有不我你他她它们这那个一上下中对从被把将让等着过到"
)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; of scripts without spaces, pairs of characters.

    Example:
        >>> words_of("A red Boat, 光合作用")
        ['red', 'boat', '光合', '合作', '作用']
    """
    found: list[str] = []
    for word in re.findall(_WORD, unicodedata.normalize("NFKC", text).casefold()):
        if not re.match(_CJK, word):
            found.append(word)
        else:
            pairs = [word[at : at + 2] for at in range(len(word) - 1)] or [word]
            found += [pair for pair in pairs if not _JOINING & set(pair)]
    return found


def terms_of(text: str) -> list[str]:
    """What a model of texts sees: words, pairs of words, and of scripts without spaces characters.

    Unlike `words_of` it leaves out nothing: a "not" may decide.

    Example:
        >>> terms_of("Not good, 不好")
        ['not', 'good', '不', '好', 'not good', 'good 不', '不 好']
    """
    words = re.findall(_TERM, unicodedata.normalize("NFKC", text).casefold())
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def cluster_words(
    texts: Sequence[str], clusters: np.ndarray, count: int, most: int = 3
) -> list[str]:
    """The words that tell each cluster from the others, joined by commas.

    A word weighs its documents in the cluster, times the logarithm of 1 + the mean number of words
    of a cluster through the word's documents in all (class-based tf-idf: Grootendorst, "BERTopic",
    2022). English stop words are left out, and pairs of characters that overlap become one word.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    inside: list[Counter[str]] = [Counter() for _ in range(count)]
    for text, cluster in zip(texts, clusters.tolist(), strict=True):
        inside[cluster].update(set(words_of(text)) - ENGLISH_STOP_WORDS)
    everywhere: Counter[str] = Counter()
    for words in inside:
        everywhere.update(words)
    mean = sum(everywhere.values()) / max(count, 1)
    labels = []
    for words in inside:
        weights = {word: n * np.log1p(mean / everywhere[word]) for word, n in words.items()}
        best = sorted(weights, key=lambda word: (-weights[word], word))
        labels.append(", ".join(_joined(best[: 3 * most], words)[:most]))
    return labels


def _joined(words: list[str], counts: Counter[str]) -> list[str]:
    """Words with pairs that overlap put together: 光合, 合作 and 作用 become 光合作用."""
    joined = list(words)
    while True:
        for first, second in permutations(range(len(joined)), 2):
            if _overlaps(joined[first], joined[second], counts):
                whole = joined[first] + joined[second][1:]
                joined[min(first, second)] = whole
                del joined[max(first, second)]
                break
        else:
            return joined


def _overlaps(left: str, right: str, counts: Counter[str]) -> bool:
    """Whether two parts of a word without spaces are about as frequent, and go on in each other."""
    if not re.match(_CJK, left) or not re.match(_CJK, right) or left[-1] != right[0]:
        return False
    often = counts[left[-2:]], counts[right[:2]]
    return len(left) + len(right) <= LONGEST and min(often) >= 0.8 * max(often)
