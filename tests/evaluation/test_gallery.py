"""Gallery: the worst crops, their order, and the page that shows them."""

from __future__ import annotations

import base64
import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from animeinterp.data.atd12k import Region, TripletFiles
from animeinterp.errors import FileError, UsageError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.gallery import write_gallery
from animeinterp.evaluation.scores import TripletScores
from animeinterp.evaluation.worst_crops import find_crops, find_worst_windows, squared_error
from animeinterp.metrics.scores import Scores

NASTY = '<script>alert("1")</script>&amp;\'{{ title }}'
SIZE = (400, 600)  # rows, columns: six crops without overlap
FAULTS = {"a": [(10, 20, 60)], "b": [(10, 20, 255), (200, 400, 120), (300, 20, 30)], "c": []}  # y, x, level


def faulty(name, factor=1.0):
    """A black frame with wrong squares of 40 px."""
    frame = np.full((*SIZE, 3), 0, np.uint8)
    for y, x, amount in FAULTS[name]:
        frame[y : y + 40, x : x + 40] = round(amount * factor)
    return frame


def true():
    frame = np.zeros((*SIZE, 3), np.uint8)
    frame[0, 0] = 7
    return frame


class Lpips:
    """A metric of the red channel, so that its ranking differs from squared error."""

    def map(self, drawn, truth):
        return (np.abs(drawn[..., 0].astype(np.float32) - truth[..., 0]) / 255) if drawn.shape[0] > 30 else None


@pytest.fixture
def files(tmp_path):
    files = []
    for name in FAULTS:
        folder = tmp_path / "films & co" / name
        folder.mkdir(parents=True)
        for number, value in ((1, 50), (2, None), (3, 200)):
            frame = np.full((*SIZE, 3), value, np.uint8) if value else true()
            cv2.imwrite(str(folder / f"frame{number}.png"), frame[..., ::-1])
        files.append(TripletFiles(name, folder))
    return files


@pytest.fixture
def drawn(tmp_path):
    for model, factor in (("ours", 1), ("theirs", 0.5)):
        (tmp_path / model).mkdir()
        for name in FAULTS:
            frame = faulty(name, factor)
            frame[0, 0] = 7
            cv2.imwrite(str(tmp_path / model / f"{name}.png"), frame)
    return lambda model, triplet: tmp_path / model / f"{triplet}.png"


def evaluation(models=("ours", "theirs"), names=tuple(FAULTS)):
    scores = Scores(20, 0.9)
    return Evaluation(tuple(TripletScores(model, name, 2, scores) for name in names for model in models), ())


def write(tmp_path, *arguments, **options):
    target = tmp_path / "gallery.html"
    write_gallery(target, *arguments, force=True, **options)
    return target.read_text(encoding="utf-8")


def page_images(text):
    """Return the images of a page with their alternative texts, uint8 (H, W, 3)."""
    images = re.findall(r'<img src="data:image/webp;base64,([^"]*)" alt="([^"]*)"', text)
    return [(alt, np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))) for data, alt in images]


def test_windows_come_by_mean_error_and_do_not_overlap():
    errors = np.zeros((200, 300), np.float32)
    errors[20:30, 30:40] = 1
    errors[25:35, 35:45] = 0.5  # overlaps the first: no window of its own
    errors[150:160, 250:260] = 0.25
    windows = find_worst_windows(errors, side=64, count=5)
    assert [round(mean, 6) for mean, _ in windows] == pytest.approx([125 / 64**2, 25 / 64**2], rel=1e-3)
    first, second = (window for _, window in windows)
    for window, (y, x) in ((first, (20, 30)), (second, (150, 250))):
        assert (window.width, window.height) == (64, 64)
        assert window.y <= y <= window.y + 54
        assert window.x <= x <= window.x + 54
    assert find_worst_windows(errors, side=64, count=1) == windows[:1]
    crowded = find_worst_windows(np.random.default_rng(0).random((200, 300)).astype(np.float32), side=64, count=99)
    for k, (_, one) in enumerate(crowded):
        for _, other in crowded[:k]:
            assert abs(one.x - other.x) >= 64 or abs(one.y - other.y) >= 64
    assert len(crowded) >= 6
    means = [mean for mean, _ in crowded]
    assert means == sorted(means, reverse=True)


def test_windows_are_clipped_to_the_frame_and_reach_its_borders():
    errors = np.zeros((50, 203), np.float32)
    errors[49, 202] = 1
    assert find_worst_windows(errors, side=64) == [(pytest.approx(1 / 50 / 64), Region(139, 0, 64, 50))]
    assert find_worst_windows(np.zeros((50, 50), np.float32)) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_crops_are_ranked_over_the_whole_set(files, drawn, workers):
    crops, faults = find_crops(files, "ours", drawn, squared_error, 9, workers)
    assert not faults
    assert [crop.files.name for crop in crops] == ["b", "b", "a"], "at most two of b, none of c"
    assert crops[0].error == pytest.approx(1600 / 192**2, rel=1e-3)
    assert crops[1].error == pytest.approx(1600 / 192**2 * (120 / 255) ** 2, rel=1e-3)
    assert find_crops(files, "ours", drawn, squared_error, 2, workers)[0] == crops[:2]


