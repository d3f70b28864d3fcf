"""VGG weights from a file in torchvision's layout."""

from __future__ import annotations

from pathlib import Path

from animeinterp.net.paper.vgg import VGG, Depth
from animeinterp.weights.loading import load_into, read_state_dict


def load_vgg(path: Path | str, depth: Depth = 19, layers: tuple[str, ...] | None = None) -> VGG:
    """Load VGG from a file in torchvision's layout (`features.N.weight`).

    Layers that are not used, deeper ones and the classifier, may be in the file or not.

    Args:
        path: safetensors or PyTorch file.
        depth: 16 or 19.
        layers: See `VGG`.

    Returns:
        The network, ready for inference.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It does not hold these weights.
    """
    vgg = VGG(depth, layers)
    wanted = vgg.state_dict().keys()
    deepest = max(int(name.split(".")[1]) for name in wanted)
    state = {name: tensor for name, tensor in read_state_dict(path).items() if not _unused(name, deepest)}
    load_into(vgg, state, f"VGG-{depth}", path)
    return vgg.eval().requires_grad_(False)


def _unused(name: str, deepest: int) -> bool:
    part, _, rest = name.partition(".")
    index = rest.split(".")[0]
    return part == "classifier" or (part == "features" and index.isdigit() and int(index) > deepest)
