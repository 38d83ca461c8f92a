"""What kind of model a name or a folder of sentence-transformers holds, by its settings alone."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Literal

from vecsearch.common.kinds import is_model_name
from vecsearch.common.show import cut, first_line, shown
from vecsearch.embedders.catalog import cached_snapshot
from vecsearch.embedders.network import hub_offline, is_local_only
from vecsearch.errors import EmbedderError

_log = logging.getLogger(__name__)
ModelKind = Literal["cross-encoder", "multi-vector", "bi-encoder"]
_BY_TYPE: dict[str, ModelKind] = {
    "CrossEncoder": "cross-encoder",
    "MultiVectorEncoder": "multi-vector",
    "ColBERT": "multi-vector",
    "SentenceTransformer": "bi-encoder",
}
WORDS: dict[ModelKind, str] = {
    "cross-encoder": "a cross-encoder",
    "multi-vector": "a model of token vectors",
    "bi-encoder": "an embedding model",
}


def model_kind(name: str) -> ModelKind | None:
    """The kind of a model, by the settings in its folder or on the hub; None if they do not say.

    Args:
        name: A folder, or a name on the Hugging Face hub, whose settings are fetched if they are
            not on this machine.

    Raises:
        EmbedderError: The name is none, or there is no such model.
    """
    if not is_model_name(name):
        raise EmbedderError(f"{shown(name)} is not the name of a model or a folder")
    folder = Path(name)
    if folder.exists():
        if not folder.is_dir() or not (folder / "config.json").exists():
            raise EmbedderError(
                f"'{name}' contains no model: "
                + ("config.json is not there" if folder.is_dir() else "it is no folder")
            )
    else:
        folder = cached_snapshot(name) or _fetched(name)
    settings = _json(folder / "config_sentence_transformers.json")
    if settings.get("model_type") in _BY_TYPE:
        return _BY_TYPE[settings["model_type"]]
    if "query_prefix" in settings:  # of PyLate
        return "multi-vector"
    architectures = _json(folder / "config.json").get("architectures") or [""]
    if "HF_ColBERT" in architectures or str(architectures[0]).endswith("ForRetrieval"):
        return "multi-vector"
    if str(architectures[0]).endswith("ForSequenceClassification"):
        return "cross-encoder"
    return "bi-encoder" if (folder / "modules.json").exists() else None


def cannot_load(name: str, error: object) -> EmbedderError:
    """The error for a model that cannot be loaded."""
    return EmbedderError(
        f"cannot load the model '{name}': {cut(first_line(error), 200)}",
        hint="give the folder of a model, or set HF_ENDPOINT to a mirror of the Hugging Face hub",
    )


def _fetched(name: str) -> Path:
    """The folder of a hub's model with its settings."""
    if is_local_only():
        raise cannot_load(name, "it is not on this machine")
    with hub_offline(name) as fault:
        try:
            from huggingface_hub import snapshot_download

            return Path(snapshot_download(name, allow_patterns=["*.json"]))
        except Exception as error:
            _log.debug("fetching '%s' failed", name, exc_info=True)
            raise cannot_load(name, fault or error) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
