"""Building triplets from films: selection, rejection, and the same files after an interruption."""

from __future__ import annotations

import json
import re
import weakref
from collections import Counter
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from animeinterp.cli import main
from animeinterp.data.atd12k import list_triplets, read_annotation, read_triplet
from animeinterp.data.difficulty import find_moving_region
from animeinterp.data.films import build as building
from animeinterp.data.films.build import build, prune
from animeinterp.data.films.manifest import FilmRecord, Manifest, read_manifest
from animeinterp.data.films.select import BuildOptions, fit_image, select_triplets
from animeinterp.data.layout import annotations_folder, flows_folder, manifest_path
from animeinterp.errors import FileError, UsageError
from animeinterp.evaluation.evaluate import evaluate
from animeinterp.io.images import read_image
from animeinterp.video.cadence.drawings import Drawing, find_drawings
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from support import made_films
from support.films import make_film

COUNT = 40  # frames of a made film
CUT = 24
OPTIONS = BuildOptions(spacing=0.5)
LOSSLESS = {"crf": "0", "preset": "ultrafast"}


def strut(count: int, seed: int = 0, begin: int = 0) -> list[np.ndarray]:
    """A figure that walks to the right by 2 px per drawing and moves its limbs."""
    painting = made_films.background(seed)
    return [made_films.with_figure(made_films.view(painting), 0.1 * i, 30 + 2 * (begin + i)) for i in range(count)]


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> list[Path]:
    """Two films: one on twos, with a cut; one on ones."""
    folder = tmp_path_factory.mktemp("films")
    twos = made_films.held([*strut(CUT // 2), *strut(10, seed=5, begin=12)], 2)
    make_film(folder / "on twos.mp4", twos, options=LOSSLESS)
    make_film(folder / "ones.mkv", strut(COUNT, seed=2), options=LOSSLESS)
    return [folder / "on twos.mp4", folder / "ones.mkv"]


@pytest.fixture(scope="session")
def made(films, tmp_path_factory) -> Path:
    """A data set of both films; read-only."""
    folder = tmp_path_factory.mktemp("made") / "mine"
    built = build(films, folder, OPTIONS)
    assert not built.faults
    return folder


def frames_of(film: Path) -> list[np.ndarray]:
    return [shown.frame for shown in Reader(probe(film))]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as exit_info:
        main([*map(str, arguments)])
    return exit_info.value.code


def source(folder: Path, name: str) -> dict:
    return json.loads((annotations_folder(folder) / name / f"{name}.json").read_text())["source"]


def test_a_triplet_is_three_consecutive_drawings_without_holds_or_cuts(films, made):
    frames = frames_of(films[0])
    triplet_names = [name for name in names(made) if name.startswith("on_twos_")]
    assert len(triplet_names) >= 2
    for name in triplet_names:
        first = source(made, name)["frame"]
        assert name == f"on_twos_{first:06}"
        assert first % 2 == 0
        assert not first < CUT <= first + 4
        for number in (1, 2, 3):
            frame = read_image(made / name / f"frame{number}.png", 10**6).pixels
            np.testing.assert_array_equal(frame, frames[first + 2 * number - 2])
    begins = [source(made, name)["time"] for name in triplet_names]
    assert np.diff(begins).min() >= 0.5


def test_no_triplet_spans_a_cut_whatever_the_thresholds(films, tmp_path):
    anything = BuildOptions(spacing=0, min_ssim=0, max_ssim=2, min_motion=0, max_motion=1e9, max_unexplained=1)
    record = build(films[:1], tmp_path / "mine", anything).films["on_twos"]
    assert {int(name[-6:]) for name in record.triplets} == {*range(0, CUT - 4, 2), *range(CUT, CUT + 16, 2)}


def test_the_data_set_can_be_read_and_evaluated(made):
    files = list_triplets(made)
    assert len(files) == len(names(made)) > 4
    assert all(one.annotation for one in files)
    for one in files:
        triplet, annotation = read_triplet(one), read_annotation(one.annotation)
        height, width = triplet.truth.shape[:2]
        assert annotation.image_size == (width, height)
        region = annotation.roi(width, height)
        assert min(region.width, region.height) >= 64
        assert (triplet.frame0 != triplet.frame1).any()
    evaluation = evaluate(made, {"first": lambda frame0, frame1, t: frame0}, workers=1)
    assert not evaluation.faults


def test_level_and_region_follow_the_motion(made):
    """The figure walks 2 px per drawing at 192x108, which is 20 px of 960x540 over two drawings."""
    name = next(name for name in names(made) if name.startswith("ones_"))
    note = json.loads((annotations_folder(made) / name / f"{name}.json").read_text())
    assert 8 < note["measured"]["displacement"] < 40
    assert note["level"] in (1, 2)
    region, center = note["motion_RoI"], 30 + 2 * note["source"]["frame"]
    assert region["x"] <= max(0, center - 14)
    assert region["x"] + region["width"] >= min(made_films.WIDTH, center + 14)
    assert region["width"] < 120
    assert note["motion_RoI"].keys() == {"x", "y", "width", "height"}
    assert all(type(value) is int for value in region.values())


@pytest.mark.parametrize("grain", [0, 3])
def test_the_region_ignores_camera_motion_and_grain(grain):
    painting = made_films.background(3)
    frames = [made_films.with_figure(made_films.view(painting, 3 * i), 0, 60 + 5 * i) for i in range(3)]
    x, _, width, _ = find_moving_region(made_films.grained(frames, grain))
    assert 20 <= x <= 46
    assert 84 <= x + width <= 130


def test_the_region_is_the_whole_frame_if_nothing_moves():
    static = [made_films.view(made_films.background(3))] * 3
    assert find_moving_region(static) == (0, 0, made_films.WIDTH, made_films.HEIGHT)


def test_films_in_one_run_or_several_give_the_same_bytes(films, made, tmp_path):
    for count in (1, 2):
        build(films[:count], tmp_path / "mine", OPTIONS)
    assert content(tmp_path) == content(made.parent)


def test_an_interrupted_run_continues_to_the_same_bytes(films, made, tmp_path):
    def stop(step):
        if step.film == 1 and step.triplets == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(films, tmp_path / "mine", OPTIONS, report=stop)
    (tmp_path / "mine" / ".0123456789abcdef.part").mkdir()
    assert not read_manifest(tmp_path / "mine").films["ones"].finished
    built = build(films, tmp_path / "mine", OPTIONS)
    assert built.unchanged == ("on_twos",)
    assert content(tmp_path) == content(made.parent)


def test_finished_films_are_not_read_again(films, made, tmp_path, monkeypatch):
    build(films, tmp_path / "mine", OPTIONS)
    monkeypatch.setattr(building, "Reader", None)
    moved = tmp_path / "elsewhere.mp4"
    moved.write_bytes(films[0].read_bytes())
    assert build([moved, films[1]], tmp_path / "mine", OPTIONS).unchanged == ("on_twos", "ones")


def test_other_options_are_refused_and_force_starts_over(films, tmp_path):
    folder = tmp_path / "mine"
    build(films[:1], folder, OPTIONS)
    many = len(names(folder))
    with pytest.raises(UsageError, match="limit 120, now 1"):
        build(films[:1], folder, BuildOptions(spacing=0.5, limit=1))
    assert len(names(folder)) == many
    (annotations_folder(folder) / "own").mkdir()
    build(films[:1], folder, BuildOptions(spacing=0.5, limit=1), force=True)
    assert len(names(folder)) == 1
    assert names(annotations_folder(folder)) == [*names(folder), "own"]


def test_a_folder_with_other_files_is_refused(films, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="other things"):
        build(films, tmp_path / "mine", OPTIONS, force=True)
    assert names(tmp_path) == ["mine"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_ssim": 0.76}, "too alike"),
        ({"min_ssim": 0.94}, "too different"),
        ({"min_motion": 150}, "too slow"),
        ({"max_motion": 2}, "too fast"),
        ({"max_unexplained": 0.0}, "middle elsewhere"),
        ({"max_span": 0.05}, "held too long"),
    ],
)
def test_every_threshold_rejects_triplets(films, tmp_path, options, reason):
    record = build(films[:1], tmp_path / "mine", BuildOptions(**options)).films["on_twos"]
    assert reason in record.left_out
    assert len(record.triplets) <= 1


def test_a_limit_is_distributed_over_the_film(films, tmp_path):
    record = build(films[1:], tmp_path / "mine", BuildOptions(spacing=0, limit=4)).films["ones"]
    begins = [int(name[-6:]) for name in record.triplets]
    assert len(begins) == 4
    assert np.diff(begins).min() >= 0.8 * COUNT / 4


def test_a_step_of_two_takes_every_second_drawing(films, tmp_path):
    record = build(films[:1], tmp_path / "mine", BuildOptions(step=2, spacing=0.5, min_ssim=0.5)).films["on_twos"]
    frames = frames_of(films[0])
    first = int(record.triplets[0][-6:])
    middle = read_image(tmp_path / "mine" / record.triplets[0] / "frame2.png", 10**6).pixels
    np.testing.assert_array_equal(middle, frames[first + 4])


def test_frames_are_cropped_to_a_size_with_square_pixels():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 50:150] = 255
    assert (fit_image(image, (50, 50)) == 255).all()
    assert fit_image(image, (960, 540)).shape == (540, 960, 3)
    wide = fit_image(image, (100, 50), aspect=2.0)  # displayed as 4:1, so half of it is cropped
    assert (wide[:, 2:-2] == 255).all()
    assert fit_image(image, None) is image


def test_damaged_films_are_listed_and_the_others_are_built(films, tmp_path, capsys):
    (tmp_path / "broken.mp4").write_bytes(films[0].read_bytes()[:500])
    arguments = ("--limit", 1, "--size", "96x54")
    films_given = (tmp_path / "broken.mp4", tmp_path / "absent.mp4", films[1])
    assert run("dataset", "build", *films_given, "-o", tmp_path / "mine", *arguments) == 1
    output = capsys.readouterr()
    assert f"left out {films_given[0]}" in output.err
    assert f"left out {films_given[1]}" in output.err
    assert "2 films cannot be read" in output.err
    assert "_sheet.html" in output.out
    (one,) = list_triplets(tmp_path / "mine")
    assert read_triplet(one).truth.shape == (54, 96, 3)


def test_a_folder_with_a_damaged_frame_keeps_the_earlier_triplets(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(strut(24)):
        cv2.imwrite(str(frames / f"{number}.png"), frame[..., ::-1])
    whole = (frames / "21.png").read_bytes()
    (frames / "21.png").write_bytes(whole.replace(b"IDATx", b"IDATy"))  # its header stays valid
    built = build([frames], tmp_path / "mine", OPTIONS)
    assert "21.png" in built.faults[0][1]
    assert names(tmp_path / "mine") == ["frames_000000"]
    assert not read_manifest(tmp_path / "mine").films["frames"].finished


def test_a_full_disk_leaves_no_partial_triplet(films, tmp_path, monkeypatch):
    write, calls = building.write_image, []

    def full(path, frame):
        calls.append(path)
        if len(calls) == 5:
            raise FileError(f"cannot write {path}: no space")
        write(path, frame)

    monkeypatch.setattr(building, "write_image", full)
    with pytest.raises(FileError, match="no space"):
        build(films[:1], tmp_path / "mine", OPTIONS)
    assert names(tmp_path / "mine") == ["on_twos_000000"] == names(annotations_folder(tmp_path / "mine"))


def test_films_of_the_same_name_get_different_labels(tmp_path):
    record = Manifest(tmp_path / "mine", {})
    labels = []
    for number, film in enumerate(["one/01.mkv", "two/01.mkv", "two/01.mp4", "one/ É:<b>.mp4", "one/__.mp4"]):
        labels.append(record.choose_label(tmp_path / film, str(number)))
        record.films[labels[-1]] = FilmRecord(film, str(number))
    assert labels == ["01", "two-01", "01-2", "É_b", "film"]
    assert record.choose_label(tmp_path / "moved.mkv", "1") == "two-01"


def test_the_sheet_is_self_contained_and_escapes_names(made, tmp_path):
    page = made.with_name("mine_sheet.html").read_text()
    assert set(re.findall(r'name="([^"]+)"', page)) == {*names(made), "viewport"} - {"viewport"}
    assert page.count("data:image/jpeg;base64,") == len(names(made))
    assert not re.search(r'(?:src|href)="?(?:https?:|//|[^#"]*\.(?:js|css|jpg|png))', page)
    assert "on twos.mp4 at 0:00.00" in page
    film = make_film(tmp_path / "<script>&.mp4", strut(4), options=LOSSLESS)
    build([film], tmp_path / 'a"<b>', BuildOptions(min_ssim=0, max_ssim=1, max_unexplained=1))
    (sheet,) = tmp_path.glob("*_sheet.html")
    assert "&lt;script&gt;&amp;.mp4" in sheet.read_text()
    assert "<b>" not in sheet.read_text()
    assert sheet.read_text().count("<script>") == 1


def test_large_sets_have_several_pages(films, tmp_path, monkeypatch):
    monkeypatch.setattr("animeinterp.data.films.contact_sheet._TRIPLETS_PER_PAGE", 2)
    folder = tmp_path / "mine"
    built = build(films[:1], folder, OPTIONS)
    assert len(built.pages) == -(-len(names(folder)) // 2) > 1
    (tmp_path / "rejected.txt").write_text("\n".join(names(folder)[1:]))
    prune(folder, tmp_path / "rejected.txt")
    assert len(list(tmp_path.glob("mine_sheet*.html"))) == 1


def test_rejected_triplets_are_removed_and_not_built_again(films, tmp_path, capsys):
    folder = tmp_path / "mine"
    build(films[:1], folder, OPTIONS)
    before = names(folder)
    (flows_folder(folder) / before[0]).mkdir(parents=True)
    rejected = tmp_path / "rejected.txt"
    rejected.write_text(f"{before[0]}\n\n{before[2]}\n")
    assert run("dataset", "prune", folder, rejected) == 0
    assert "2 triplets taken out" in capsys.readouterr().out
    remaining = sorted({*before} - {before[0], before[2]})
    assert names(folder) == names(annotations_folder(folder)) == remaining
    assert names(flows_folder(folder)) == []
    assert before[0] not in folder.with_name("mine_sheet.html").read_text()
    assert prune(folder, rejected) == 0

    record = read_manifest(folder)
    record.films["on_twos"].finished = False
    record.write()
    build(films, folder, OPTIONS)
    assert [name for name in names(folder) if name.startswith("on_twos")] == remaining


def test_a_list_of_another_data_set_removes_nothing(films, tmp_path):
    folder = tmp_path / "mine"
    build(films[:1], folder, OPTIONS)
    before = content(tmp_path)
    (tmp_path / "rejected.txt").write_text(f"{names(folder)[0]}\n../mine\n")
    with pytest.raises(UsageError, match=r"'\.\./mine', 1 of 2 names"):
        prune(folder, tmp_path / "rejected.txt")
    (tmp_path / "rejected.txt").unlink()
    assert content(tmp_path) == before
    with pytest.raises(FileError, match="expected a list"):
        prune(folder, tmp_path / "rejected.txt")
    with pytest.raises(FileError, match="built here"):
        prune(tmp_path / "other", tmp_path / "rejected.txt")
    manifest_path(folder).write_text("{}")
    with pytest.raises(FileError, match="damaged"):
        build(films, folder, OPTIONS)


@pytest.mark.parametrize(
    "options",
    [{"min_ssim": 0.9, "max_ssim": 0.8}, {"min_motion": -1}, {"step": 0}, {"max_span": 0}, {"size": (8, 600)}],
)
def test_invalid_options_are_refused(options):
    with pytest.raises(UsageError, match="expected"):
        BuildOptions(**options)


def test_memory_does_not_grow_with_the_length_of_the_film():
    alive: list[weakref.ref] = []

    def long():
        for number in range(1000):
            frame = np.full((32, 32, 3), number % 2, np.uint8)
            alive.append(weakref.ref(frame))
            time = Fraction(number, 24)
            yield Drawing(number, time, time, time + Fraction(1, 24), frame, number % 300 == 0)

    film = VideoInfo(Path("film"), 32, 32, Fraction(24), Fraction(0), Fraction(1000, 24), 1000, "rgb24")
    alive_counts = [
        sum(reference() is not None for reference in alive)
        for _ in select_triplets(long(), film, BuildOptions(step=2, max_span=9, spacing=0.2), Counter())
    ]
    assert len(alive_counts) == 1000
    assert max(alive_counts) <= 6  # five of a triplet and the next


def test_triplets_of_a_real_film_start_in_several_shots(shared):
    film = probe(shared / "clips" / "hard_cuts_5shots_24fps_tone.mp4")
    drawings = find_drawings(islice(Reader(film), 46), lambda: film.duration)
    options = BuildOptions(limit=20, spacing=0.25, size=(480, 270))
    triplets = [triplet for _, triplet in select_triplets(drawings, film, options, Counter()) if triplet]
    firsts = [triplet.number for triplet in triplets]
    assert len(firsts) >= 4
    assert not {34, 35} & {*firsts}  # the second shot begins with frame 36
    assert min(firsts) < 36 <= max(firsts)
    assert {triplet.frames[1].shape for triplet in triplets} == {(270, 480, 3)}
