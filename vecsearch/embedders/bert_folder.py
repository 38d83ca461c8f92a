"""A BERT model in a sentence-transformers folder, read without PyTorch.

`read_bert` recognizes the common form: BERT in float32, its tokenizer, mean or first-token pooling,
perhaps unit length. Of anything else it returns None, and sentence-transformers loads the model. It
returns None as well where a file says something that is not known here, so that a model is never
read differently than sentence-transformers reads it.
"""

from __future__ import annotations

import json
import logging
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from vecsearch.common.lazy import lazy
from vecsearch.embedders.base import TokenCounts
from vecsearch.embedders.bert import Array, BertEncoder
from vecsearch.embedders.fingerprint import digest_of_parts, tensors_digest, text_digest

_log = logging.getLogger(__name__)
_MODULES = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}
_READS_TEXT = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
_NORMALIZES = {
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
}
_OLD_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# What a BertConfig has where config.json is silent, of the parts that a fingerprint covers.
_DEFAULTS = {
    "model_type": "bert",
    "num_attention_heads": 12,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "is_decoder": False,
}
_WORD_PIECE = {
    "type": "WordPiece",
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
}
_SPECIAL = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}


class _UnknownError(Exception):
    """A file of the model says something that is not known here."""


@dataclass(frozen=True)
class BertFolder:
    """A BERT model on disk; `encoder` maps its weights when it is first used.

    Attributes:
        folder: Where its files are.
        dim: Numbers in a vector.
        max_tokens: Tokens that are read of a text, special tokens included.
        prompts: Prompts of the configuration, by task.
        tokenizer: A `tokenizers.Tokenizer`, which neither pads nor cuts.
        known_digest: `tensors_digest` of the weights where the whole file was checked before.
    """

    folder: Path
    dim: int
    max_tokens: int
    prompts: Mapping[str, str | None]
    tokenizer: Any
    _weights: Mapping[str, Array]
    _config: Mapping[str, Any]
    _pooling: Literal["mean", "cls"]
    _normalize: bool
    _unknown_token: int
    known_digest: str | None = None

    def embed(self, texts: Sequence[str]) -> Array:
        """Embed texts: float32, shape (len(texts), dim), in the given order."""
        return self._encoder.encode(self._cut(texts))

    def token_vectors(self, texts: Sequence[str]) -> list[Array]:
        """A vector of unit length for each token of each text, special tokens included."""
        return self._encoder.token_vectors(self._cut(texts))

    def _cut(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts, as many as the model reads."""
        # [CLS] stands before a text and [SEP] after it, also where it is cut.
        return [
            ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], ids[-1]]
            for ids in self._ids(texts)
        ]

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """How many tokens texts have before they are cut, and how many of them are unknown."""
        ids = self._ids(texts)
        return TokenCounts(
            np.array([len(each) for each in ids], dtype=np.int64),
            np.array([each.count(self._unknown_token) for each in ids], dtype=np.int64),
        )

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts))]

    @lazy
    def _encoder(self) -> BertEncoder:
        config = self._config
        return BertEncoder(
            self._weights,
            layers=config["num_hidden_layers"],
            heads=config.get("num_attention_heads", 12),
            epsilon=config.get("layer_norm_eps", 1e-12),
            pooling=self._pooling,
            normalize=self._normalize,
        )

    def fingerprint(self, query_prompt: str, document_prompt: str) -> str:
        """What `model_fingerprint` says of the same model loaded by sentence-transformers."""
        architecture = {
            key: value
            for key, value in {**_DEFAULTS, **self._config}.items()
            if key in (*_DEFAULTS, "position_embedding_type")
        }
        pooling = {
            "embedding_dimension": self.dim,
            "pooling_mode": self._pooling,
            "include_prompt": True,
        }
        modules: list[tuple[str, Mapping[str, object]]] = [
            ("Transformer", _READS_TEXT),
            ("Pooling", pooling),
        ]
        if self._normalize:
            modules.append(("Normalize", _NORMALIZES))
        return digest_of_parts(
            weights=self.known_digest or self.weights_digest(),
            architecture=architecture,
            modules=[[name, {**known, "do_lower_case": False}] for name, known in modules],
            tokenizer=text_digest(self.tokenizer.to_str()),
            max_seq_length=self.max_tokens,
            truncate_dim=None,
            query_prompt=query_prompt,
            document_prompt=document_prompt,
        )

    def weights_digest(self) -> str:
        """`tensors_digest` of the weights that vectors depend on."""
        return tensors_digest(
            {name: each for name, each in self._weights.items() if "pooler." not in name}
        )


def read_bert(folder: Path, *, mapped: bool) -> BertFolder | None:
    """Read a model's folder, or return None if sentence-transformers has to load it.

    Args:
        folder: A folder as sentence-transformers saves it.
        mapped: Whether the weights stay on disk and are mapped into memory. It must be a file that
            nobody writes to.
    """
    try:
        return _read(folder, mapped)
    except _UnknownError as reason:
        _log.debug("%s is loaded by sentence-transformers: %s", folder, reason)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.debug("%s is loaded by sentence-transformers: %r", folder, error)
    return None


def _read(folder: Path, mapped: bool) -> BertFolder:
    pooling_folder, normalize = _modules(folder)
    config = _json(folder / "config.json")
    dim = _shape(config)
    pooling = _pooling(_json(pooling_folder / "config.json"), dim)
    head = _json(folder / "sentence_bert_config.json", {})
    limit = head.pop("max_seq_length", None)
    if head.pop("do_lower_case", False) or any(head[key] != _READS_TEXT.get(key) for key in head):
        raise _UnknownError("settings of the Transformer module")
    settings = _json(folder / "config_sentence_transformers.json", {})
    if settings.get("truncate_dim") is not None:
        raise _UnknownError("a truncated dimension")
    tokens = _json(folder / "tokenizer_config.json")
    if limit is None:
        limit = min(tokens["model_max_length"], config.get("max_position_embeddings", 512))
    if not isinstance(limit, int) or not 2 < limit <= config.get("max_position_embeddings", 512):
        raise _UnknownError(f"a maximum length of {limit}")
    tokenizer = _tokenizer(folder, tokens)
    return BertFolder(
        folder,
        dim,
        limit,
        settings.get("prompts") or {},
        tokenizer,
        _weights(folder / "model.safetensors", config, mapped),
        config,
        pooling,
        normalize,
        int(tokenizer.token_to_id("[UNK]")),
    )


def _modules(folder: Path) -> tuple[Path, bool]:
    """(the folder of the pooling's settings, whether vectors are normalized)."""
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    kinds = []
    for module in modules:
        name = module["type"].rpartition(".")[2]
        if module["type"] not in (_MODULES.get(name), f"sentence_transformers.models.{name}"):
            raise _UnknownError(f"a module {module['type']}")
        kinds.append(name)
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise _UnknownError(f"modules {kinds}")
    if modules[0]["path"]:
        raise _UnknownError("weights in a folder of their own")
    if len(modules) == 3:
        config = _json(folder / modules[2]["path"] / "config.json", {})
        if any(config[key] != _NORMALIZES.get(key) for key in config):
            raise _UnknownError("settings of the Normalize module")
    return folder / modules[1]["path"], len(modules) == 3


def _shape(config: Mapping[str, Any]) -> int:
    """The dimension of a BERT encoder that is of the known kind."""
    wanted = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "is_decoder": False,
        "add_cross_attention": False,
        "position_embedding_type": "absolute",
        "architectures": ["BertModel"],
        "dtype": "float32",
        "torch_dtype": "float32",
        "chunk_size_feed_forward": 0,
    }
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise _UnknownError(f"{key} is {config[key]!r}")
    if config.get("quantization_config") or "auto_map" in config:
        raise _UnknownError("a quantized model, or one with code of its own")
    dim, heads = config["hidden_size"], config.get("num_attention_heads", 12)
    if config["model_type"] != "bert" or dim % heads:
        raise _UnknownError("a shape that BERT does not have")
    return int(dim)


def _pooling(config: dict[str, Any], dim: int) -> Literal["mean", "cls"]:
    modes = [mode for key, mode in _OLD_POOLING.items() if config.pop(key, False)]
    mode = config.pop("pooling_mode", modes[0] if len(modes) == 1 else None)
    width = config.pop("embedding_dimension", config.pop("word_embedding_dimension", None))
    config.pop("word_embedding_dimension", None)
    if width != dim or config.pop("include_prompt", True) is not True or config:
        raise _UnknownError("settings of the Pooling module")
    if mode not in ("mean", "cls"):
        raise _UnknownError(f"pooling by {mode}")
    return cast("Literal['mean', 'cls']", mode)


def _tokenizer(folder: Path, settings: Mapping[str, Any]) -> Any:
    """The tokenizer, if it is BERT's as transformers would build it from the same files."""
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    layout = json.loads(text)
    # transformers builds the tokenizer from its settings and from the vocabulary alone.
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": settings.get("tokenize_chinese_chars", True),
        "strip_accents": settings.get("strip_accents"),
        "lowercase": settings.get("do_lower_case", True),
    }
    model = {key: value for key, value in layout["model"].items() if key != "vocab"}
    model.setdefault("type", "WordPiece")
    extra = [token for token in layout["added_tokens"] if not _is_special(token)]
    if (
        settings.get("tokenizer_class") not in ("BertTokenizer", "BertTokenizerFast")
        or layout["normalizer"] != normalizer
        or layout["pre_tokenizer"] != {"type": "BertPreTokenizer"}
        or layout["decoder"] != {"type": "WordPiece", "prefix": "##", "cleanup": True}
        or model != _WORD_PIECE
        or extra
        or len(layout["added_tokens"]) != len(_SPECIAL)
        or any(_content(settings.get(f"{key}_token", it)) != it for key, it in _SPECIAL.items())
        or settings.get("additional_special_tokens")
        or settings.get("truncation_side", "right") != "right"
        or settings.get("padding_side", "right") != "right"
    ):
        raise _UnknownError("a tokenizer of another form")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ends = [tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")]
    if tokenizer.encode("").ids != ends:
        raise _UnknownError("a tokenizer that puts other tokens around a text")
    return tokenizer


def _is_special(token: Mapping[str, Any]) -> bool:
    plain = not (token["single_word"] or token["lstrip"] or token["rstrip"] or token["normalized"])
    return plain and bool(token["special"]) and token["content"] in _SPECIAL.values()


def _content(token: object) -> object:
    """A special token of tokenizer_config.json, which is a text or an object with its content."""
    return token.get("content") if isinstance(token, dict) else token


def _weights(path: Path, config: Mapping[str, Any], mapped: bool) -> dict[str, Array]:
    """The tensors of a BertModel by name."""
    found = {
        name.removeprefix("bert."): tensor
        for name, tensor in read_safetensors(path, mapped).items()
        if not name.endswith("embeddings.position_ids")
    }
    dim, inner = config["hidden_size"], config.get("intermediate_size", 3072)
    wanted: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.get("vocab_size", 30522), dim),
        "embeddings.position_embeddings.weight": (config.get("max_position_embeddings", 512), dim),
        "embeddings.token_type_embeddings.weight": (config.get("type_vocab_size", 2), dim),
        "embeddings.LayerNorm.weight": (dim,),
        "embeddings.LayerNorm.bias": (dim,),
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}"
        for name, outputs, inputs in (
            ("attention.self.query", dim, dim),
            ("attention.self.key", dim, dim),
            ("attention.self.value", dim, dim),
            ("attention.output.dense", dim, dim),
            ("intermediate.dense", inner, dim),
            ("output.dense", dim, inner),
        ):
            wanted[f"{prefix}.{name}.weight"] = (outputs, inputs)
            wanted[f"{prefix}.{name}.bias"] = (outputs,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            wanted[f"{prefix}.{name}.weight"] = (dim,)
            wanted[f"{prefix}.{name}.bias"] = (dim,)
    shapes = {name: each.shape for name, each in found.items() if not name.startswith("pooler.")}
    if shapes != wanted:
        raise _UnknownError("weights that BERT does not have, or lacks")
    return found


def read_safetensors(path: Path, mapped: bool) -> dict[str, Array]:
    """The float32 tensors of a safetensors file, read-only; mapped into memory, or read.

    The file: the length of its head in 8 bytes, the head in JSON, then the tensors' bytes.

    Raises:
        ValueError: It is no such file, or a tensor is not of float32.
    """
    with path.open("rb") as file:
        data = memoryview(
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else file.read()
        )
    length = int.from_bytes(data[:8], "little")
    head = json.loads(bytes(data[8 : 8 + length]))
    body = data[8 + length :]
    tensors: dict[str, Array] = {}
    for name, layout in head.items():
        if name == "__metadata__":
            continue
        if layout["dtype"] == "I64" and name.endswith("position_ids"):
            continue
        first, end = layout["data_offsets"]
        if layout["dtype"] != "F32" or not 0 <= first <= end <= len(body):
            raise ValueError(f"{path}: the tensor {name} is of {layout['dtype']}, or cut off")
        flat = np.frombuffer(body[first:end], dtype="<f4")
        if not flat.flags.aligned:
            flat = flat.copy()
        tensors[name] = flat.reshape(layout["shape"])
    return tensors


def _json(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON object from a file; `default` where there is no file and one is given."""
    if default is not None and not path.exists():
        return default
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path} contains no object")
    return found
