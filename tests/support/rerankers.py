"""Tiny models of random weights that rerank, saved as sentence-transformers saves them."""

from __future__ import annotations

from pathlib import Path


def make_cross_encoder(bi_encoder: str, folder: Path, labels: int = 1) -> str:
    """A cross-encoder with the shape and the tokenizer of a bi-encoder's folder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    config = BertConfig.from_pretrained(bi_encoder)
    config.num_labels = labels
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8)  # so that scores differ well
    raw = folder.with_name(folder.name + "-raw")
    model.save_pretrained(raw)
    AutoTokenizer.from_pretrained(bi_encoder).save_pretrained(raw)
    CrossEncoder(str(raw), device="cpu").save(str(folder))
    return str(folder)


def make_multi_vector(bi_encoder: str, folder: Path) -> str:
    """A model of token vectors with a random projection behind a bi-encoder's tokens."""
    import torch
    from sentence_transformers import MultiVectorEncoder

    torch.manual_seed(2)
    MultiVectorEncoder(bi_encoder, device="cpu").save(str(folder))
    return str(folder)
