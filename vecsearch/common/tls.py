"""The certificates that servers are checked with."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """httpx's own context, made once: it reads all certificates, which takes some 20 ms."""
    import httpx

    return httpx.create_ssl_context()
