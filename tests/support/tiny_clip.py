"""A CLIP and a SigLIP with random weights: the real weights are not available offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def tiny_clip(folder: Path) -> str:
    """A CLIP of one layer, saved as sentence-transformers loads one by name; its folder."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    torch.manual_seed(0)
    layers = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    text = {
        **layers,
        "vocab_size": 60,
        "max_position_embeddings": 20,
        "bos_token_id": 58,
        "eos_token_id": 59,
        "pad_token_id": 59,
    }
    config = CLIPConfig(
        text_config=text,
        vision_config={**layers, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    letters = [
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz"),
    ]
    vocabulary = {token: row for row, token in enumerate(letters)}
    vocabulary |= {"<|startoftext|>": 58, "<|endoftext|>": 59}
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=20).save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 16},
        "crop_size": {"height": 16, "width": 16},
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "do_resize": True,
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_convert_rgb": True,
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    return str(folder)


def tiny_siglip(folder: Path) -> str:
    """A SigLIP of one layer that reads single letters; its folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel

    torch.manual_seed(0)
    layers = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    special = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 1}
    text = {**layers, **special, "vocab_size": 60, "max_position_embeddings": 20}
    config = SiglipConfig(
        text_config={**text, "projection_size": 16},
        vision_config={**layers, "image_size": 16, "patch_size": 8},
    )
    SiglipModel(config).save_pretrained(folder)
    letters = ["<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(
        models.WordLevel({token: row for row, token in enumerate(letters)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    wrapped: Any = PreTrainedTokenizerFast
    wrapped(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="</s>",
        eos_token="</s>",
        model_max_length=20,
    ).save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": 16, "width": 16},
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "do_resize": True,
        "do_normalize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_convert_rgb": True,
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "processor_config.json").write_text(
        json.dumps({"processor_class": "SiglipProcessor"})
    )
    return str(folder)
