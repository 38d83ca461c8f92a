"""What FAISS's exceptions say."""

from __future__ import annotations

import re


def is_faiss_error(error: BaseException) -> bool:
    """Whether the error comes from FAISS's own checks."""
    return str(error).startswith("Error in ")


def faiss_reason(error: BaseException) -> str:
    """What an error of FAISS says, without the places in FAISS's source that come first.

    Example:
        >>> from vecsearch.common.faiss_errors import faiss_reason
        >>> faiss_reason(RuntimeError("Error in f at a.cpp:7: Error: 'n > 0' failed: no data"))
        'no data'
        >>> faiss_reason(RuntimeError("Error in f at a.cpp:7: could not open x"))
        'could not open x'
    """
    text = str(error).strip()
    told = text.rpartition(" failed: ")[2].rpartition("Error: ")[2].strip()
    if told.startswith("Error in "):  # "Error in <function> at <file>:<line>: <text>"
        told = re.sub(r"^Error in .*? at \S+:\d+: ", "", told, flags=re.DOTALL)
    return told or text or type(error).__name__
