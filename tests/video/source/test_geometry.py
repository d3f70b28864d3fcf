"""Films that players rotate, mirror or stretch look the same in targets without such tags."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animeinterp.data.films.select import BuildOptions, _Candidate, fit_image
from animeinterp.errors import FrameError
from animeinterp.frame import Mode, mode_of, widened
from animeinterp.loading import load_interpolator
from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.target import plan_output
from animeinterp.video.source.geometry import describe_upright, make_upright
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from animeinterp.video.timeline import Grid
from support.films import difference, figure, make_film

WAYS = [(quarters, hflip, vflip) for quarters in range(4) for hflip, vflip in ((0, 0), (1, 0), (0, 1))]


@pytest.fixture(scope="module")
def classical():
    return load_interpolator("classical", "cpu")


def film_of(path: Path, *, quarters: int = 0, hflip: int = 0, vflip: int = 0, aspect: Fraction = Fraction(1)) -> Path:
    """Write three lossless frames with a rotation counterclockwise, then a flip, and a pixel aspect."""

    def setup(_, stream):
        stream.set_display_rotation(90 * quarters, hflip=bool(hflip), vflip=bool(vflip))
        stream.codec_context.sample_aspect_ratio = aspect

    frames = [figure(4 * number) for number in range(3)]
    return make_film(path, frames, codec="libx264rgb", pix_fmt="rgb24", options={"qp": "0"}, setup=setup)


def as_shown(frame: np.ndarray, quarters: int, hflip: int, vflip: int) -> np.ndarray:
    shown = np.rot90(frame, quarters)
    shown = np.fliplr(shown) if hflip else shown
    return np.flipud(shown) if vflip else shown


def first_of(path: Path) -> np.ndarray:
    return np.array(Image.open(path / "000000.png" if path.is_dir() else path).convert("RGB"))


@pytest.mark.parametrize(("quarters", "hflip", "vflip"), WAYS)
def test_folders_hold_what_players_show(tmp_path, classical, quarters, hflip, vflip):
    source = film_of(tmp_path / "in.mp4", quarters=quarters, hflip=hflip, vflip=vflip)
    interpolate_video(source, tmp_path / "out", VideoOptions(times=1), interpolator=classical)
    np.testing.assert_array_equal(first_of(tmp_path / "out"), as_shown(figure(0), quarters, hflip, vflip))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(16, 15)])
def test_animations_hold_what_players_show(tmp_path, classical, suffix, aspect):
    source = film_of(tmp_path / "in.mp4", quarters=1, aspect=aspect)
    interpolate_video(source, tmp_path / f"out{suffix}", VideoOptions(fps="20"), interpolator=classical)
    height, width = first_of(tmp_path / f"out{suffix}").shape[:2]
    assert (width, height) == {
        Fraction(2): (64, 192),
        Fraction(1, 2): (128, 96),
        Fraction(16, 15): (64, 102),
    }[aspect]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("hflip", "rotation"), [(0, 90), (1, 0)])
def test_films_are_tagged_or_hold_what_players_show(tmp_path, classical, suffix, hflip, rotation):
    source = film_of(tmp_path / "in.mp4", quarters=1, hflip=hflip, aspect=Fraction(4, 3))
    target = tmp_path / f"out{suffix}"
    interpolate_video(source, target, VideoOptions(times=1), interpolator=classical)
    film = probe(target)
    assert (film.rotation, film.mirrored) == (rotation, False)
    assert film.aspect == (Fraction(3, 4) if hflip else Fraction(4, 3))
    shown = next(iter(Reader(film))).frame
    assert difference(make_upright(shown, film, square=False), as_shown(figure(0), 1, hflip, 0)) < 3


@pytest.mark.parametrize("target", ["out", "out.gif", "out.mkv"])
def test_comparisons_and_previews_are_upright(tmp_path, classical, target):
    source = film_of(tmp_path / "in.mp4", quarters=1)
    options = VideoOptions(times=1, compare="side", preview="0.05s@0.04")
    interpolate_video(source, tmp_path / target, options, interpolator=classical)
    if target.endswith(".mkv"):
        film = probe(tmp_path / target)
        assert (film.width, film.height, film.rotation) == (128, 96, 0)
    else:
        assert first_of(tmp_path / target).shape[:2] == (96, 128)


@pytest.mark.parametrize(
    "mode", [Mode(True, True, 8), Mode(True, True, 16), Mode(True, False, 16), Mode(False, False, 8)]
)
@pytest.mark.parametrize("aspect", [Fraction(3, 2), Fraction(2, 3)])
def test_every_mode_is_made_square(tmp_path, mode, aspect):
    film = probe(film_of(tmp_path / "in.mp4", aspect=aspect))
    gray = np.ascontiguousarray(figure(0)[..., 0])
    frame = widened(figure(0) if mode.color else gray, mode)
    shown = make_upright(frame, film)
    target = describe_upright(film)
    assert shown.shape[:2] == (target.height, target.width) == ((64, 144) if aspect > 1 else (96, 96))
    assert mode_of(shown) == mode
    if mode.alpha:
        assert (shown[..., 3] == np.iinfo(shown.dtype).max).all()


def test_colors_do_not_leak_from_under_transparency(tmp_path):
    film = probe(film_of(tmp_path / "in.mp4", aspect=Fraction(2)))
    frame = np.zeros((64, 96, 4), np.uint8)
    frame[:, :48] = (200, 0, 0, 255)
    frame[:, 48:] = (0, 255, 0, 0)
    shown = make_upright(frame, film)
    assert shown[shown[..., 3] > 0][:, 1].max() == 0


def test_sizes_are_checked_as_they_are_written(tmp_path):
    film = replace(probe(film_of(tmp_path / "in.mp4")), aspect=Fraction(400))
    for target in ("out", "out.gif"):
        with pytest.raises(FrameError, match="38400x64"):
            plan_output(tmp_path / target, film, Grid(Fraction(24)), Encoding(), "drop")
    assert plan_output(tmp_path / "out.mkv", film, Grid(Fraction(24)), Encoding(), "drop").film.width == 96


@pytest.mark.parametrize(("quarters", "hflip", "vflip"), [(1, 0, 0), (3, 1, 0), (0, 1, 0)])
def test_triplets_hold_what_players_show(tmp_path, quarters, hflip, vflip):
    film = probe(film_of(tmp_path / "in.mp4", quarters=quarters, hflip=hflip, vflip=vflip))
    shown = next(iter(Reader(film))).frame
    seen = _Candidate(Drawing(0, Fraction(0), Fraction(0), Fraction(1), shown, False), film, BuildOptions().size)
    np.testing.assert_array_equal(seen.frame, as_shown(figure(0), quarters, hflip, vflip))


def test_triplets_have_square_pixels(tmp_path):
    film = probe(film_of(tmp_path / "in.mp4", aspect=Fraction(2)))
    shown = next(iter(Reader(film))).frame
    drawing = Drawing(0, Fraction(0), Fraction(0), Fraction(1), shown, False)
    assert _Candidate(drawing, film, None).frame.shape == (64, 192, 3)
    same_size = _Candidate(drawing, film, (96, 64)).frame
    assert same_size.shape == (64, 96, 3)
    np.testing.assert_array_equal(same_size, fit_image(shown, (96, 64), 2.0))
    assert not np.array_equal(same_size, shown), "the center of the upright frame is cropped"
