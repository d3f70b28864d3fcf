"""Load a model by name: preset, weights and device are joined here and nowhere else."""

from __future__ import annotations

import warnings
from pathlib import Path

from animeinterp.builder import build_network, try_out
from animeinterp.config import DEFAULT_PRESET, PRESETS, Options, splat_mode
from animeinterp.device import choose_device
from animeinterp.errors import DeviceWarning, UsageError
from animeinterp.interpolator import Interpolator
from animeinterp.net.paper.vgg import SegmentDescriptor
from animeinterp.weights.loading import load_weights
from animeinterp.weights.locations import weight_files
from animeinterp.weights.vgg import load_vgg


def load_interpolator(
    model: str = "default",
    device: str = "auto",
    *,
    weights: Path | str | None = None,
    vgg: Path | str | None = None,
    options: Options | None = None,
) -> Interpolator:
    """Build an interpolator.

    Args:
        model: A preset, see `available_models`, or `default`.
        device: `auto` (a GPU if there is one), `cpu`, `cuda`, …
        weights: Weights of the network, in place of those that come with the package or, for `studio`, of those that
            `animeinterp weights get studio` installed.
        vgg: VGG-19 weights in torchvision's layout, to match segments by; without them segments are matched by
            descriptors that need no weights.
        options: How it is run.

    Returns:
        The interpolator, ready to draw.

    Raises:
        UsageError: The preset or device is unknown.
        FileError: Weights cannot be read.
        WeightsError: Weights do not fit.
    """
    name = DEFAULT_PRESET if model == "default" else model
    if name not in PRESETS:
        raise UsageError(f"expected a model out of {', '.join(PRESETS)}, got {model!r}")
    files = weight_files(name, weights)
    preset, place = PRESETS[name], choose_device(device)
    network = build_network(preset.network)
    if network is not None:
        network = network.eval().requires_grad_(False)
        for part, path in files.items():
            load_weights(network.get_submodule(part), path, name)
    descriptor = None if vgg is None else SegmentDescriptor(load_vgg(vgg))
    interpolator, refusal = _move(Interpolator(preset, options, network, descriptor), place)
    if refusal and device == "auto":
        warnings.warn(f"the GPU ({place}) cannot draw: {refusal}; the CPU does", DeviceWarning, stacklevel=2)
        return load_interpolator(model, "cpu", weights=weights, vgg=vgg, options=options)
    if refusal:
        raise UsageError(f"device {device!r} cannot draw: {refusal}; use --device cpu")
    return interpolator


def move_interpolator(interpolator: Interpolator, device: str) -> Interpolator:
    """Move an interpolator to another device.

    Args:
        interpolator: Its networks are moved, so it must not be used any more.
        device: As in `load_interpolator`, but not `auto`.

    Returns:
        The interpolator there.

    Raises:
        UsageError: The device is unknown, not available, or cannot draw.
    """
    interpolator, refusal = _move(interpolator, choose_device(device))
    if refusal:
        raise UsageError(f"device {device!r} cannot draw: {refusal}; use --device cpu")
    return interpolator


def _move(interpolator: Interpolator, place: str) -> tuple[Interpolator, str]:
    """Move the networks to a device; also return why it cannot draw, empty if it can."""
    preset, (network, vgg) = interpolator.preset, interpolator.learned
    if network is not None:
        network = network.to(place)
    descriptor = None if vgg is None else SegmentDescriptor(vgg.to(place))
    refusal = try_out(network, splat_mode(preset), place)
    return Interpolator(preset, interpolator.options, network, descriptor, place), refusal
