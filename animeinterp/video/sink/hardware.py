"""Encoders in graphics hardware: what they need, and which encoder in software does the same."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_REASON = 120  # characters of FFmpeg's message


@dataclass(frozen=True, slots=True)
class HardwareEncoder:
    """An encoder in hardware.

    Attributes:
        name: FFmpeg's name.
        needs: The hardware, driver or system that it needs, in words.
        software: The codec to choose without it.
    """

    name: str
    needs: str
    software: str


# By the end of FFmpeg's names.
_NEEDS = {
    "nvenc": "an NVIDIA GPU with NVENC and its driver",
    "qsv": "an Intel GPU with Quick Sync Video, its driver and the oneVPL runtime",
    "videotoolbox": "a Mac with VideoToolbox",
    "amf": "an AMD GPU and its driver with the AMF runtime",
}
_SOFTWARE = {"h264": "h264", "hevc": "h265", "av1": "av1", "vp9": "vp9", "prores": "prores"}  # by their begin


def find_hardware(name: str) -> HardwareEncoder | None:
    """Return what an encoder needs, by FFmpeg's name of it; None for those in software."""
    codec, _, kind = name.rpartition("_")
    if not codec or kind not in _NEEDS:
        return None
    return HardwareEncoder(name, _NEEDS[kind], _SOFTWARE.get(codec, "auto"))


def explain_missing(hardware: HardwareEncoder, reason: str | None) -> str:
    """Return a sentence for the user.

    Args:
        hardware: The encoder that does not work.
        reason: FFmpeg's message; None if this build of FFmpeg does not have the encoder.
    """
    found = "which this build of FFmpeg does not support"
    if reason is not None:
        said = "".join(character if character.isprintable() else " " for character in reason).strip(" .")
        found = f"which cannot be used here ({said[:_MAX_REASON] or 'FFmpeg gives no reason'})"
    return f"{hardware.name} needs {hardware.needs}, {found}; choose --codec {hardware.software} instead"
