"""Adds that were named by a key: one that was committed is not done again.

A client that hears no answer cannot know whether its add was committed. It sends the add again with
the same key. The version that an add commits holds its key and its result, so both are there or
neither is; the newest keys are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.storage.layout import REQUESTS_SETTING
from vecsearch.storage.manifest import Manifest
from vecsearch.types import AddResult

MOST_REQUESTS: Final = 100
LONGEST_KEY: Final = 200


def check_key(key: Any) -> None:
    """Raises InvalidInputError for what cannot be a key."""
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidInputError(
            f"idempotency_key is {shown(key)}; it must be a text of 1 to {LONGEST_KEY} letters, "
            "such as a UUID"
        )


def done_before(manifest: Manifest, key: str | None) -> AddResult | None:
    """The result of the add that was committed with this key; None if there is none."""
    numbers = None if key is None else manifest.settings.get(REQUESTS_SETTING, {}).get(key)
    return None if numbers is None else AddResult(*numbers)


def remembering(settings: Mapping[str, Any], key: str, result: AddResult) -> dict[str, Any]:
    """The settings with the key and the result of an add; the oldest keys go."""
    requests = dict(settings.get(REQUESTS_SETTING, {}))
    requests[key] = [
        result.added,
        result.replaced,
        result.skipped,
        result.embedded,
        result.version,
    ]
    newest = dict(list(requests.items())[-MOST_REQUESTS:])
    return {**settings, REQUESTS_SETTING: newest}
