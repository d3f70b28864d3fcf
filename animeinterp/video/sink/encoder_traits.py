"""What this program knows of FFmpeg's encoders: their scales of quality and effort, and the options always set.

`--quality` is one scale from 0 to 100 for all of them. Each encoder has its own value at every 20th step, and values
between are interpolated. Those of libx264, libx265, libvpx-vp9 and libsvtav1 give about the same SSIM and PSNR at the
same step, as `benchmarks/encoders.py` measures. Those of libaom-av1 and of encoders in hardware are not measured: they
follow the encoder of the same scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import av
from av.codec.context import OptionFlags

QUALITY_STEP = 20  # between the values of `QualityScale.values`
DEFAULT_QUALITY = 80  # of encoders without a default crf; libx264's default crf, 16, is the same
_MAX_CRF = 63  # the largest of any encoder


@dataclass(frozen=True, slots=True)
class QualityScale:
    """The scale of an encoder for constant quality.

    Attributes:
        values: The encoder's own values at quality 0, 20, 40, 60, 80 and 100.
        names: The options that take the value.
        unit: The value is multiplied by this before it becomes an option.
        options: Options without which the value has no effect.
    """

    values: tuple[int, int, int, int, int, int]
    names: tuple[str, ...] = ("crf",)
    unit: int = 1
    options: tuple[tuple[str, str], ...] = ()

    def convert(self, quality: int) -> int:
        """Return the encoder's value, before `unit`, for a quality from 0 to 100."""
        step, rest = divmod(quality, QUALITY_STEP)
        low, high = self.values[step], self.values[min(step + 1, len(self.values) - 1)]
        return round(low + (high - low) * rest / QUALITY_STEP)

    def list_options(self, quality: int) -> list[tuple[str, str]]:
        """Return the options for a quality from 0 to 100."""
        value = str(self.convert(quality) * self.unit)
        return [*self.options, *((name, value) for name in self.names)]


@dataclass(frozen=True, slots=True)
class EncoderTraits:
    """The options of an encoder.

    Attributes:
        crf: The default crf; None if it has no such option, or chooses itself.
        max_crf: The largest value of crf; None if it has no such option.
        quality: The scale of quality; None if it has none that this program knows.
        preset: The default preset.
        presets: The valid presets; None = any.
        efforts: The presets for x264's names (`X264_PRESETS`), in their order; empty if it has no such scale.
        preset_option: The name of the option for the preset.
        options: Options that are always set.
        lossless: Options for lossless encoding; None if it is impossible.
        max_bits: The most bits that it encodes, where its list of pixel formats has more.
    """

    crf: int | None = None
    max_crf: int | None = None
    quality: QualityScale | None = None
    preset: str | None = None
    presets: tuple[str, ...] | None = ()
    efforts: tuple[str, ...] = ()
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()
    lossless: tuple[tuple[str, str], ...] | None = None
    max_bits: int | None = None


X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip


def _number(count: int) -> tuple[str, ...]:
    return tuple(str(step) for step in range(count))


# FFmpeg's values at quality 0, 20, 40, 60, 80, 100. libx264's decide, and the next three are chosen to match them, in
# the mean of SSIM and PSNR over 12 frames each of four clips of 960x540, as `benchmarks/encoders.py` measures.
_X264_CRF = (40, 34, 28, 22, 16, 10)
_X265_CRF = (42, 36, 30, 23, 15, 7)
_VP9_CRF = (63, 58, 47, 35, 20, 8)
_AV1_CRF = (63, 58, 46, 31, 12, 5)
_AV1_QP = (252, 232, 184, 124, 48, 20)  # of 255 instead of 63
_VIDEOTOOLBOX = (1, 20, 40, 60, 80, 100)  # it has such a scale already
_LAMBDA = 118  # VideoToolbox's quality is read from FFmpeg's global quality in these units (FF_QP2LAMBDA)

