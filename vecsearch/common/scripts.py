"""Ranges of characters by script, for classes of regular expressions, and weighted lengths."""

from __future__ import annotations

import re

KANA = r"\u3040-\u30ff"
IDEOGRAPHS = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HANGUL = r"\uac00-\ud7af"
# Scripts that are written without spaces between words.
UNSPACED = KANA + IDEOGRAPHS
# Letters of Chinese, Japanese and Korean, of which a few make a word.
CJK_LETTERS = UNSPACED + HANGUL
# All of Chinese, Japanese and Korean: letters and their parts, punctuation without the wide space,
# and full-width forms. Embedding models read about one token from each.
CJK = r"\u1100-\u11ff\u2e80-\u2fff\u3001-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
CJK += r"\U00020000-\U0003ffff"


_CJK_CHARACTER = re.compile(f"[{CJK}]")


def weighted_length(text: str, cjk_weight: int) -> int:
    """The length of a text, with each Chinese, Japanese or Korean character counted so often."""
    return len(text) + (cjk_weight - 1) * len(_CJK_CHARACTER.findall(text))
