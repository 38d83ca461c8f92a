"""Make an older version the latest."""

from __future__ import annotations

from vecsearch.storage import log
from vecsearch.storage.manifest import replace
from vecsearch.storage.store import Store


def rollback(store: Store, version: int) -> int:
    """Commit the content of an older version as a new version; its number.

    Generated ids go on from the largest one ever used. Raises VersionNotFoundError.
    """
    with store.locked() as latest:
        old = log.load(store.root, version)
        content = replace(
            old,
            version=latest.manifest.version,
            identity=latest.manifest.identity,
            next_id=max(old.next_id, latest.manifest.next_id),
        )
        following = content.next(f"restore {version}")
        store.commit(None, following)
        return following.version