_CQ = (("rc", "vbr"), ("b", "0"))
_CQP = (("rc", "cqp"),)
_NVENC = EncoderTraits(
    quality=QualityScale(_X264_CRF, ("cq",), options=_CQ), preset="p5", presets=tuple(f"p{k}" for k in range(1, 8)),
    efforts=("p1", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p7", "p7"),
)  # fmt: skip
_QSV_PRESETS = ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_QSV = EncoderTraits(
    quality=QualityScale(_X264_CRF, ("global_quality",)), preset="medium", presets=_QSV_PRESETS,
    efforts=("veryfast", "veryfast", *_QSV_PRESETS, "veryslow"),
)  # fmt: skip
_TOOLBOX = EncoderTraits(
    quality=QualityScale(_VIDEOTOOLBOX, ("global_quality",), _LAMBDA, (("flags", "+qscale"),)),
)  # fmt: skip
_AMF = EncoderTraits(
    quality=QualityScale(_X264_CRF, ("qp_i", "qp_p"), options=_CQP), preset="quality",
    presets=("speed", "balanced", "quality"), efforts=(*("speed",) * 5, "balanced", *("quality",) * 4),
    preset_option="quality",
)  # fmt: skip

_X264 = EncoderTraits(16, 51, QualityScale(_X264_CRF), "medium", X264_PRESETS, lossless=(("qp", "0"),))
_TRAITS = {
    "libx264": _X264,
    "libx264rgb": _X264,
    "libx265": EncoderTraits(
        18, 51, QualityScale(_X265_CRF), "medium", X264_PRESETS,
        options=(("x265-params", "log-level=none:frame-threads=2"),), lossless=(("x265-params", "lossless=1"),),
    ),
    "libvpx-vp9": EncoderTraits(
        24, 63, QualityScale(_VP9_CRF), "2", _number(9), ("5", "5", "5", "4", "3", "2", "1", "1", "0", "0"),
        preset_option="cpu-used", options=(("row-mt", "1"), ("tile-columns", "2")), lossless=(("lossless", "1"),),
    ),
    "libsvtav1": EncoderTraits(
        24, 63, QualityScale(_AV1_CRF), "6", _number(14), ("12", "11", "10", "9", "8", "6", "5", "4", "3", "1"),
    ),
    "libaom-av1": EncoderTraits(
        24, 63, QualityScale(_AV1_CRF), "4", _number(9), ("8", "8", "7", "6", "5", "4", "3", "2", "1", "0"),
        preset_option="cpu-used", options=(("row-mt", "1"), ("b", "0")),
    ),
    "ffv1": EncoderTraits(options=(("level", "3"), ("g", "1"), ("slices", "4"), ("slicecrc", "1")), lossless=()),
    "prores_ks": EncoderTraits(options=(("vendor", "apl0"),)),
    "h264_nvenc": replace(_NVENC, max_bits=8),
    "hevc_nvenc": _NVENC,
    "av1_nvenc": replace(_NVENC, quality=QualityScale(_AV1_CRF, ("cq",), options=_CQ)),
    "h264_qsv": _QSV,
    "hevc_qsv": _QSV,
    "av1_qsv": _QSV,
    "vp9_qsv": _QSV,
    "h264_videotoolbox": replace(_TOOLBOX, max_bits=8),
    "hevc_videotoolbox": _TOOLBOX,
    "h264_amf": replace(_AMF, quality=QualityScale(_X264_CRF, ("qp_i", "qp_p", "qp_b"), options=_CQP), max_bits=8),
    "hevc_amf": _AMF,
    "av1_amf": replace(
        _AMF, quality=QualityScale(_AV1_QP, ("qp_i", "qp_p", "qp_b"), options=_CQP),
        presets=("speed", "balanced", "quality", "high_quality"),
    ),
}  # fmt: skip


def find_traits(name: str) -> EncoderTraits:
    """Return the traits of an encoder, by FFmpeg's name; one that this program does not know chooses for itself."""
    if name in _TRAITS:
        return _TRAITS[name]
    known = list_option_names(name)
    return EncoderTraits(max_crf=_MAX_CRF if "crf" in known else None, presets=None if "preset" in known else ())


def list_option_names(name: str) -> set[str]:
    """Return the names of the options that FFmpeg's encoder has for video."""
    options = av.CodecContext.create(name, "w").supported_options
    needed = OptionFlags.ENCODING_PARAM | OptionFlags.VIDEO_PARAM
    return {option.name for option in options.private} | {
        option.name for option in options.generic if option.flags & needed == needed
    }
