"""Many films: which ones a call names, how they are named, and that none is lost or stops the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from animeinterp import load_interpolator
from animeinterp.errors import FileError, UsageError, WeightsError
from animeinterp.io.images import write_image
from animeinterp.video import films
from animeinterp.video.film_list import default_target, find_films, list_jobs
from animeinterp.video.films import interpolate_films
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink import segment_store
from conftest import draw_scene
from support.films import make_film, pictures


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


@pytest.fixture
def make(interpolator, tmp_path):
    """Make films of the sources, interrupted when `stop` returns True."""

    def run(*sources, stop=None, drawer=interpolator, **options):
        def report(progress):
            if stop is not None and stop(progress):
                raise KeyboardInterrupt

        paths = [tmp_path / source for source in sources]
        return interpolate_films(paths, tmp_path / "out", VideoOptions(**options), interpolator=drawer, report=report)

    return run


def clip(path, count=4):
    path.parent.mkdir(exist_ok=True)
    return make_film(path, [draw_scene(4 * k) for k in range(count)])


def states(results):
    return [result.state for result in results]


def test_files_and_folders_mix_in_natural_order(tmp_path):
    for name in ("s/e10.mkv", "s/e9.mkv", "s/E1.avi", "s/cover.png", "s/.e0.mkv", "s/note.txt", "one.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "s" / "deeper").mkdir()
    (tmp_path / "s" / "deeper" / "e2.mkv").touch()
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "1.png").touch()
    found = find_films([tmp_path / name for name in ("one.mp4", "s", "frames")])
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["one.mp4", "s/E1.avi", "s/e9.mkv", "s/e10.mkv", "frames"]
    with pytest.raises(FileError, match="found nothing"):
        find_films([tmp_path / "s", tmp_path / "nope.mkv"])


@pytest.mark.parametrize(
    ("names", "one_film"),
    [
        (["f1.png", "f2.png", "f3.png", "test.mp4"], True),
        (["cover.jpg", "logo.png"], True),
        (["e1.mkv", "e1-thumb.jpg", "e2.mkv", "e2-thumb.jpg"], False),
        (["a.mkv", "cover.jpg", "logo.png"], False),
        (["e1.mkv", "e1.jpg", "e2.jpg", "cover.jpg"], False),
    ],
)
def test_images_beside_films_are_frames_only_if_they_are_a_sequence(names, one_film, tmp_path):
    for name in names:
        (tmp_path / name).touch()
    assert (find_films([tmp_path]) == [tmp_path]) == one_film


def test_names_are_kept_in_a_format_that_can_be_written(tmp_path):
    (tmp_path / "fr.ames").mkdir()
    (tmp_path / "fr.ames" / "1.png").touch()
    for name in ("a.mp4", "b.avi", "c"):
        (tmp_path / name).touch()
    jobs = list_jobs([tmp_path / name for name in ("a.mp4", "b.avi", "c", "fr.ames")], tmp_path / "new")
    assert [job.target.name for job in jobs] == ["a.mp4", "b.mkv", "c.mkv", "fr_ames"]
    assert {job.target.parent for job in jobs} == {tmp_path / "new"}
    assert not (tmp_path / "new").exists()
    assert default_target(tmp_path / "b.avi") == tmp_path / "b_smooth.mkv"
    assert default_target(Path(tmp_path / "fr.ames")) == tmp_path / "fr_ames_smooth"


def test_one_container_for_all_films(make, tmp_path):
    (tmp_path / "frames").mkdir()
    write_image(tmp_path / "frames" / "1.png", draw_scene(0))
    for name in ("a.mp4", "b.avi"):
        (tmp_path / name).touch()
    for container in ("mkv", ".MKV"):
        jobs = list_jobs([tmp_path / name for name in ("a.mp4", "b.avi", "frames")], tmp_path / "new", container)
        assert [job.target.name for job in jobs] == ["a.mkv", "b.mkv", "frames.mkv"]
    assert default_target(tmp_path / "a.mp4", "mov") == tmp_path / "a_smooth.mov"
    with pytest.raises(UsageError, match="container mxf; expected one of mp4"):
        list_jobs([tmp_path / "a.mp4"], tmp_path / "new", "mxf")


@pytest.mark.parametrize("names", [("x/a.mkv", "y/a.mkv"), ("x/a.avi", "x/a.mkv"), ("x/A.mkv", "y/a.mkv")])
def test_a_clash_of_names_is_refused_before_any_work(names, make, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UsageError) as raised:
        make(*names)
    assert all(str(tmp_path / name) in str(raised.value) for name in names)
    assert not (tmp_path / "out").exists()


def test_a_damaged_film_does_not_stop_the_others(make, tmp_path):
    clip(tmp_path / "a.mkv")
    (tmp_path / "b.mkv").write_bytes(b"no film")
    clip(tmp_path / "c.mkv")
    results = make("a.mkv", "b.mkv", "c.mkv")
    assert states(results) == ["made", "failed", "made"]
    assert "b.mkv" in str(results[1].error)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mkv", "c.mkv"]
    assert len(pictures(tmp_path / "out" / "c.mkv")) == 8


def test_an_error_while_drawing_does_not_stop_the_others_unless_the_disk_is_full(make, tmp_path, monkeypatch):
    for name in ("a.mkv", "b.mkv"):
        clip(tmp_path / name)

    def fail(source, *arguments, **options):
        if source.name == "a.mkv":
            raise failure
        return interpolate_video(source, *arguments, **options)

    monkeypatch.setattr(films, "interpolate_video", fail)
    failure: Exception = ZeroDivisionError("a fault of ours")
    assert states(make("a.mkv", "b.mkv")) == ["failed", "made"]
    for failure in (OSError(28, "No space left on device"), WeightsError("missing")):
        with pytest.raises(type(failure)):
            make("a.mkv", "b.mkv", force=True)


def test_an_error_of_the_report_is_the_callers(make, tmp_path):
    clip(tmp_path / "a.mkv")
    clip(tmp_path / "b.mkv")
    for number in (1, 2):
        with pytest.raises(ZeroDivisionError):
            make("a.mkv", "b.mkv", stop=lambda progress: progress.number == number and 1 / 0, force=True)  # noqa: B023


def test_finished_films_are_skipped(make, tmp_path):
    clip(tmp_path / "a.mkv")
    clip(tmp_path / "b.mkv")
    make("a.mkv", "b.mkv")
    (tmp_path / "out" / "b.mkv").unlink()
    stamp = (tmp_path / "out" / "a.mkv").stat().st_mtime_ns
    assert states(make("a.mkv", "b.mkv")) == ["skipped", "made"]
    assert (tmp_path / "out" / "a.mkv").stat().st_mtime_ns == stamp
    assert states(make("a.mkv", "b.mkv", force=True)) == ["made", "made"]
    assert (tmp_path / "out" / "a.mkv").stat().st_mtime_ns != stamp


def test_an_interrupted_run_continues_with_the_same_films(make, tmp_path, interpolator, monkeypatch):
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 3)
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        clip(tmp_path / name, 8)
    interpolate_video(tmp_path / "b.mkv", tmp_path / "whole.mkv", interpolator=interpolator)
    with pytest.raises(KeyboardInterrupt):
        make("a.mkv", "b.mkv", "c.mkv", stop=lambda progress: progress.number == 2 and progress.film.frames == 15)
    assert (tmp_path / "out" / "b.mkv.parts").is_dir()
    with pytest.raises(UsageError, match="--resume"):
        make("a.mkv", "b.mkv", "c.mkv")
    results = make("a.mkv", "b.mkv", "c.mkv", resume=True)
    assert states(results) == ["skipped", "made", "made"]
    assert results[1].progress.kept >= 6
    assert (tmp_path / "out" / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_progress_covers_all_films(make, tmp_path):
    clip(tmp_path / "a.mkv", 4)
    clip(tmp_path / "b.mkv", 12)
    seen = []
    make("a.mkv", "b.mkv", stop=lambda p: seen.append((p.number, p.fraction, p.seconds_left)))
    fractions = [fraction for _, fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert seen[-1][2] == 0
    end_of_first = max(fraction for number, fraction, _ in seen if number == 1)
    assert end_of_first == pytest.approx(0.25)
    middle = next(left for number, fraction, left in seen if number == 1 and fraction > 0.12)
    assert middle > 0


def test_options_that_fit_no_film_are_refused_before_any_work(make, tmp_path):
    clip(tmp_path / "a.mkv")
    clip(tmp_path / "b.mkv")
    for options, word in (({"rate": "12"}, "folders of frames"), ({"cuts": "3"}, "one film"), ({"fps": "0"}, "rate")):
        with pytest.raises(UsageError, match=word):
            make("a.mkv", "b.mkv", **options)
    with pytest.raises(UsageError, match="source itself"):
        interpolate_films([tmp_path / "a.mkv", tmp_path / "b.mkv"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


def test_a_rate_belongs_to_the_folders_of_frames(make, tmp_path):
    clip(tmp_path / "a.mkv")
    (tmp_path / "frames").mkdir()
    for k in range(3):
        write_image(tmp_path / "frames" / f"{k}.png", draw_scene(4 * k))
    assert states(make("a.mkv", "frames", rate="12")) == ["made", "made"]
    assert len(list((tmp_path / "out" / "frames").iterdir())) == 6


def test_the_model_is_loaded_only_if_a_film_is_made(make, tmp_path, interpolator):
    clip(tmp_path / "a.mkv")
    clip(tmp_path / "b.mkv")
    loads = []

    def load():
        loads.append(1)
        return interpolator

    make("a.mkv", "b.mkv", drawer=load)
    assert len(loads) == 2
    make("a.mkv", "b.mkv", drawer=load)
    assert len(loads) == 2
