"""In-betweens of a film: each drawing is analyzed once, only the changed region is drawn, little memory suffices."""

from __future__ import annotations

import numpy as np
import pytest

from animeinterp import AnimeInterpError, Options, load_interpolator
from animeinterp.inbetween import Inbetweener, changed_region
from conftest import draw_scene
from support.films import difference


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


def wide(shift):
    """Draw a small figure in a wide frame: 480x320, the figure within 96x64."""
    frame = np.full((320, 480, 3), (200, 220, 240), np.uint8)
    frame[40:104, 60:156] = draw_scene(shift)
    return frame


def test_each_drawing_is_analyzed_and_each_pair_matched_once(interpolator, monkeypatch):
    frames = [draw_scene(k) for k in (0, 4, 8)]
    analyzed = []
    analyze = type(interpolator).analyze
    monkeypatch.setattr(
        type(interpolator), "analyze", lambda self, f, *a, **k: analyzed.append(f) or analyze(self, f, *a, **k)
    )
    estimated = []
    motion = type(interpolator).motion
    monkeypatch.setattr(
        type(interpolator), "motion", lambda self, *a, **k: estimated.append(a) or motion(self, *a, **k)
    )
    inbetweener = Inbetweener(interpolator)
    inbetweener.draw(frames[0], frames[1], (1 / 3, 0.5))
    drawn = inbetweener.draw(frames[1], frames[2], (1 / 3,)) + inbetweener.draw(frames[1], frames[2], (0.5,))
    assert (len(analyzed), len(estimated)) == (3, 2)
    plain = interpolator(frames[1], frames[2], 0.5)
    assert np.array_equal(drawn[1], plain)


def test_only_the_changed_region_is_interpolated(interpolator, monkeypatch):
    sizes = []
    analyze = type(interpolator).analyze
    monkeypatch.setattr(
        type(interpolator), "analyze", lambda self, f, *a, **k: sizes.append(f.shape[:2]) or analyze(self, f, *a, **k)
    )
    frame0, frame1 = wide(0), wide(8)
    (drawn,) = Inbetweener(interpolator).draw(frame0, frame1, [0.5])
    assert all(height * width < 0.6 * 320 * 480 for height, width in sizes)
    assert difference(drawn, wide(4)) < 0.2 * difference(frame0, wide(4))
    still = np.ones((320, 480), bool)
    still[changed_region(frame0, frame1)] = False
    assert still.mean() > 0.4
    assert np.array_equal(drawn[still], frame0[still])


def test_the_region_contains_all_changes():
    frame0, frame1 = wide(0), wide(8)
    rows, columns = changed_region(frame0, frame1)
    outside = np.ones(frame0.shape[:2], bool)
    outside[rows, columns] = False
    assert np.array_equal(frame0[outside], frame1[outside])
    assert changed_region(frame0, frame0) is None
    assert changed_region(draw_scene(0), draw_scene(8)) is None, "most of a small frame changes"


def test_motion_is_estimated_at_a_smaller_size_where_memory_runs_out(interpolator, monkeypatch):
    motion = type(interpolator).motion

    def poor(self, *analyzes):
        if self.options.working_pixels > 200_000:
            raise MemoryError
        return motion(self, *analyzes)

    monkeypatch.setattr(type(interpolator), "motion", poor)
    inbetweener = Inbetweener(interpolator)
    (drawn,) = inbetweener.draw(draw_scene(0), draw_scene(8), [0.5])
    assert inbetweener.shrunk == 1
    assert drawn.shape == (64, 96, 3)
    assert interpolator.options == Options(), "the caller's interpolator stays as it is"


def test_an_error_says_that_memory_never_suffices(interpolator, monkeypatch):
    def poor(self, *analyzes):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(type(interpolator), "motion", poor)
    with pytest.raises(AnimeInterpError, match="smallest size"):
        Inbetweener(interpolator).draw(draw_scene(0), draw_scene(8), [0.5])


def test_other_errors_are_not_taken_for_a_lack_of_memory(interpolator, monkeypatch):
    def wrong(self, *analyzes):
        raise ValueError("unrelated")

    monkeypatch.setattr(type(interpolator), "motion", wrong)
    with pytest.raises(ValueError, match="unrelated"):
        Inbetweener(interpolator).draw(draw_scene(0), draw_scene(8), [0.5])


def test_a_doubtful_pair_is_held_whole_and_a_good_one_drawn(interpolator):
    times = (0.25, 0.5, 0.75)
    frame0, frame1, other = draw_scene(0), draw_scene(4), 255 - draw_scene(0)[::-1, ::-1]
    holding, drawing = (Inbetweener(interpolator, judging=judging) for judging in ("hold", "pairs"))
    good = holding.draw_judged(frame0, frame1, times)
    assert not any(doubt.is_doubtful for doubt in good.doubts)
    assert all(map(np.array_equal, good.frames, holding.draw(frame0, frame1, times)))
    bad = holding.draw_judged(frame1, other, times)
    assert [doubt.is_doubtful for doubt in bad.doubts] == [True] * 3
    assert [frame is other for frame in bad.frames] == [False, False, True]
    assert bad.frames[0] is bad.frames[1] is frame1
    drawn = drawing.draw_judged(frame1, other, times)
    assert drawn.doubts == bad.doubts
    assert not any(frame is frame1 or frame is other for frame in drawn.frames)
    assert drawing.draw_judged(frame0, frame1, ()).doubts == []
    assert Inbetweener(interpolator).draw_judged(frame0, frame1, times).doubts == []


def test_doubt_counts_by_its_share_of_the_frame_and_is_marked_where_it_is(interpolator):
    wide0, wide1 = wide(0), wide(0)
    wide1[40:104, 60:156] = wide1[40:104, 156:252] = 255 - draw_scene(0)[::-1, ::-1]
    inbetweener = Inbetweener(interpolator, judging="drawings")
    (doubt,) = inbetweener.draw_judged(wide0, wide1, (0.5,)).doubts
    region = changed_region(wide0, wide1)
    motion = interpolator.motion(*(interpolator.analyze(frame[region].copy()) for frame in (wide0, wide1)))
    confidence = interpolator.confidence(motion, 0.5)
    assert confidence.size < 0.6 * 320 * 480
    assert doubt.value == pytest.approx((1 - confidence).sum() / (320 * 480), rel=1e-4)
    assert doubt.is_doubtful
    assert doubt.marks.shape == (160, 240)
    assert doubt.marks[20:52, 30:78].mean() > 100
    assert doubt.marks[60:].max() == 0
