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
from pathlib import Path

from vecsearch.common.show import first_line

SWITCH = "VECSEARCH_FETCH_MODELS"  # "1" in the environment lets collections name models to fetch
SECONDS = 20  # for the hub to answer
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
def hub_offline(name: str) -> Iterator[str | None]:
    """Keep libraries from asking the hub, if `is_local_only` or if it does not answer.

    They would try again for a minute, with two lines about each time.

    Args:
        name: The model, or its folder.

    Yields:
        Why the hub cannot be asked; None if it answers, or if it need not or may not be asked.
    """
    fault = None if is_local_only() or Path(name).exists() else hub_fault()
    if fault is None and not is_local_only():
        yield None
        return
    from huggingface_hub import constants

    with _patching:
        before = constants.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = True
        try:
            yield fault
        finally:
            constants.HF_HUB_OFFLINE = before


def hub_fault() -> str | None:
    """Why the hub does not answer one request; None if it does, or is not to be asked."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception as error:  # of requests or httpx, by the version
        return f"{constants.ENDPOINT} does not answer ({first_line(error)})"
    return None
