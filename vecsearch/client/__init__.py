"""Collections on a server: `vecsearch serve` at the other end."""

from vecsearch.client.collection import RemoteCollection, connect
from vecsearch.client.hits import RemoteHit, RemoteHits

__all__ = ["RemoteCollection", "RemoteHit", "RemoteHits", "connect"]
