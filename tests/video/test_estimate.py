"""Estimates before a film is made: counts as the job finds them, plausible times and sizes, and nothing written."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from animeinterp import load_interpolator
from animeinterp.pairs import ModelChoice
from animeinterp.video.drawing_costs import DrawingCosts
from animeinterp.video.estimate import estimate_films, estimate_jobs, list_installed_models
from animeinterp.video.film_list import FilmJob
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sampling import FilmSample, SamplingLimits, find_pair, sample_film
from animeinterp.video.sink import segment_store
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.sizes import measure_other_streams
from animeinterp.video.source.probe import probe
from animeinterp.video.timeline import HoldPolicy, build_grid
from conftest import draw_scene
from support.films import make_film
from support.muxed import add_sine, encode_sine, read_packets

CLASSICAL = [ModelChoice("classical", "cpu")]


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


def walk(path, count, hold=2, **options):
    """A figure on twos that goes to and fro, with a cut in the middle."""
    frames = [draw_scene(4 * abs(k // hold % 24 - 12)) for k in range(count)]
    frames[count // 2 :] = [255 - frame[::-1] for frame in frames[count // 2 :]]
    return make_film(path, frames, **options)


def estimate(source, target, **options):
    return next(estimate_jobs([FilmJob(source, target)], VideoOptions(**options), CLASSICAL))


@pytest.mark.parametrize("options", [{}, {"fps": "60"}, {"slow": "2"}, {"cadence": "off"}, {"preview": "0.5s@0.25"}])
def test_counts_of_a_whole_film_are_those_of_the_job(options, tmp_path, interpolator):
    source, target = walk(tmp_path / "a.mp4", 24), tmp_path / "b.mp4"
    found = estimate(source, target, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]
    made = interpolate_video(source, target, VideoOptions(**options), interpolator=interpolator)
    assert found.whole
    assert found.frames == made.frames
    assert abs(found.new_frames - made.drawn) <= 2
    assert found.drawings_per_second == pytest.approx(24 if options.get("cadence") == "off" else 12, rel=0.1)


def test_parts_of_a_long_film_stand_for_all_of_it(tmp_path):
    film = probe(walk(tmp_path / "a.mp4", 240))
    limits = SamplingLimits(windows=4, window=Fraction(1, 2))
    sample = sample_film(film, build_grid(film.rate), HoldPolicy(), limits=limits)
    assert (sample.whole, sample.seconds) == (False, 2)
    assert sample.drawings_per_second == pytest.approx(12, rel=0.15)
    assert sample.drawn == pytest.approx(0.75, rel=0.1)
    assert sample.pairs == pytest.approx(0.25, rel=0.1)
    assert len(sample.kept) == limits.kept


def test_times_and_size_are_plausible(tmp_path, interpolator):
    source, target = walk(tmp_path / "a.mp4", 48), tmp_path / "b.mp4"
    found = estimate(source, target, workers=1)
    made = interpolate_video(source, target, VideoOptions(workers=1), interpolator=interpolator)
    preset = found.presets["classical"]
    assert preset.pairs > 0
    assert made.seconds / 8 < preset.seconds < made.seconds * 8
    size = target.stat().st_size
    assert size / 3 < found.size < size * 3


def test_more_workers_take_less_time_and_large_frames_more():
    costs, sample = DrawingCosts(500_000), FilmSample(True, pairs=0.25, drawn=0.75, searched=[(2_000_000, 1)])
    costs.add(1_000_000, [0.1, 0.4, 0.2])
    assert costs.draw(sample, 100) == pytest.approx(100 * (0.25 * (0.1 + 0.8) + 0.75 * 0.4))
    assert costs.draw(sample, 50) == pytest.approx(costs.draw(sample, 100) / 2)
    sample.searched = [(500_000, 2)]
    assert costs.draw(sample, 100) == pytest.approx(100 * (0.25 * (0.2 + 0.2) + 0.75 * 0.1))


def test_only_what_moves_is_counted():
    still = np.random.default_rng(0).integers(0, 255, (270, 480, 3), np.uint8)
    moved = still.copy()
    moved[100:110, 100:110] = 255 - moved[100:110, 100:110]
    pair = find_pair(still, moved)
    assert pair.partial
    assert pair.pixels < still.size / 3 / 3
    assert pair.cropped()[0].shape[0] * pair.cropped()[0].shape[1] == pair.pixels
    whole = find_pair(still, still[::-1])
    assert (whole.partial, whole.pixels) == (False, 270 * 480)


def test_an_interrupted_run_counts_what_is_left(tmp_path, interpolator, monkeypatch):
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 8)
    source, target = walk(tmp_path / "a.mp4", 24), tmp_path / "b.mp4"

    def stop(progress):
        if progress.frames >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interpolate_video(source, target, interpolator=interpolator, report=stop)
    before = sorted(tmp_path.rglob("*"))
    found = estimate(source, target, resume=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert found.kept >= 24
    assert found.new_frames < estimate(source, target, force=True).new_frames / 2


def test_sound_is_measured_in_parts(tmp_path):
    def add_sound(container, _):
        for packet in encode_sine(add_sine(container, "aac"), 4):
            container.mux(packet)

    source = walk(tmp_path / "a.mkv", 96, setup=add_sound)
    total = sum(map(len, read_packets(source, 1)))
    spans = [(Fraction(1, 2), Fraction(1)), (Fraction(2), Fraction(3))]
    assert measure_other_streams(source, spans) == pytest.approx(total / 4, rel=0.15)
    assert measure_other_streams(walk(tmp_path / "silent.mkv", 6), spans) == 0


def test_targets_other_than_video_have_a_size_too(tmp_path):
    source = walk(tmp_path / "a.mp4", 12)
    for target in ("frames", "b.gif", "b.mkv"):
        found = estimate(source, tmp_path / target, encoding=Encoding(lossless=target == "b.mkv"))
        assert found.size > 1000, target
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_finished_and_damaged_films_are_not_estimated(tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"no film")
    good = walk(tmp_path / "good.mkv", 6)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "good.mkv").touch()
    bad, done = estimate_films([tmp_path / "bad.mkv", good], tmp_path / "out", VideoOptions(), CLASSICAL)
    assert (bad.state, done.state) == ("failed", "finished")
    assert "bad.mkv" in str(bad.error)


def test_the_chosen_model_comes_first_and_missing_weights_are_left_out():
    names = [choice.preset for choice in list_installed_models(ModelChoice("classical"))]
    assert names[0] == "classical"
    assert "cel" in names
    assert "paper" not in names
    assert len(set(names)) == len(names)
