"""Animated images keep the film's frames, alpha and times; a folder of frames is numbered."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from animeinterp.errors import FileError, UsageError
from animeinterp.io.images import read_image
from animeinterp.video.sink.animated import check_animation, write_animation, write_frame
from conftest import draw_scene


def drawings(count: int = 7, *, alpha: bool = False, deep: bool = False) -> list[np.ndarray]:
    frames = []
    for number in range(count):
        frame = draw_scene(number * 2)
        if alpha:
            mask = np.full((64, 96, 1), 255, np.uint8)
            mask[:20] = 0
            frame = np.concatenate([frame * (mask > 0), mask], axis=2)
        frames.append(frame.astype(np.uint16) * 257 + number if deep else frame)
    return frames


def read(path) -> tuple[list[np.ndarray], list[float], Image.Image]:
    """Return the frames, RGBA, and their durations, ms."""
    image = Image.open(path)
    frames, lengths = [], []
    for number in range(image.n_frames):
        image.seek(number)
        image.load()
        frames.append(np.array(image.convert("RGBA")))
        lengths.append(image.info["duration"])
    return frames, lengths, image


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("suffix", [".webp", ".apng", ".png"])
def test_webp_and_png_are_lossless_and_keep_alpha(tmp_path, suffix, alpha):
    frames = drawings(alpha=alpha)
    write_animation(tmp_path / f"new{suffix}", lambda: frames, Fraction(24))
    decoded, lengths, image = read(tmp_path / f"new{suffix}")
    assert len(decoded) == len(frames)
    for frame, other in zip(frames, decoded, strict=True):
        np.testing.assert_array_equal(frame, other[..., : frame.shape[2]])
    assert sum(lengths) == pytest.approx(7 * 1000 / 24, abs=2)
    assert image.info["loop"] == 0
    assert [p.name for p in tmp_path.iterdir()] == [f"new{suffix}"]


def test_png_keeps_16_bits(tmp_path):
    frames = drawings(3, deep=True)
    write_animation(tmp_path / "new.apng", lambda: frames, Fraction(24000, 1001))
    import av

    with av.open(tmp_path / "new.apng") as container:
        images = [p.to_ndarray(format="rgb48le") for p in container.decode(video=0)]
    assert all(np.array_equal(a, b) for a, b in zip(frames, images, strict=True))


@pytest.mark.parametrize("alpha", [False, True])
def test_gif_shows_the_drawings_in_256_colors(tmp_path, alpha):
    frames = drawings(alpha=alpha)
    write_animation(tmp_path / "new.gif", lambda: iter(frames), Fraction(25))
    decoded, lengths, image = read(tmp_path / "new.gif")
    assert len(decoded) == len(frames)
    assert set(lengths) == {40}
    assert image.info["loop"] == 0
    for frame, other in zip(frames, decoded, strict=True):
        opaque = other[..., 3] > 0
        if alpha:
            np.testing.assert_array_equal(opaque, frame[..., 3] > 0)
        assert np.abs(frame[..., :3].astype(int) - other[..., :3])[opaque].mean() < 1


@pytest.mark.parametrize(("rate", "suffix"), [("24", ".gif"), ("30000/1001", ".gif"), ("60", ".webp")])
def test_rounded_times_do_not_drift(tmp_path, rate, suffix):
    tick = 10 if suffix == ".gif" else 1  # ms
    frames = [draw_scene(number % 9, (32, 32)) for number in range(200)]
    write_animation(tmp_path / f"new{suffix}", lambda: frames, Fraction(rate))
    _, lengths, _ = read(tmp_path / f"new{suffix}")
    shown = np.cumsum([0, *lengths[:-1]])
    assert len(shown) == 200
    assert max(abs(time - 1000 * k / Fraction(rate)) for k, time in enumerate(shown.tolist())) <= tick
    assert min(lengths) >= (20 if suffix == ".gif" else 16)


def test_png_times_are_exact(tmp_path):
    write_animation(tmp_path / "new.apng", lambda: drawings(3), Fraction(24000, 1001))
    data = (tmp_path / "new.apng").read_bytes()
    at = data.index(b"fcTL")
    numerator, denominator = (int.from_bytes(data[at + 24 + 2 * i : at + 26 + 2 * i], "big") for i in (0, 1))
    assert Fraction(numerator, denominator) == Fraction(1001, 24000)


def test_an_animation_may_play_once(tmp_path):
    for suffix, loops in ((".gif", None), (".webp", 1), (".apng", 1)):
        write_animation(tmp_path / f"new{suffix}", lambda: drawings(3), Fraction(24), loop=False)
        assert Image.open(tmp_path / f"new{suffix}").info.get("loop") == loops


def test_webp_can_be_smaller_with_loss(tmp_path):
    rng = np.random.default_rng(0)
    frames = [np.clip(f + rng.integers(-9, 9, f.shape), 0, 255).astype(np.uint8) for f in drawings(3)]
    write_animation(tmp_path / "a.webp", lambda: frames, Fraction(24))
    write_animation(tmp_path / "b.webp", lambda: frames, Fraction(24), quality=80)
    assert (tmp_path / "b.webp").stat().st_size < (tmp_path / "a.webp").stat().st_size / 2


def test_invalid_animations_are_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="50 frames per second"):
        check_animation(tmp_path / "new.gif", 96, 64, Fraction(60))
    with pytest.raises(UsageError, match="16383"):
        check_animation(tmp_path / "new.webp", 20000, 64, Fraction(24))
    with pytest.raises(UsageError, match="animated image"):
        check_animation(tmp_path / "new.mp4", 96, 64, Fraction(24))
    with pytest.raises(UsageError, match="no frames"):
        write_animation(tmp_path / "new.gif", lambda: [], Fraction(24))
    with pytest.raises(UsageError, match="quality"):
        write_animation(tmp_path / "new.gif", lambda: drawings(2), Fraction(24), quality=50)
    assert not list(tmp_path.iterdir())


def test_an_animation_that_fails_leaves_nothing(tmp_path):
    def failing():
        yield from drawings(2)
        raise FileError("cannot read part 2")

    with pytest.raises(FileError, match="part 2"):
        write_animation(tmp_path / "new.webp", failing, Fraction(24))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("deep", [False, True])
def test_frames_of_a_folder_are_numbered(tmp_path, deep):
    frame = drawings(1, alpha=True, deep=deep)[0]
    for _ in range(2):  # a resumed run may write one again
        write_frame(tmp_path, 17, frame)
    assert [p.name for p in tmp_path.iterdir()] == ["000017.png"]
    np.testing.assert_array_equal(read_image(tmp_path / "000017.png", 10**6).pixels, frame)
