"""The linear set: exact frames, correct masks, excluded from training, and art that no training set contains."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from animeinterp.cli import main as cli
from animeinterp.data.atd12k import list_triplets, read_annotation, shuffle_triplets
from animeinterp.data.layout import manifest_path, masks_folder
from animeinterp.data.linear.art import FOLDERS, read_art
from animeinterp.data.linear.composing import compose_shots
from animeinterp.data.linear.dataset import write_linear
from animeinterp.data.linear.masks import compute_masks, find_motion_borders
from animeinterp.data.linear.placing import FRAME_TIMES, Layer, transform_points
from animeinterp.data.linear.record import ART_KIND
from animeinterp.data.linear.rendering import label_points, prepare_shot, render_frame
from animeinterp.data.recognition import recognize
from animeinterp.data.sources import open_triplets
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.evaluation.evaluate import evaluate
from animeinterp.evaluation.masks import read_masks, score_parts
from animeinterp.evaluation.results import describe
from animeinterp.evaluation.scores import PartScores, mean_parts, read_rows, write_rows
from animeinterp.io.images import read_image, write_image
from animeinterp.training.build import build_sources
from animeinterp.training.config import SourceConfig, TrainingConfig

ROOT = Path(__file__).resolve().parents[2]
CARDS = sorted((ROOT / "docs").glob("model-card-*.md"))


def noise(rng, height, width):
    """A smooth opaque image, uint8 RGBA, whose colors change slightly with a slight shift."""
    coarse = rng.uniform(40, 215, (height // 16 + 2, width // 16 + 2, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    return np.dstack([np.rint(smooth), np.full((height, width), 255)]).astype(np.uint8)


def disc(color, size=80):
    """A disc of one color on a transparent background."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    alpha = 255 * (np.hypot(x, y) < 0.45 * size)
    return np.dstack([np.broadcast_to(np.array(color), (size, size, 3)), alpha]).astype(np.uint8)