def test_each_row_has_both_frames_the_truth_and_every_model_with_its_error(tmp_path, files, drawn):
    text = write(tmp_path, evaluation(), files, drawn, Lpips())
    shown = page_images(text)
    row = ["Frame 0", "Frame 1", "Truth", "Position of the crop"]
    row += [alt for model in ("ours", "theirs") for alt in (f"Drawn by {model}", f"Error of {model}")]
    assert [alt for alt, _ in shown] == row * 3
    worst = dict(shown[: len(row)])
    assert {image.shape for alt, image in worst.items() if alt != "Position of the crop"} == {(192, 192, 3)}
    assert abs(int(worst["Frame 0"].mean()) - 50) <= 2
    assert abs(int(worst["Frame 1"].mean()) - 200) <= 2
    assert worst["Truth"].mean() < 2
    assert worst["Drawn by ours"].max() > 240
    assert 100 < worst["Drawn by theirs"].max() < 150
    assert worst["Error of ours"].max() > 200
    assert worst["Position of the crop"][..., 0].max() > 200, "the mark"
    lpips = re.findall(r"<b>(\w+)</b> LPIPS ([\d.]+)", text)
    mean = 1600 / 192**2
    assert lpips[:2] == [("ours", f"{mean:.3f}"), ("theirs", f"{mean * 128 / 255:.3f}")]
    assert [float(value) for _, value in lpips[::2]] == sorted((float(v) for _, v in lpips[::2]), reverse=True)
    names = re.findall(r'<span class="name">(.*?)</span>', text)
    assert names == ["b", "b", "a"]
    assert "hard, 192x192 px at x " in text
    assert "The 3 worst crops of <b>ours</b> over 3 triplets" in text
    assert "squared error" not in text


def test_the_page_refers_to_no_other_file(tmp_path, files, drawn):
    text = write(tmp_path, evaluation(), files, drawn, Lpips(), count=1)
    assert text.count('<section class="crop"') == 1
    assert "http:" not in text
    assert "https:" not in text
    assert "<script" not in text
    assert "{{" not in text
    assert {source[:23] for source in re.findall(r'src="([^"]*)"', text)} == {"data:image/webp;base64,"}
    assert write(tmp_path, evaluation(), files, drawn, Lpips(), count=1, workers=2) == text, "the same bytes"


def test_without_lpips_crops_are_ranked_by_squared_error(tmp_path, files, drawn):
    text = write(tmp_path, evaluation(), files, drawn)
    assert "Ranked by squared error, as there were no weights of LPIPS" in text
    psnr = -10 * np.log10(1600 / 192**2)
    assert f"<b>ours</b> {psnr:.2f} dB" in text
    assert "LPIPS map" not in text


def test_names_are_escaped(tmp_path, files, drawn):
    renamed = [TripletFiles(f"{one.name}{NASTY}\udcff", one.folder) for one in files]
    models = (f"ours{NASTY}", "\udcff")
    done = evaluation(models, [one.name for one in renamed])
    text = write(tmp_path, done, renamed, lambda model, triplet: drawn("ours", triplet[0]), Lpips())
    assert "<script" not in text
    assert "Worst crops of films &amp; co" in text
    assert text.count("&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&amp;amp;&#39;{{ title }}") >= 6


def test_unreadable_frames_are_listed_and_the_rest_is_shown(tmp_path, files, drawn):
    (files[0].folder / "frame2.png").unlink()
    drawn("theirs", "b").unlink()
    cv2.imwrite(str(drawn("ours", "c")), np.zeros((20, 20, 3), np.uint8))
    text = write(tmp_path, evaluation(), files, drawn, Lpips())
    assert "Skipped: 2 triplets" in text
    assert "has no frame2" in text
    assert "is 20x20; expected the true frame&#39;s 600x400" in text
    assert re.findall(r'<span class="name">(.*?)</span>', text) == ["b", "b"]
    assert text.count('class="missing">theirs: ') == 2
    none = write(tmp_path, evaluation(), files, lambda model, triplet: None, Lpips())
    assert "Skipped: 3 triplets" in none
    assert "was not kept" in none


def test_frames_too_small_for_lpips_are_listed(tmp_path):
    folder = tmp_path / "set" / "a"
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"frame{number}.png"), np.zeros((20, 40, 3), np.uint8))
    one = [TripletFiles("a", folder)]
    text = write(tmp_path, evaluation(("ours",), ("a",)), one, lambda *_: folder / "frame1.png", Lpips())
    assert "40x20 px is too small for LPIPS" in text


def test_an_empty_gallery(tmp_path, files, drawn):
    for done in (Evaluation((), ()), evaluation(names=("c",))):
        assert "<section" not in write(tmp_path, done, files, drawn, Lpips())
    assert "<section" not in write(tmp_path, Evaluation((), ()), [], drawn)


def test_existing_files_and_negative_counts_are_refused(tmp_path, files, drawn):
    target = tmp_path / "gallery.html"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        write_gallery(target, evaluation(), files, drawn)
    with pytest.raises(UsageError, match="number of crops"):
        write_gallery(target, evaluation(), files, drawn, count=-1, force=True)
    with pytest.raises(FileError, match="is not a folder"):
        write_gallery(tmp_path / "nowhere" / "g.html", evaluation(), files, drawn)
    assert target.read_text() == "precious"
