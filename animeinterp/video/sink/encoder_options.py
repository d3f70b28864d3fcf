"""Convert the encoding that a user requests to the options of one of FFmpeg's encoders, and refuse what it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

import cv2

from animeinterp.errors import UsageError
from animeinterp.video.sink.encoder_traits import (
    DEFAULT_QUALITY,
    X264_PRESETS,
    EncoderTraits,
    find_traits,
    list_option_names,
)
from animeinterp.video.sink.encoding import Encoding

_THREADS = "8"  # fixed, because x264's packets depend on it and a run may be resumed on a machine with more cores
_AVX512 = 256  # OpenCV's number for the instruction set that x264 calls AVX-512
# Options that choose another way of rate control, so no default quality is set beside them.
_RATE_CONTROL = {"b", "cq", "global_quality", "qp", "qp_b", "qp_i", "qp_p", "rc"}
# Options of the user that this program has a name for.
_NAMED = {"crf": "--crf", "preset": "--preset", "cpu-used": "--preset"}
# Options that this program sets by the film, or that are for two passes, which segments do not have.
_RESERVED = {
    "color_primaries", "color_trc", "colorspace", "color_range", "chroma_sample_location", "field_order", "aspect",
    "sar", "alpha_mode", "max_pixels", "passlogfile", "stats", "x265-stats",
}  # fmt: skip
# Checked here, because x264 prints a line for each attempt to start with another value.
_X264_CHOICES = {
    "tune": {"film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency"},
    "profile": {"baseline", "main", "high", "high10", "high422", "high444"},
}
_SEPARATORS = re.compile("[,./+-]")  # between several tunes of x264


def build_options(name: str, encoding: Encoding, film_options: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """Build the options of an encoder.

    Args:
        name: FFmpeg's name of the encoder.
        encoding: What the user requests; its contradictions are checked already.
        film_options: Options that the film needs, as `animeinterp.video.source.hdr.hdr_options`.

    Returns:
        Values by names.

    Raises:
        UsageError: The encoder has no such setting.
    """
    traits = find_traits(name)
    _check_settings(name, traits, encoding)
    _check_encoder_options(name, encoding)
    options = {"threads": _THREADS} | dict(traits.options) | dict(_choose_quality(traits, encoding))
    preset = _choose_preset(traits, encoding.preset)
    if preset is not None:
        options[traits.preset_option] = preset
    more = [*film_options, *((traits.lossless or ()) if encoding.lossless else ())]
    if name in ("libx264", "libx264rgb") and cv2.checkHardwareSupport(_AVX512):
        # With AVX-512, x264's lookahead reads uninitialized memory, so no two runs give the same packets.
        more.append(("x264-params", "asm=AVX2"))
    for option, value in (*more, *encoding.encoder_options.items()):
        joined = option in options and option.endswith("-params")
        options[option] = f"{options[option]}:{value}" if joined else value
    return options


def _choose_quality(traits: EncoderTraits, encoding: Encoding) -> list[tuple[str, str]]:
    if encoding.lossless or not _RATE_CONTROL.isdisjoint(encoding.encoder_options):
        return []
    crf = traits.crf if encoding.crf is None else encoding.crf
    if encoding.quality is None and crf is not None:
        return [("crf", str(crf))]
    if traits.quality is None:
        return []
    return traits.quality.list_options(DEFAULT_QUALITY if encoding.quality is None else encoding.quality)


def _choose_preset(traits: EncoderTraits, preset: str | None) -> str | None:
    """Return the encoder's own preset for the user's."""
    if preset is None:
        return traits.preset
    if traits.efforts and preset in X264_PRESETS and preset not in (traits.presets or ()):
        return traits.efforts[X264_PRESETS.index(preset)]
    return preset


def _check_settings(name: str, traits: EncoderTraits, encoding: Encoding) -> None:
    if encoding.lossless and traits.lossless is None:
        raise UsageError(f"{name} is not lossless; choose --codec ffv1, h264, h265 or vp9, or leave out --lossless")
    if encoding.crf is not None and (traits.max_crf is None or not 0 <= encoding.crf <= traits.max_crf):
        expected = "no crf" if traits.max_crf is None else f"a crf from 0 to {traits.max_crf}"
        advice = "give --quality instead" if traits.max_crf is None and traits.quality else "change it or leave it out"
        raise UsageError(f"expected {expected} for {name}, got {encoding.crf}; {advice}")
    if encoding.quality is not None and traits.quality is None:
        raise UsageError(
            f"expected no quality for {name}, got {encoding.quality}; leave it out, choose another --codec, or set the "
            "encoder's own option by --encoder-option"
        )
    known = dict.fromkeys([*(traits.presets or ()), *(X264_PRESETS if traits.efforts else ())])
    if encoding.preset is not None and traits.presets is not None and encoding.preset not in known:
        expected = f"a preset out of {', '.join(known)}" if known else "no preset"
        raise UsageError(f"expected {expected} for {name}, got {encoding.preset!r}; change it or leave it out")


def _check_encoder_options(name: str, encoding: Encoding) -> None:
    """Raise UsageError for options that the encoder lacks, or that this program sets itself."""
    if not encoding.encoder_options:
        return
    known = list_option_names(name)
    for option, value in encoding.encoder_options.items():
        if option in _NAMED:
            raise UsageError(f"the encoder option {option} has a name of its own; give {_NAMED[option]} instead")
        if option in _RESERVED:
            raise UsageError(f"the encoder option {option} is set by the program; leave it out")
        if option not in known:
            similar = get_close_matches(option, sorted(known - _RESERVED), 3)
            advice = f"did you mean {' or '.join(similar)}?" if similar else f"see `ffmpeg -h encoder={name}`"
            raise UsageError(f"{name} has no option {option!r}; {advice}")
        choices = _X264_CHOICES.get(option) if name.startswith("libx264") else None
        if choices is not None and not choices.issuperset(_SEPARATORS.split(value)):
            raise UsageError(
                f"expected {option} out of {', '.join(sorted(choices))} for {name}, got {value!r}; change it"
            )
    rivals = sorted(_RATE_CONTROL & encoding.encoder_options.keys())
    given = {"quality": encoding.quality is not None, "crf": encoding.crf is not None, "lossless": encoding.lossless}
    for setting, is_given in given.items():
        if is_given and rivals:
            raise UsageError(f"the encoder option {rivals[0]} contradicts {setting}; leave out one of the two")