@pytest.fixture
def art(tmp_path):
    """A small folder of generated art."""
    rng, folder = np.random.default_rng(0), tmp_path / "art"
    files = {}
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    for index in range(5):
        name = f"figures/disc{index}.png"
        write_image(folder / name, disc(rng.integers(0, 255, 3), 90))
        files[name] = {"package": "drawn", "license": "MIT", "bust": index == 0}
    for name, side in (("backgrounds/one.png", 400), ("backgrounds/two.png", 300)):
        write_image(folder / name, noise(rng, side, 2 * side)[..., :3])
        files[name] = {"package": "drawn", "license": "MIT"}
    middle = noise(rng, 120, 500)
    middle[:40, :, 3] = 0
    write_image(folder / "middle/hill.png", middle)
    files["middle/hill.png"] = {"package": "drawn", "license": "MIT"}
    content = {"kind": ART_KIND, "packages": {"drawn": {"title": "Generated"}}, "files": files}
    (folder / "art.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture
def linear(tmp_path, art):
    """A set of two small shots."""
    folder = tmp_path / "set"
    list(write_linear(folder, art, 2, 3, (192, 108)))
    return folder


def shot_of(layers, pictures, width=160, height=120):
    return prepare_shot(layers, pictures, width, height)


def test_frame_2_is_frame_1_transformed_by_half_of_all_parameters():
    """A smooth image that rotates, grows and shifts: points of frame 1 are found in frame 2 with sub-pixel accuracy."""
    layer = Layer("x", (150, 110), ((75, 55), (91, 63)), (-6, 6), (0.9, 1.1))
    shot = shot_of([layer], [noise(np.random.default_rng(1), 220, 300)])
    frames = [render_frame(shot, t).astype(np.float32) for t in FRAME_TIMES]
    half = layer.to_frame(0.5)
    assert np.allclose(half[:, :2], np.sqrt(0.9 * 1.1) * np.eye(2), atol=1e-12)
    assert np.allclose(transform_points(half, 150, 110), (83, 59))
    y, x = np.mgrid[30:90, 30:130].astype(np.float64)
    for t, frame in ((0.0, frames[0]), (1.0, frames[2])):
        position = transform_points(layer.to_frame(t), *transform_points(layer.to_image(0.5), x, y))
        sampled = cv2.remap(frame, *(part.astype(np.float32) for part in position), cv2.INTER_CUBIC)
        assert np.abs(sampled - frames[1][30:90, 30:130]).mean() < 0.6  # of 255: rounding and resampling
        shifted = cv2.remap(frame, *(part.astype(np.float32) + 0.25 for part in position), cv2.INTER_CUBIC)
        assert np.abs(shifted - frames[1][30:90, 30:130]).mean() > 1.2  # a shift of a quarter pixel is detected


def test_all_frames_are_equally_sharp():
    """A shift of half a pixel: no frame is an exact copy while others are blurred."""
    rng = np.random.default_rng(2)
    grain = rng.integers(0, 255, (300, 400, 4)).astype(np.uint8)
    grain[..., 3] = 255
    layer = Layer("x", (200, 150), ((79.75, 60.0), (80.25, 60.0)), (0, 0), (0.5, 0.5))
    shot = shot_of([layer], [grain])
    spread = [float(render_frame(shot, t)[10:-10, 10:-10].std()) for t in FRAME_TIMES]
    assert max(spread) < 1.06 * min(spread)


def test_a_pixel_is_the_mean_over_its_area():
    """A white square over black that covers three quarters of a column's pixels."""
    black, white = np.zeros((60, 60, 4), np.uint8), np.full((20, 20, 4), 255, np.uint8)
    black[..., 3] = 255
    layers = [Layer("b", (29.5, 29.5), ((19.5, 19.5),) * 2), Layer("w", (9.5, 9.5), ((20.25, 19.5),) * 2)]
    frame = render_frame(shot_of(layers, [black, white], 40, 40), 0.5)
    assert abs(int(frame[20, 10, 0]) - 64) < 26
    assert (frame[15:25, 13:27] == 255).all()
    assert not frame[:, :9].any()


def test_occlusion_counts_the_frames_in_which_a_point_is_visible():
    """A disc that moves 30 px to the right from frame 1 to 3: what it uncovers is visible in one of them."""
    back = noise(np.random.default_rng(3), 240, 320)
    layers = [
        Layer("back", (160, 120), ((80, 60), (80, 60))),
        Layer("disc", (39.5, 39.5), ((65, 60), (95, 60))),
    ]
    masks = compute_masks(shot_of(layers, [back, disc((255, 0, 0))]))
    y, x = np.mgrid[:120, :160]
    radius = 36.0
    at = [np.hypot(x - center, y - 60) < radius for center in (65, 80, 95)]
    expected = np.where(at[1], 2, 2 - at[0].astype(int) - at[2].astype(int))
    sure = np.ones_like(at[0])
    for center in (65, 80, 95):  # rims are one pixel wide
        sure &= np.abs(np.hypot(x - center, y - 60) - radius) > 1.0
    assert (masks.visibility[sure] == expected[sure]).all()
    assert {int(times) for times in np.unique(masks.visibility)} == {1, 2}
    assert np.allclose(masks.motion[60, 80], (30, 0))
    assert np.allclose(masks.motion[5, 5], 0)


def test_points_outside_the_frame_or_covered_in_both_frames_are_not_visible():
    """The background shifts by 20 px each way, so its edges leave the frame. A gap between bars is covered twice."""
    back, bar = noise(np.random.default_rng(4), 240, 400), np.full((80, 30, 4), 255, np.uint8)
    layers = [
        Layer("back", (200, 120), ((60, 60), (100, 60))),
        Layer("gap", (14.5, 39.5), ((80, 60), (80, 60))),
        Layer("bar", (14.5, 39.5), ((79, 60), (142, 60))),
        Layer("bar", (14.5, 39.5), ((18, 60), (81, 60))),
    ]
    masks = compute_masks(shot_of(layers, [back, bar, bar, bar]))
    assert (masks.visibility[:15, 25:135] == 2).all()
    assert (masks.visibility[:15, :18] == 1).all()
    assert (masks.visibility[:15, -18:] == 1).all()
    assert masks.layer[60, 80] == 1
    assert masks.visibility[60, 80] == 0


def test_borders_are_only_where_motion_differs():
    label, motion = np.zeros((60, 80), np.int32), np.zeros((60, 80, 2))
    label[:, 30:] = 1
    label[:, 60:] = 2
    motion[:, 30:] = (0.6, 0)
    motion[:, 60:] = (0.9, 0)  # another layer with nearly the same motion
    borders = find_motion_borders(label, motion)
    assert borders[:, 29 - 8 : 30 + 9].all()
    assert not borders[:, : 29 - 8].any()
    assert not borders[:, 30 + 9 :].any()
    assert not find_motion_borders(label, np.zeros((60, 80, 2))).any()


def test_a_set_has_the_layout_of_atd12k_with_masks_and_a_manifest(linear, art):
    listed = list_triplets(linear)
    assert [one.name for one in listed] == ["linear_000", "linear_001"]
    assert {read_annotation(one.annotation).image_size for one in listed} == {(192.0, 108.0)}
    manifest = json.loads(manifest_path(linear).read_text(encoding="utf-8"))
    assert manifest["seed"] == 3
    used = {layer["file"] for shot in manifest["shots"].values() for layer in shot["layers"]}
    assert manifest["art"].keys() == used
    assert {one["license"] for one in manifest["art"].values()} == {"MIT"}
    for one in listed:
        masks = [read_image(masks_folder(linear) / one.name / name, 10**6).pixels for name in MASKS]
        assert [mask.dtype for mask in masks] == [np.uint8, np.uint8]
        assert set(np.unique(masks[0])) <= {0, 1, 2}
        assert set(np.unique(masks[1])) == {0, 255}


MASKS = ("occlusion.png", "borders.png")


def test_the_same_seed_gives_the_same_set_and_a_run_continues(tmp_path, art, linear):
    again = tmp_path / "again"
    run = write_linear(again, art, 2, 3, (192, 108))
    next(run)
    run.close()
    assert sorted(path.name for path in again.iterdir()) == ["linear_000"]
    list(write_linear(again, art, 2, 3, (192, 108)))
    for name in ("linear_000/frame1.png", "linear_001/frame2.png", "linear_001/frame3.png"):
        assert (again / name).read_bytes() == (linear / name).read_bytes()
    with pytest.raises(UsageError, match="other options"):
        list(write_linear(again, art, 2, 4, (192, 108)))
    with pytest.raises(UsageError, match="holds other things"):
        list(write_linear(art, art, 2, 3, (192, 108)))


def test_backgrounds_cover_the_frame_and_cut_edges_stay_outside(art):
    """At all times of every shot: no edge of a background, no lower edge of a middle ground or bust."""
    pieces = read_art(art)
    sizes = {name: pieces.read(name).shape[1::-1] for name in (*pieces.figures, *pieces.backgrounds, *pieces.middle)}
    shots = compose_shots(pieces, 12, 0, (192, 108), sizes.__getitem__)
    assert {len(shot.layers) for shot in shots} >= {3, 4, 5}
    assert min(shot.motion for shot in shots) == pytest.approx(4 * 108 / 540)
    assert max(shot.motion for shot in shots) == pytest.approx(120 * 108 / 540)
    for shot in shots:
        for layer in shot.layers:
            width, height = sizes[layer.file]
            for t in FRAME_TIMES:
                if layer.file.startswith("backgrounds/"):
                    corners = [transform_points(layer.to_image(t), x, y) for x in (-0.5, 191.5) for y in (-0.5, 107.5)]
                    assert all(1 <= u <= width - 2 and 1 <= v <= height - 2 for u, v in corners)
                if layer.file.startswith("middle/") or layer.file in pieces.busts:
                    inner = np.linspace(0.2, 0.8, 5) * width
                    assert (transform_points(layer.to_frame(t), inner, height - 1)[1] >= 107).all()


def test_figures_overlap_in_at_least_half_of_the_shots(art):
    pieces = read_art(art)
    sizes = {name: pieces.read(name).shape[1::-1] for name in (*pieces.figures, *pieces.backgrounds, *pieces.middle)}
    hidden = 0
    for composition in compose_shots(pieces, 12, 0, (192, 108), sizes.__getitem__):
        shot = prepare_shot(composition.layers, [pieces.read(layer.file) for layer in composition.layers], 192, 108)
        y, x = np.mgrid[:108, :192].astype(np.float64)
        label = label_points(shot, 0.5, x, y)
        figures = [n for n, layer in enumerate(composition.layers) if layer.file.startswith("figures/")]
        for n in figures:
            pair = [shot.layers[0], shot.layers[n]]
            whole = (
                label_points(prepare_shot(pair, [pieces.read(layer.file) for layer in pair], 192, 108), 0.5, x, y) > 0
            )
            if (whole & (label != n)).sum() > 0.05 * whole.sum():
                hidden += 1
                break
    assert hidden >= 6


def test_nothing_is_trained_on_a_linear_set(linear, art):
    """By recognition, by an explicit kind, through the library and with its art."""
    for kind in (None, "atd12k"):
        with pytest.raises(UsageError, match="evaluation only"):
            recognize(linear, kind)
    with pytest.raises(UsageError, match="evaluation only"):
        next(iter(shuffle_triplets(linear, [0])))
    with pytest.raises(UsageError, match="evaluation only"):
        open_triplets(linear, "atd12k")
    with pytest.raises(UsageError, match="evaluation only"):
        open_triplets(linear.parent, "vector", backgrounds=art / "backgrounds")
    with pytest.raises(UsageError, match="evaluation only"):
        recognize(art, "scenes")
    assert len(list_triplets(linear)) == 2  # evaluation accepts it


def test_the_command_line_refuses_to_train_on_it(linear, tmp_path, capsys):
    for words in (("crops", linear, "-o", tmp_path / "crops", "-n", 1), ("preview", linear, "-o", tmp_path / "x.png")):
        with pytest.raises(SystemExit) as exit_info:
            cli(["dataset", *map(str, words)])
        assert exit_info.value.code == 2
        assert "evaluation only" in capsys.readouterr().err
    assert not (tmp_path / "crops").exists()


def test_a_run_refuses_it_as_a_source(linear):
    source = SourceConfig(kind="scenes", path=str(linear))
    with pytest.raises(UsageError, match="evaluation only"):
        build_sources(TrainingConfig(name="run", folder="run", source=(source,)), torch.device("cpu"))


def test_a_training_command_refuses_it_before_the_run_starts(linear, tmp_path, capsys):
    config, folder = tmp_path / "run.toml", tmp_path / "run"
    lines = ('name = "run"', f'folder = "{folder.as_posix()}"', "[[source]]", 'kind = "scenes"')
    text = "\n".join((*lines, f'path = "{linear.as_posix()}"'))
    config.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as exit_info:
        cli(["train", "--config", str(config)])
    assert exit_info.value.code == 2
    assert "evaluation only" in capsys.readouterr().err
    assert not folder.exists()


@pytest.fixture
def script():
    """The command that fetches the art, as a module."""
    spec = importlib.util.spec_from_file_location("linear_art", ROOT / "benchmarks" / "linear_art.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_package_of_another_content_is_refused(script, tmp_path):
    deb = tmp_path / "x.deb"
    deb.write_bytes(b"!<arch>\n")
    with pytest.raises(FileError, match="SHA-256"):
        script.unpack(deb, tmp_path)


def test_members_of_a_debian_package_are_found(script):
    parts = (b"debian-binary", b"2.0"), (b"data.tar.xz", b"data!"), (b"late/", b"")
    blocks = [b"%-16s%-12d%-6d%-6d%-8d%-10d`\n%s" % (name, 0, 0, 0, 0, len(data), data) for name, data in parts]
    file = io.BytesIO(b"!<arch>\n" + b"".join(block + b"\n" * (len(block) % 2) for block in blocks))
    assert script._member(file, "data.tar.xz") == b"data!"
    with pytest.raises(FileError, match="holds no"):
        script._member(file, "other")


def test_a_figure_is_the_largest_part_of_its_box(script):
    image = np.zeros((40, 60, 4), np.uint8)
    image[5:25, 5:25] = 200
    image[30:35, 40:45] = 100
    cut = script._largest_part(image, (2, 2, 50, 36))
    assert (cut[3:23, 3:23] == 200).all()
    assert not cut[26:].any()


def test_the_art_is_in_no_training_set(script):
    """No package of the art is named among the data sources of shipped weights."""
    names = {name for package, about in script.PACKAGES.items() for name in (package, about["title"])}
    assert names >= {"WarMUX", "lorelei"}
    assert CARDS
    for card in CARDS:
        sources = re.split(r"^## ", card.read_text(encoding="utf-8"), flags=re.MULTILINE)
        [section] = [part for part in sources if part.startswith("Sources of the data")]
        assert not [name for name in names if name.lower() in section.lower()]


def test_art_with_names_of_other_folders_is_refused(art):
    path = art / "art.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for name in ("figures/../../x.png", "elsewhere/x.png", "figures/missing.png"):
        path.write_text(json.dumps(content | {"files": content["files"] | {name: {}}}), encoding="utf-8")
        with pytest.raises(FileError):
            read_art(art)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(AnimeInterpError):
        read_art(art)


class Mapped:
    """Replaces LPIPS: its map is the mean absolute difference of colors."""

    identity = "stand-in"

    def __call__(self, drawn, true):
        return float(self.map(drawn, true).mean())

    def map(self, drawn, true):
        return np.abs(drawn.astype(np.float32) - true).mean(axis=2) / 255


def test_parts_are_scored_by_their_own_pixels():
    """A frame whose left half differs by 51 levels and whose right half is correct."""
    true = np.full((32, 64, 3), 100, np.uint8)
    drawn = true.copy()
    drawn[:, :32] += 51
    left_half, right_half = np.zeros((32, 64), bool), np.zeros((32, 64), bool)
    left_half[:, :32], right_half[:, 32:] = True, True
    small = np.zeros((32, 64), bool)
    small[0, :10] = True
    scores = score_parts(drawn, true, {"seen1": left_half, "seen2": right_half, "seen0": small}, Mapped())
    assert scores.keys() == {"seen1", "seen2"}  # parts that are too small are left out
    assert scores["seen1"].psnr == pytest.approx(-20 * np.log10(0.2))
    assert scores["seen1"].lpips == pytest.approx(0.2)
    assert scores["seen2"] == PartScores(np.inf, 0.0)
    assert score_parts(drawn, true, {"seen1": left_half})["seen1"].lpips is None
    other = {"seen1": PartScores(20.0, 0.4), "borders": PartScores(10.0)}
    means = mean_parts([{"seen1": PartScores(10.0, 0.2)}, other])
    assert means == {"seen1": PartScores(15.0, pytest.approx(0.3)), "borders": PartScores(10.0)}


def test_an_evaluation_scores_a_linear_set_by_parts(linear, tmp_path):
    """In rows, CSV and means; without masks there are no parts, and damaged masks are a fault."""

    def first(frame0, frame1, t):
        return frame0.copy()

    evaluation = evaluate(linear, {"first": first}, workers=1, lpips=Mapped())
    assert all({"seen1", "seen2", "borders"} <= row.parts.keys() for row in evaluation.rows)
    for row in evaluation.rows:
        masks = read_masks(masks_folder(linear) / row.triplet, (108, 192))
        frames = [read_image(linear / row.triplet / f"frame{n}.png", 10**6).pixels for n in (1, 2)]
        assert row.parts == score_parts(*frames, masks, Mapped())
        assert row.parts["borders"].psnr < row.whole.psnr
    write_rows(tmp_path / "scores.csv", evaluation.rows)
    assert read_rows(tmp_path / "scores.csv") == list(evaluation.rows)
    parts = evaluation.summary("first").parts
    assert parts["borders"].psnr == pytest.approx(np.mean([row.parts["borders"].psnr for row in evaluation.rows]))
    assert describe(evaluation.summary("first"))["parts"]["seen2"]["lpips"] == parts["seen2"].lpips
    mask = masks_folder(linear) / "linear_000" / "occlusion.png"
    write_image(mask, np.full((108, 192), 3, np.uint8), force=True)
    [fault] = evaluate(linear, {"first": first}, workers=1).faults
    assert "expected 0, 1 and 2" in fault.reason
    write_image(mask, np.zeros((32, 32), np.uint8), force=True)
    [fault] = evaluate(linear, {"first": first}, workers=1).faults
    assert "192x108" in fault.reason
    masks_folder(linear).rename(tmp_path / "elsewhere")
    assert not any(row.parts for row in evaluate(linear, {"first": first}, workers=1).rows)


def test_the_table_shows_parts(linear, capsys):
    """As the command line prints it."""
    with pytest.raises(SystemExit) as exit_info:
        cli(["evaluate", str(linear), "--predictions", f"first={firsts(linear)}", "--workers", "1"])
    assert exit_info.value.code == 0
    printed = capsys.readouterr().out
    assert all(heading in printed for heading in ("seen 2x", "seen 1x", "borders"))


def firsts(linear):
    """A folder of predictions: frame 1 of each triplet."""
    folder = linear.parent / "firsts"
    folder.mkdir()
    for place in linear.iterdir():
        write_image(folder / f"{place.name}.png", read_image(place / "frame1.png", 10**6).pixels)
    return folder
