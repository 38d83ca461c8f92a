"""Whether a model may be fetched from the network.

A model that the user names is fetched from the Hugging Face hub if it is not on this machine. A
model that only a collection names is not: somebody else may have made the collection.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SWITCH = "VECSEARCH_FETCH_MODELS"  # "1" in the environment lets collections name models to fetch
_local: ContextVar[bool] = ContextVar("_local", default=False)
_patching = threading.RLock()


@contextmanager
def this_machine_only() -> Iterator[None]:
    """Let adapters look for models on this machine only, unless the environment allows more."""
    token = _local.set(os.environ.get(SWITCH) != "1")
    try:
        yield
    finally:
        _local.reset(token)


def is_local_only() -> bool:
    """Whether a model may not be fetched now."""
    return _local.get()


@contextmanager
def hub_offline() -> Iterator[None]:
    """Keep libraries without such an option from asking the hub, if `is_local_only`."""
    if not is_local_only():
        yield
        return
    from huggingface_hub import constants

    with _patching:
        before = constants.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = True
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE = before
