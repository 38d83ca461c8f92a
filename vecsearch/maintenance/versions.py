"""Make an older version the latest."""

from __future__ import annotations

from dataclasses import replace

from vecsearch.storage import log
from vecsearch.storage.store import Store


def rollback(store: Store, version: int) -> int:
    """Commit the content of an older version as the latest; the new version's number."""
    with store.locked() as latest:
        old = log.load(store.root, version)
        again = replace(
            old, version=latest.manifest.version, next_id=max(old.next_id, latest.manifest.next_id)
        ).next(f"restore {version}")
        store.commit(None, again)
        return again.version
