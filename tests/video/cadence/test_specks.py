"""Small changes at full size: snow, a blink and a cursor make drawings; codec noise and grain do not."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from animeinterp.video.cadence.drawings import CadenceReport, find_drawings
from animeinterp.video.cadence.specks import full_size_gray, largest_speck
from support.made_films import RATE, background, coded, grained, held, timed, with_figure

SIZES = {"480": (854, 480), "720": (1280, 720), "1080": (1920, 1080)}


def numbers(frames):
    report = CadenceReport()
    return [d.number for d in find_drawings(iter(timed(frames)), lambda: Fraction(len(frames), RATE), report=report)]


def ground(size, seed=5):
    return cv2.resize(background(seed)[:108, :192], size, interpolation=cv2.INTER_CUBIC)


def snow(size, count, flakes=60):
    """Let flakes of 2 px fall 4 px a frame before a still image."""
    width, height = size
    places = np.random.default_rng(0).random((flakes, 2)) * [width, height]
    frames = [ground(size) for _ in range(count)]
    for k, frame in enumerate(frames):
        for x, y in places:
            center = round(16 * ((x + k) % width)), round(16 * ((y + 4 * k) % height))
            cv2.circle(frame, center, 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return frames


def blink(size, count):
    """Close and open an eyelid of 12 px."""
    frames = [ground(size) for _ in range(count)]
    for k, frame in enumerate(frames):
        cv2.ellipse(frame, (size[0] // 2, size[1] // 2), (6, 1 + (0, 2, 4)[k % 3]), 0, 0, 360, (20, 20, 20), -1)
    return frames


def cursor(size, count):
    frames = [ground(size) for _ in range(count)]
    for frame in frames[1::2]:
        frame[size[1] // 2 : size[1] // 2 + 14, size[0] // 2 : size[0] // 2 + 2] = 255
    return frames


def credits_of(size, count):
    frames = [np.zeros((size[1], size[0], 3), np.uint8) for _ in range(count)]
    for k, frame in enumerate(frames):
        for line in range(5):
            place = size[0] // 3, size[1] // 2 + 30 * line - k
            cv2.putText(frame, "Drawn by many", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (230,) * 3, 1, cv2.LINE_AA)
    return frames


def subtitles(size, count):
    frames = [ground(size) for _ in range(count)]
    for k, frame in enumerate(frames):
        place = size[0] // 3, size[1] * 9 // 10
        cv2.putText(frame, f"line {k}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * 3, 1, cv2.LINE_AA)
    return frames


@pytest.mark.parametrize("make", [snow, blink, cursor, credits_of, subtitles])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_small_motion_makes_drawings(make, size):
    assert numbers(make(size, 6)) == list(range(6))


@pytest.mark.parametrize("crf", [18, 28])
@pytest.mark.parametrize("make", [snow, subtitles])
def test_small_motion_makes_drawings_after_encoding(make, crf):
    assert numbers(coded(make(SIZES["1080"], 6), crf)) == list(range(6))


@pytest.mark.parametrize("flakes", [5, 2000])
def test_few_flakes_and_many_make_drawings(flakes):
    assert numbers(snow(SIZES["1080"], 4, flakes)) == list(range(4))


def test_snow_makes_drawings_at_4k_in_16_bits_and_gray():
    assert numbers(snow((3840, 2160), 3)) == [0, 1, 2]
    frames = snow(SIZES["720"], 4)
    assert numbers([frame.astype(np.uint16) * 257 for frame in frames]) == list(range(4))
    assert numbers([frame[..., 1] for frame in frames]) == list(range(4))
    assert numbers([np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in frames]) == list(range(4))


def test_snow_on_ones_makes_drawings_beside_a_figure_on_twos():
    size = SIZES["1080"]
    frames = snow(size, 8)
    for k, frame in enumerate(frames):
        figure = with_figure(np.zeros((108, 192, 3), np.uint8), 0.5 * (k // 2))
        figure = cv2.resize(figure, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
        part = frame[200:632, 600:1368]
        part[figure.any(2)] = figure[figure.any(2)]
    assert numbers(frames) == list(range(8))


@pytest.mark.parametrize("size", [SIZES["480"], SIZES["1080"]], ids=["480", "1080"])
@pytest.mark.parametrize(("crf", "sigma"), [(18, 0), (28, 0), (23, 3), (23, 8)])
def test_codec_noise_and_grain_make_no_drawings(size, crf, sigma):
    small = [with_figure(background(5)[:108, :192], 0.5 * k) for k in range(4)]
    frames = held([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in small], 2)
    assert numbers(coded(grained(frames, sigma) if sigma else frames, crf)) == [0, 2, 4, 6]


@pytest.mark.parametrize("sigma", [0, 3])
def test_an_encoded_still_image_stays_one_drawing(sigma):
    frames = [ground(SIZES["720"])] * 6
    assert numbers(coded(grained(frames, sigma) if sigma else frames, 23)) == [0]


def test_a_speck_is_measured_relative_to_the_noise():
    random = np.random.default_rng(0)
    still = random.normal(120, 20, (200, 300)).clip(0, 255).astype(np.uint8)
    speck = still.copy()
    speck[100:102, 150:152] = 255
    assert largest_speck(still, still) == largest_speck(still, still.copy()) == 0
    assert largest_speck(still, speck) > 2
    noisy = [still + random.integers(0, 12, still.shape, np.uint8) for _ in range(2)]
    assert largest_speck(*noisy) < 1.2
    assert largest_speck(still, still[:100]) == float("inf")
    assert full_size_gray(np.full((4, 4, 4), 65535, np.uint16)).max() == 255
