"""The texture of paper stays still and as sharp as in the keys."""

from __future__ import annotations

import numpy as np
import pytest

from animeinterp.keys.align import Placement
from animeinterp.keys.paper import find_paper
from support.scans import paper, scan

TIMES = (0.25, 0.5, 0.75)


def slid(frame, px):
    return np.roll(frame, px, axis=1)


def texture(frame, figure):
    """Strength of the grain outside the figure, levels."""
    gray = frame.astype(float).mean(axis=2)
    return float(np.diff(gray, axis=1)[~figure[:, 1:]].std())


@pytest.fixture(scope="module")
def two_sheets():
    return scan(paper(0), paper(1), lay=Placement())


@pytest.fixture(scope="module")
def one_sheet():
    return scan(paper(0), paper(0), lay=Placement())


def blend(scans, t):
    """What an interpolator may do to paper: slide the grain and average it."""
    first, second = slid(scans.frame0, round(6 * t)).astype(float), slid(scans.frame1, -round(6 * (1 - t)))
    return np.rint(first + t * (second - first)).astype(np.uint8)


def test_paper_neither_slides_nor_softens(two_sheets):
    found = find_paper(two_sheets.frame0, two_sheets.frame1)
    figure = np.maximum.accumulate(np.any(np.stack([slid(two_sheets.figure, x) for x in range(-16, 17)]), axis=0))
    key = texture(two_sheets.frame0, figure)
    for t in TIMES:
        drawn = blend(two_sheets, t)
        kept = found.keep(drawn, t)
        assert texture(kept, figure) == pytest.approx(key, rel=0.06)
        assert texture(drawn, figure) < 0.9 * key
        near, far = (two_sheets.frame0, two_sheets.frame1) if t < 0.5 else (two_sheets.frame1, two_sheets.frame0)
        errors = [np.abs(kept[~figure].astype(float) - side[~figure]).mean() for side in (near, far)]
        assert errors[0] < np.abs(drawn[~figure].astype(float) - near[~figure]).mean()


def test_equal_pixels_are_copied(one_sheet):
    noisy = one_sheet._replace(frame1=scan(paper(0), paper(1), lay=Placement()).frame1)
    noisy.frame1[10:90, 50:170] = one_sheet.frame1[10:90, 50:170]
    found = find_paper(noisy.frame0, noisy.frame1)
    kept = found.keep(blend(noisy, 0.5), 0.5)
    region = (slice(20, 80), slice(60, 160))
    assert not one_sheet.figure[region].any()
    assert found.noise > 0
    assert np.array_equal(kept[region], noisy.frame0[region])


def test_a_figure_is_left_alone(two_sheets):
    found = find_paper(two_sheets.frame0, two_sheets.frame1)
    between = scan(paper(0), paper(0), lay=Placement(), poses=(0.7, 0.7)).frame0
    figure = scan(paper(0), paper(0), lay=Placement(), poses=(0.7, 0.7)).figure
    kept = found.keep(between, 0.5)
    strong = (np.abs(between.astype(int) - [244, 241, 234]).max(axis=2) > 40) & figure
    assert strong.sum() > 500
    assert np.array_equal(kept[strong], between[strong])


def test_drawings_without_noise_have_no_paper(one_sheet):
    found = find_paper(one_sheet.frame0, one_sheet.frame1)
    drawn = blend(one_sheet, 0.5)
    assert found.noise == 0
    assert np.array_equal(found.keep(drawn, 0.5), drawn)
