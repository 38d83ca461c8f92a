"""The fingerprint of a sentence-transformers model: a digest of exactly what decides its vectors.

The model in memory is hashed, not its files: the same model from the hub, from a package or saved
again by another tool has the same tensors, but not the same bytes on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.engines import engine_for

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

# Parts of a transformers configuration that change vectors but not the shapes of the weights.
_ARCHITECTURE = (
    "model_type",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "activation",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "rms_norm_eps",
    "position_embedding_type",
    "rope_theta",
    "rope_parameters",
    "sliding_window",
    "is_decoder",
)


def model_fingerprint(model: SentenceTransformer, query_prompt: str, document_prompt: str) -> str:
    """Digest a model.

    Args:
        model: The loaded model.
        query_prompt: Text put before each query.
        document_prompt: Text put before each document.

    Returns:
        sha256 (hex) over weights, architecture, modules and their settings, tokenizer, maximum
        length and prompts.
    """
    return digest_of_parts(
        weights=_weights_digest(model),
        architecture=_architecture(model),
        modules=[[type(module).__name__, _settings(module)] for module in model.children()],
        tokenizer=_tokenizer_digest(model.tokenizer),
        max_seq_length=model.max_seq_length,
        truncate_dim=model.truncate_dim,
        query_prompt=query_prompt,
        document_prompt=document_prompt,
    )


def digest_of_parts(**parts: object) -> str:
    """sha256 (hex) over the parts of a model, by name."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def text_digest(text: str) -> str:
    """sha256 (hex) of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _weights_digest(model: SentenceTransformer) -> str:
    tensors = model.state_dict()
    return tensors_digest(
        {name: tensor for name, tensor in tensors.items() if not _is_unused(name, model)}
    )


def tensors_digest(tensors: Mapping[str, torch.Tensor | npt.NDArray[np.float32]]) -> str:
    """sha256 (hex) over dtype, shape and bytes of every tensor, in the order of their names.

    The names are not hashed: libraries rename whole prefixes between releases, which changes no
    vector. A numpy array counts as the tensor of the same numbers.
    """
    engine = engine_for(2)  # hashing releases the interpreter's lock
    digests = engine.map(lambda name: _tensor_digest(tensors[name]), sorted(tensors))
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _is_unused(name: str, model: SentenceTransformer) -> bool:
    """Whether a tensor belongs to BERT's own pooler while token embeddings are pooled instead.

    It has no influence on the vectors, and is random after each load of a model saved without it.
    """
    return (
        ".pooler." in name and getattr(model[0], "module_output_name", None) == "token_embeddings"
    )


def _tensor_digest(tensor: torch.Tensor | npt.NDArray[np.float32]) -> str:
    if isinstance(tensor, np.ndarray):
        digest = hashlib.sha256(f"torch.{tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).data)
        return digest.hexdigest()
    import torch

    flat = tensor.detach().to("cpu").contiguous()
    digest = hashlib.sha256(f"{flat.dtype} {tuple(flat.shape)}".encode())
    digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _architecture(model: SentenceTransformer) -> dict[str, Any]:
    config = model.config
    found = {} if config is None else {key: getattr(config, key, None) for key in _ARCHITECTURE}
    return {key: value for key, value in found.items() if value is not None}


def _settings(module: torch.nn.Module) -> dict[str, Any]:
    """A module's saved settings (pooling mode, activation, lower-casing ...) as plain values."""
    get_config = getattr(module, "get_config_dict", None)
    settings: dict[str, Any] = {} if get_config is None else dict(get_config())
    settings["do_lower_case"] = bool(getattr(module, "do_lower_case", False))
    return settings


def _tokenizer_digest(tokenizer: Any) -> str:
    """Digest of the serialized tokenizer, without the padding and truncation of the last call."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):  # a tokenizer in Python: its vocabulary and special tokens
        vocabulary = (
            sorted(tokenizer.get_vocab().items()) if hasattr(tokenizer, "get_vocab") else []
        )
        special = sorted(map(str, getattr(tokenizer, "all_special_tokens", [])))
        return hashlib.sha256(
            json.dumps([type(tokenizer).__name__, vocabulary, special]).encode()
        ).hexdigest()
    truncation, padding = backend.truncation, backend.padding
    backend.no_truncation()
    backend.no_padding()
    try:
        return text_digest(backend.to_str())
    finally:
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)
