"""In-betweens of flat drawings get the colors of their keys, and mixtures of them along edges only."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animeinterp.keys.palette import find_palette, snap_colors
from support.made_films import background

PAPER, RED, BLUE, LINE = (250, 248, 240), (210, 40, 50), (30, 70, 180), (20, 18, 24)


def flat(x, line=cv2.LINE_AA, size=(120, 160)):
    """A disk with an outline before a bar, on paper."""
    frame = np.full((*size, 3), PAPER, np.uint8)
    cv2.rectangle(frame, (10, 70), (150, 100), BLUE, -1)
    cv2.circle(frame, (x, 60), 27, LINE, -1, line)
    cv2.circle(frame, (x, 60), 24, RED, -1, line)
    return frame


def foreign(frame, colors=(PAPER, RED, BLUE, LINE)):
    """Fraction of the pixels whose color is none of these."""
    return float(np.all([np.any(frame != color, axis=2) for color in colors], axis=0).mean())


def far_from_edges(frame, true):
    """Fraction of foreign pixels that are farther than 3 px from any edge of the frame."""
    edges = cv2.dilate(cv2.Canny(frame, 20, 60), np.ones((7, 7), np.uint8)) > 0
    return float((np.all([np.any(frame != color, axis=2) for color in true], axis=0) & ~edges).mean())


def test_the_palette_is_what_fills_areas():
    palette = find_palette([flat(60), flat(90)])
    assert not palette.declined
    assert not palette.aliased
    assert sorted(map(tuple, palette.colors.astype(int).tolist())) == sorted([PAPER, RED, BLUE, LINE])


def test_noise_goes_and_edges_stay():
    keys = flat(60), flat(90)
    true = flat(75)
    noisy = np.clip(true + np.random.default_rng(0).normal(0, 1.5, true.shape), 0, 255).astype(np.uint8)
    snapped = snap_colors(noisy, find_palette(keys))
    assert foreign(noisy) > 0.9
    assert foreign(snapped) < 1.3 * foreign(true)
    assert np.abs(snapped.astype(int) - true).mean() < 0.3
    assert np.abs(snapped.astype(int) - true).max() < 40


def test_a_drawing_without_any_color_of_the_palette_gets_the_nearest_ones():
    gray = np.full((120, 160, 3), 128, np.uint8)
    snapped = snap_colors(gray, find_palette([flat(60), flat(90)]))
    assert len(np.unique(snapped.reshape(-1, 3), axis=0)) == 1
    assert foreign(snapped) == 0


def test_keys_are_their_own_snapped_frames():
    key = flat(60)
    snapped = snap_colors(key, find_palette([key, flat(90)]))
    pure = np.any([np.all(key == color, axis=2) for color in (PAPER, RED, BLUE, LINE)], axis=0)
    assert np.array_equal(snapped[pure], key[pure])
    assert np.abs(snapped.astype(int) - key).max() < 24


@pytest.mark.parametrize(("share", "color"), [(0.3, PAPER), (0.7, RED)])
def test_a_ghost_becomes_the_stronger_of_its_colors(share, color):
    ghost = flat(60)
    soft = cv2.GaussianBlur(np.float32(np.pad(np.ones((30, 50)), 8)), (0, 0), 3)[..., None] * share
    ghost[2:48, 92:158] = np.rint(soft * RED + (1 - soft) * ghost[2:48, 92:158])
    snapped = snap_colors(ghost, find_palette([flat(60), flat(90)]))
    assert np.array_equal(np.unique(snapped[14:36, 104:146].reshape(-1, 3), axis=0), [color])
    # No outline of the ghost is left.
    assert foreign(snapped[2:48, 92:158]) < 0.1


def test_keys_without_anti_aliasing_allow_no_mixture():
    keys = flat(60, cv2.LINE_8), flat(90, cv2.LINE_8)
    palette = find_palette(keys)
    assert palette.aliased
    assert foreign(snap_colors(flat(75), palette)) == 0


@pytest.mark.parametrize("soft", ["gradient", "painting", "noise"])
def test_soft_keys_have_no_palette(soft):
    key = flat(60)
    if soft == "gradient":
        sky = np.linspace((60, 90, 240), (250, 180, 90), 160)[None] + np.linspace(0, 40, 120)[:, None, None]
        key = np.where(np.all(key == PAPER, axis=2, keepdims=True), sky.clip(0, 255).astype(np.uint8), key)
    elif soft == "painting":
        key = background(2)[:120, :160]
    else:
        key = np.random.default_rng(0).integers(0, 256, key.shape, np.uint8)
    palette = find_palette([key, key])
    assert palette.declined
    assert np.array_equal(snap_colors(key, palette), key)


@pytest.mark.parametrize("mode", ["gray", "gray and alpha", "RGBA", "16 bits"])
def test_every_mode_keeps_its_exact_colors(mode):
    def converted(frame):
        gray, alpha = frame[..., 0].copy(), np.where(np.all(frame == PAPER, axis=2), 0, 255).astype(np.uint8)
        if mode == "gray":
            return gray
        if mode == "gray and alpha":
            return np.dstack([gray, alpha])
        return np.dstack([frame, alpha]) if mode == "RGBA" else frame.astype(np.uint16) * 255 + 3

    keys = converted(flat(60, cv2.LINE_8)), converted(flat(90, cv2.LINE_8))
    drawn = converted(flat(75, cv2.LINE_8))
    palette = find_palette(keys)
    assert not palette.declined
    visible = slice(None) if drawn.ndim == 2 or drawn.shape[2] == 3 else drawn[..., -1] > 0
    snapped = snap_colors(drawn, palette)
    assert snapped.dtype == drawn.dtype
    assert np.array_equal(snapped[visible], drawn[visible])
