"""Films drawn by several processes: the same bytes, interrupted and continued with any number, and nothing left."""

from __future__ import annotations

import multiprocessing

import pytest

from animeinterp.errors import UsageError
from animeinterp.pairs import ModelChoice
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink import segment_store
from conftest import draw_scene
from support.films import make_film


@pytest.fixture
def make(tmp_path):
    """Make a target with a number of workers; the run is interrupted after `stop` frames."""
    shots = [draw_scene(4 * (k // 2)) for k in range(8)] + [255 - draw_scene(k)[::-1, ::-1] for k in range(8)]
    make_film(tmp_path / "a.mkv", shots)

    def run(target, workers, stop=None, **options):
        def report(progress):
            if stop is not None and progress.frames >= stop:
                raise KeyboardInterrupt

        choice = ModelChoice("classical", "cpu")
        options = VideoOptions(workers=workers, fps="60", **options)
        progress = interpolate_video(tmp_path / "a.mkv", tmp_path / target, options, interpolator=choice, report=report)
        assert not multiprocessing.active_children()
        return progress, (tmp_path / target).read_bytes()

    return run


def test_a_film_is_the_same_for_any_number_of_workers(make):
    progress, film = make("one.mkv", 1)
    assert progress.drawn > 20
    assert (progress.cuts, progress.held > 0) == (1, True)
    for workers in (2, 3):
        again, same = make(f"{workers}.mkv", workers)
        assert same == film
        assert (again.drawn, again.shown, again.held) == (progress.drawn, progress.shown, progress.held)


def test_an_interrupted_run_continues_with_another_number(make, monkeypatch, tmp_path):
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 4)
    monkeypatch.setattr(segment_store, "_SAVE_INTERVAL", 0.0)
    whole = make("whole.mkv", 1)[1]
    with pytest.raises(KeyboardInterrupt):
        make("b.mkv", 2, stop=18)
    assert not multiprocessing.active_children()
    assert (tmp_path / "b.mkv.parts").is_dir()
    progress, film = make("b.mkv", 1, resume=True)
    assert progress.kept >= 4
    assert film == whole


def test_a_number_of_workers_below_one_is_refused(make):
    with pytest.raises(UsageError, match="at least 1 worker"):
        make("b.mkv", 0)


def test_doubtful_frames_are_held_alike_however_the_film_is_made(make, monkeypatch, tmp_path):
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 4)
    monkeypatch.setattr(segment_store, "_SAVE_INTERVAL", 0.0)
    drawn, _ = make("drawn.mkv", 1, cuts="none")
    held, whole = make("held.mkv", 1, cuts="none", doubtful="hold")
    assert (drawn.doubtful, drawn.avoided) == (held.doubtful, 0)
    assert 0 < held.avoided == held.doubtful < held.drawn
    assert held.drawn == drawn.drawn - held.avoided
    with pytest.raises(KeyboardInterrupt):
        make("b.mkv", 2, stop=18, cuts="none", doubtful="hold")
    with pytest.raises(UsageError, match="doubtful was hold"):
        make("b.mkv", 1, resume=True, cuts="none")
    progress, film = make("b.mkv", 1, resume=True, cuts="none", doubtful="hold")
    assert progress.kept >= 4
    assert film == whole
