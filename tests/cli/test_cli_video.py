"""`animeinterp video`, as it is called."""

from __future__ import annotations

import json
import sys
from fractions import Fraction

import av
import pytest

from animeinterp.cli import main
from conftest import draw_scene
from support.films import make_film, pictures


def call(capsys, *arguments):
    """Exit code, stdout and stderr of a call."""
    with pytest.raises(SystemExit) as left:
        main(["video", *map(str, arguments)])
    out = capsys.readouterr()
    return left.value.code, out.out, out.err


@pytest.fixture
def film(tmp_path):
    return make_film(tmp_path / "walk.mp4", [draw_scene(4 * (k // 2)) for k in range(8)])


def test_without_options_the_rate_is_doubled_beside_the_source(film, tmp_path, capsys):
    code, out, err = call(capsys, film)
    assert (code, err) == (0, "")
    target = tmp_path / "walk_smooth.mp4"
    assert len(pictures(target)) == 16
    assert "16 frames" in out
    assert "100% on twos" in out


def test_json_is_for_programs(film, tmp_path, capsys):
    code, out, _ = call(capsys, film, "-o", tmp_path / "b.mp4", "--json", "--times", 3)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["frames"] for line in lines[:-1]] == sorted(line["frames"] for line in lines[:-1])
    last = lines[-1]
    assert (last["frames"], last["twos"], last["target"]) == (24, 4, str(tmp_path / "b.mp4"))
    assert last["drawn"] + last["shown"] == 24


def test_options_reach_the_film(film, tmp_path, capsys):
    target = tmp_path / "b.mkv"
    code, *_ = call(
        capsys, film, "-o", target, "--fps", "12", "--slow", "2", "--codec", "ffv1", "--cuts", "2", "--compare", "side"
    )
    assert code == 0
    got = pictures(target)
    assert [when for when, _ in got] == [Fraction(round(1000 * k / 12), 1000) for k in range(8)]
    assert got[0][1].shape == (64, 192, 3)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--cadence", "fast"], "--cadence"),
        (["--sound", "loud"], "--sound"),
        (["--compare", "over"], "--compare"),
        (["--fps", "0"], "frame rate"),
        (["--fps", "24", "--times", "2"], "one of them"),
        (["--codec", "nonsense"], "nonsense"),
        (["--codec", "h264_videotoolbox", "--bits", "10"], "VideoToolbox" if sys.platform != "darwin" else "10 bits"),
        (["--quality", "50", "--crf", "20"], "one of the two"),
        (["--encoder-option", "tune"], "name=value"),
        (["--encoder-option", "tunne=film"], "tunne"),
        (["--rate", "12"], "of its own"),
        (["--container", "mkv"], "leave out --container"),
    ],
)
def test_bad_options_end_in_one_line_and_leave_nothing(arguments, word, film, tmp_path, capsys):
    code, out, err = call(capsys, film, "-o", tmp_path / "b.mp4", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert word in err
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mp4"]


def test_quality_bits_and_options_of_the_encoder_reach_the_film(film, tmp_path, capsys):
    sizes = {}
    for quality in (20, 90):
        target = tmp_path / f"{quality}.mkv"
        options = "--bits", "10", "--encoder-option", "g=3", "--encoder-option", "bf=0", "--quality", quality
        assert call(capsys, film, "-o", target, *options)[0] == 0
        with av.open(target) as container:
            packets = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
            assert container.streams.video[0].pix_fmt == "yuv420p10le"
        assert packets[:7] == [True, False, False, True, False, False, True]
        sizes[quality] = target.stat().st_size
    assert sizes[20] < sizes[90]


def test_after_ctrl_c_the_advice_is_printed(film, tmp_path, capsys, monkeypatch):
    from animeinterp.video import job
    from animeinterp.video.sink import segment_store

    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 3)
    update, calls = job._Job.update_progress, 0

    def stop(self, inbetweener):
        nonlocal calls
        calls += 1
        if calls == 14:
            raise KeyboardInterrupt
        update(self, inbetweener)

    monkeypatch.setattr(job._Job, "update_progress", stop)
    code, _, err = call(capsys, film, "-o", tmp_path / "b.mp4")
    assert code == 130
    assert "--resume" in err
    monkeypatch.setattr(job._Job, "update_progress", update)
    code, out, _ = call(capsys, film, "-o", tmp_path / "b.mp4", "--resume")
    assert code == 0
    assert "kept from an earlier run" in out
    assert len(pictures(tmp_path / "b.mp4")) == 16


def test_many_films_go_into_a_folder_and_failures_are_listed(film, tmp_path, capsys):
    (tmp_path / "season").mkdir()
    make_film(tmp_path / "season" / "[x] e1.mkv", [draw_scene(4 * k) for k in range(3)])
    (tmp_path / "season" / "e2.mkv").write_bytes(b"damaged")
    code, out, err = call(capsys, film, tmp_path / "season", "-o", tmp_path / "new")
    assert code == 1
    assert [path.name for path in sorted((tmp_path / "new").iterdir())] == ["[x] e1.mkv", "walk.mp4"]
    assert out.count(" frames in ") == 2
    *_, failed, last = err.splitlines()
    assert failed.startswith(f"failed: {tmp_path / 'season' / 'e2.mkv'} is not a film")
    assert last.startswith("error: 1 of 3 films failed")
    (tmp_path / "season" / "e2.mkv").unlink()
    code, out, err = call(capsys, film, tmp_path / "season", "-o", tmp_path / "new")
    assert (code, err) == (0, "")
    assert out.count("exists already, skipped") == 2


def test_json_tells_the_state_of_each_film(film, tmp_path, capsys):
    (tmp_path / "bad.mkv").write_bytes(b"damaged")
    code, out, _ = call(capsys, film, tmp_path / "bad.mkv", "-o", tmp_path / "new", "--json", "--container", "mov")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert {line["state"] for line in lines[:-2]} == {"drawing"}
    assert lines[0]["films"] == 2
    made, failed = lines[-2:]
    assert (made["state"], made["source"], made["frames"], made["error"]) == ("made", str(film), 16, None)
    assert made["target"] == str(tmp_path / "new" / "walk.mov")
    assert (failed["state"], failed["source"]) == ("failed", str(tmp_path / "bad.mkv"))
    assert "bad.mkv" in failed["error"]


def test_several_films_need_a_folder(film, tmp_path, capsys):
    code, _, err = call(capsys, film, film)
    assert code == 2
    assert "-o FOLDER/" in err
    assert call(capsys, film, film, "-o", tmp_path / "a.mp4")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mp4"]


def test_ctrl_c_stops_all_films_and_advises(film, tmp_path, capsys, monkeypatch):
    from animeinterp.video import job

    (tmp_path / "second.mp4").write_bytes(film.read_bytes())

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(job._Job, "draw", stop)
    code, _, err = call(capsys, film, tmp_path / "second.mp4", "-o", tmp_path / "new")
    assert code == 130
    assert "--resume" in err


def test_the_first_seconds_estimate_the_rest(monkeypatch, capsys):
    from animeinterp.cli import video_progress
    from animeinterp.video.time_text import describe_duration

    now = 0.0
    monkeypatch.setattr(video_progress, "monotonic", lambda: now)
    estimate = video_progress.FirstEstimate()
    # Starting takes 20 s; then 10 frames come at once every 8 s.
    for seconds, done in ((0, 0), (20, 1), (20.1, 5), (20.2, 10), (28, 11), (28.1, 20), (36, 21), (36.1, 30), (44, 31)):
        now = seconds
        estimate.report(done, 15_021, done, "the film")
    assert capsys.readouterr().err == "estimate: about 3 hours 20 minutes for the film, at the speed so far\n"
    texts = [describe_duration(seconds) for seconds in (3, 75, 600, 3600, 7300, 40 * 3600, 3 * 86400 + 4000)]
    assert texts == ["10 seconds", "80 seconds", "10 minutes", "60 minutes", "2 hours", "40 hours", "3 days 1 hour"]


def test_a_dry_run_prints_a_table_and_writes_nothing(film, tmp_path, capsys, monkeypatch):
    from animeinterp.cli import estimates
    from animeinterp.video import estimate

    only = estimate.list_installed_models(estimate.ModelChoice("classical"))[:1]
    monkeypatch.setattr(estimate, "list_installed_models", lambda first: only)
    code, out, err = call(capsys, film, "--dry-run", "--model", "classical")
    assert (code, err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mp4"]
    heading, row, *method = out.splitlines()
    assert heading.split() == ["film", "drawings/s", "new", "frames", "classical", "size"]
    assert row.split()[:2] == ["walk.mp4", "12.0"]
    assert "the whole film" in " ".join(method)
    (tmp_path / "bad.mkv").write_bytes(b"damaged")
    code, out, err = call(capsys, film, tmp_path / "bad.mkv", "-o", tmp_path / "new", "--dry-run", "--json")
    good, bad = (json.loads(line) for line in out.splitlines())
    assert code == 1
    assert (good["state"], good["frames"], good["source"]) == ("new", 16, str(film))
    assert (bad["state"], bad["size"]) == ("failed", 0)
    assert "bad.mkv" in bad["error"]
    assert not (tmp_path / "new").exists()
    assert estimates._time(12_000) == "3 h 20 min"
