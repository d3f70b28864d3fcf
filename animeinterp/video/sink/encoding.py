"""The encoding that a user requests; `animeinterp.video.sink.encoders` chooses an encoder for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from animeinterp.errors import UsageError

MAX_QUALITY = 100
BITS = (8, 10)


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding that the user requests.

    Attributes:
        codec: auto, h264, h265 (hevc), vp9, av1, ffv1, prores or FFmpeg's name of an encoder.
        crf: Quality on the encoder's scale, lower is better; None = the default.
        preset: The encoder's own name or number for its effort, or x264's name; None = the default.
        lossless: Whether frames must be decoded bit by bit as they were.
        quality: Quality from 0 to 100, higher is better, about the same for every encoder; None = the default.
        bits: Bits of a sample, 8 or 10; None = those of the source, as far as the encoder has them.
        encoder_options: Further options of FFmpeg's encoder, values by names.
    """

    codec: str = "auto"
    crf: int | None = None
    preset: str | None = None
    lossless: bool = False
    quality: int | None = None
    bits: int | None = None
    encoder_options: Mapping[str, str] = field(default_factory=dict)

    def list_given(self) -> list[str]:
        """Return the command line's names of the settings that choose an encoder or its quality, as far as given."""
        given = {
            "--codec": self.codec != "auto",
            "--quality": self.quality is not None,
            "--crf": self.crf is not None,
            "--preset": self.preset is not None,
            "--bits": self.bits is not None,
            "--encoder-option": bool(self.encoder_options),
        }
        return [name for name, is_given in given.items() if is_given]


def check_contradictions(encoding: Encoding) -> None:
    """Raise UsageError if a value is out of range or two settings contradict each other, whatever the encoder."""
    quality, bits = encoding.quality, encoding.bits
    if quality is not None and quality not in range(MAX_QUALITY + 1):
        raise UsageError(f"expected a whole quality from 0 to {MAX_QUALITY}, the best, got {quality!r}; change it")
    if bits is not None and bits not in BITS:
        raise UsageError(f"expected 8 or 10 bits, got {bits}; choose one of them")
    if quality is not None and encoding.crf is not None:
        raise UsageError(f"got quality {quality} and crf {encoding.crf}, which set the same; leave out one of the two")
    if encoding.lossless and encoding.crf is not None:
        raise UsageError(f"lossless has no quality to choose, got crf {encoding.crf}; leave out one of the two")
    if encoding.lossless and quality is not None:
        raise UsageError(f"lossless has no quality to choose, got quality {quality}; leave out one of the two")
    if encoding.lossless and bits is not None:
        raise UsageError(f"lossless keeps the bits of the source, got {bits} bits; leave out one of the two")
    for name, value in encoding.encoder_options.items():
        _check_text(name, value)


def parse_encoder_options(texts: Sequence[str]) -> dict[str, str]:
    """Parse options of an encoder.

    Args:
        texts: Each `name=value`; the value is everything behind the first `=`.

    Returns:
        Values by names.

    Raises:
        UsageError: A text has another form, or a name occurs twice.
    """
    options: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"expected an encoder option as name=value, got {text!a}; for example aq-mode=3")
        if name in options:
            raise UsageError(f"the encoder option {name!a} is given twice; leave out one of the two")
        _check_text(name, value)
        options[name] = value
    return options


def _check_text(name: str, value: str) -> None:
    """Raise UsageError for what FFmpeg's options never are: NUL, for one, would cut them short."""
    is_text = isinstance(name, str) and isinstance(value, str)
    if not (is_text and name.isascii() and name.isprintable() and value.isprintable()):
        raise UsageError(f"expected an encoder option of printable text, got {name!a} = {value!a}; change it")
