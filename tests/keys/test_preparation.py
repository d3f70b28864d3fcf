"""Scans and palettes through the whole job: keys are copied, in-betweens are finished."""

from __future__ import annotations

import re
from fractions import Fraction

import cv2
import numpy as np
import pytest

from animeinterp.errors import UsageError
from animeinterp.io.images import read_image, write_image
from animeinterp.keys.job import draw_keys
from animeinterp.keys.preparation import PairPreparer, prepare_pair
from animeinterp.keys.settings import KeySettings
from support.scans import painting, paper, scan, with_holes
from support.stub import Blender

RED, PAPER = (210, 40, 50), (250, 248, 240)


def disk(x):
    frame = np.full((64, 96, 3), PAPER, np.uint8)
    cv2.circle(frame, (x, 32), 14, RED, -1)
    return frame


def draw(keys, tmp_path, **settings):
    folder = tmp_path / "keys"
    folder.mkdir()
    for number, key in zip((1, 3), keys, strict=True):
        write_image(folder / f"A000{number}.png", key)
    drawn = draw_keys([folder], tmp_path / "out", KeySettings(review=False, **settings), model=Blender(), workers=1)
    return drawn, [read_image(tmp_path / "out" / f"A000{number}.png", 10**6).pixels for number in (1, 2, 3)]


def test_scans_are_registered_and_it_is_said_how_far(tmp_path):
    scans = scan(with_holes(paper(0)), with_holes(paper(1)))
    drawn, (first, between, last) = draw(scans[:2], tmp_path, align=True)
    assert np.array_equal(first, scans.frame0)
    assert np.array_equal(last, scans.frame1)
    assert between.shape == first.shape
    (note,) = drawn.notes
    assert re.match(r"A0001.png to A0003.png: moved 6\.\d px right and 4\.\d px up, turned 0\.(3|4)", note)
    # Halfway in position and brightness, with paper as rough as that of the keys.
    still = ~scans.figure

    def sharpness(frame):
        return np.abs(np.diff(frame.astype(float).mean(axis=2), axis=1))[still[:, 1:]].mean()

    assert sharpness(between) > 0.9 * sharpness(first)
    assert abs(between[still].mean() - (first[still].mean() + last[still].mean()) / 2) < 2


def test_without_align_scans_are_drawn_as_they_lie(tmp_path):
    scans = scan(painting(2), painting(2))
    drawn, (first, between, last) = draw(scans[:2], tmp_path)
    assert drawn.notes == ()
    assert np.abs(between - (first.astype(float) + last) / 2).max() <= 1


def test_a_palette_is_kept(tmp_path):
    keys = disk(40), disk(60)
    _, (_, between, _) = draw(keys, tmp_path, palette="keep")
    colors = {tuple(color) for color in between.reshape(-1, 3).tolist()}
    assert colors == {RED, PAPER}


def test_soft_keys_are_declined_by_a_sentence(tmp_path):
    scans = scan(painting(2), painting(2))
    drawn, _ = draw(scans[:2], tmp_path, palette="keep")
    (note,) = drawn.notes
    assert note.startswith("A0001.png to A0003.png: colors are not kept to a palette:")


def test_an_unknown_palette_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="free or keep"):
        draw((disk(40), disk(60)), tmp_path, palette="few")
    assert not (tmp_path / "out").exists()


def test_keys_without_need_pass_through_as_the_same_arrays():
    keys = disk(40), disk(60)
    preparer = PairPreparer(align=True, palette="free")
    frame0, frame1, times, hints = preparer.prepare("pair", (*keys, [Fraction(1, 2)], None))
    assert frame0 is keys[0]
    assert frame1 is keys[1]
    between = disk(50)
    assert np.array_equal(preparer.finish([between])[0], between)
    assert times == [Fraction(1, 2)]
    assert hints is None


def test_a_pair_drawn_in_parts_is_prepared_and_noted_once():
    keys = disk(40), disk(60)
    preparer = PairPreparer(align=True, palette="free")
    parts = [preparer.prepare("pair", (*keys, [Fraction(n, 3)], None)) for n in (1, 2)]
    assert parts[0][0] is parts[1][0]
    assert len(preparer.notes) == 1
    assert [preparer.finish([disk(50)])[0].shape for _ in parts] == [keys[0].shape] * 2


@pytest.mark.parametrize("t", [0, 1])
def test_the_ends_are_the_keys_themselves(t):
    scans = scan(paper(0), paper(1))
    pair = prepare_pair(scans.frame0, scans.frame1, align=True, palette="keep")
    ends = pair.registered.frame0, pair.registered.frame1
    assert np.array_equal(pair.finish(ends[t], t), scans[t])
