from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from animeinterp.errors import FrameError, UsageError
from animeinterp.io.images import read_image, write_image
from animeinterp.keys.job import draw_keys
from animeinterp.keys.settings import KeySettings
from conftest import draw_scene
from support.stub import Blender


def write_keys(folder, *numbers, name="A{:04}.png", shift=3):
    folder.mkdir(exist_ok=True)
    for index, number in enumerate(numbers):
        write_image(folder / name.format(number), draw_scene(index * shift))
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".png", ".tif"))


def draw(keys, out, **settings):
    return draw_keys([keys], out, KeySettings(**settings), model=Blender(), workers=1)


def test_free_numbers_are_filled_and_keys_copied_unchanged(tmp_path):
    keys, out = write_keys(tmp_path / "keys", 1, 5, 6), tmp_path / "out"
    drawn = draw(keys, out)
    assert names(out) == [f"A000{number}.png" for number in range(1, 7)]
    assert drawn.drawn == 3
    assert (out / "A0005.png").read_bytes() == (keys / "A0005.png").read_bytes()
    frames = [read_image(out / f"A000{number}.png", 10**6).pixels for number in (1, 2, 5)]
    quarter = 0.75 * frames[0] + 0.25 * frames[2].astype(np.float32)
    assert np.abs(frames[1] - quarter).max() <= 1


def test_a_smaller_number_is_spread_over_the_room(tmp_path):
    out = tmp_path / "out"
    draw(write_keys(tmp_path / "keys", 1, 9), out, count=3)
    assert names(out) == ["A0001.png", "A0003.png", "A0005.png", "A0007.png", "A0009.png"]


def test_without_room_names_stay_in_order(tmp_path):
    out = tmp_path / "out"
    draw(write_keys(tmp_path / "keys", 1, 2, 3), out, count=2)
    assert names(out)[:4] == ["A0001.png", "A0001_1.png", "A0001_2.png", "A0002.png"]


def test_drawings_are_numbered_anew_by_a_pattern(tmp_path):
    keys, out = write_keys(tmp_path / "keys", 1, 2), tmp_path / "out"
    write_keys(keys, 1, 2, name="B{}.png")
    draw(keys, out, count=1, name="{layer}-%03d.tif")
    assert names(out) == [f"{layer}-00{number}.tif" for layer in "AB" for number in (1, 2, 3)]
    assert (read_image(out / "A-003.tif", 10**6).pixels == draw_scene(3)).all()


def test_two_scenes_in_one_folder_are_noted(tmp_path):
    keys = write_keys(tmp_path / "keys", 1, 3)
    write_image(keys / "A0005.png", 255 - draw_scene(0))
    (note,) = draw(keys, tmp_path / "out").notes
    assert note.startswith("A0003.png to A0005.png: hardly anything of one is found in the other")


def test_layers_with_one_pattern_are_refused_before_anything_is_written(tmp_path):
    keys, out = write_keys(tmp_path / "keys", 1, 2), tmp_path / "out"
    write_keys(keys, 1, 2, name="B{}.png")
    with pytest.raises(UsageError, match=r"\{layer\}"):
        draw(keys, out, name="key_%04d.png")
    assert not out.exists()


def test_a_layer_gets_the_smallest_mode_that_holds_all_keys(tmp_path):
    keys, out = write_keys(tmp_path / "keys", 1), tmp_path / "out"
    gray = cv2.cvtColor(draw_scene(4), cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257
    write_image(keys / "A0003.png", gray)
    draw(keys, out)
    between = read_image(out / "A0002.png", 10**6).pixels
    assert (between.dtype, between.shape) == (np.uint16, (64, 96, 3))
    assert (read_image(out / "A0003.png", 10**6).pixels == gray).all()


def test_keys_of_two_sizes_are_refused(tmp_path):
    keys = write_keys(tmp_path / "keys", 1)
    write_image(keys / "A0003.png", draw_scene(0, (80, 64)))
    with pytest.raises(FrameError, match="one size"):
        draw(keys, tmp_path / "out")


def test_existing_drawings_are_kept_without_force(tmp_path):
    keys, out = write_keys(tmp_path / "keys", 1, 3), tmp_path / "out"
    out.mkdir()
    (out / "A0002.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match="--force"):
        draw(keys, out)
    assert names(out) == ["A0002.png"]
    draw(keys, out, force=True)
    assert read_image(out / "A0002.png", 10**6).pixels.shape == (64, 96, 3)


def test_the_folder_of_keys_is_no_folder_of_results(tmp_path):
    keys = write_keys(tmp_path / "keys", 1, 3)
    with pytest.raises(UsageError, match="give another folder"):
        draw(keys, keys)


def write_hints_of(path, first="A0001", last="A0003.png", point=(20, 20)):
    content = {"pairs": [{"from": first, "to": last, "hints": [{"from": [point], "to": [[24, 20]]}]}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


class Noter(Blender):
    """Notes the hints of each motion."""

    def __init__(self):
        self.noted = []

    def motion(self, a0, a1, hints=None):
        self.noted.append(hints)
        return super().motion(a0, a1)


def test_hints_reach_their_pair_and_no_other(tmp_path):
    keys, hints, noter = write_keys(tmp_path / "keys", 1, 3, 5), write_hints_of(tmp_path / "h.json"), Noter()
    draw_keys([keys], tmp_path / "out", KeySettings(hints=hints), model=noter, workers=1)
    given, none = noter.noted
    assert len(given) == 1
    assert none is None
    # Drawn again if the hints change, and only then.
    for _ in range(2):
        draw_keys([keys], tmp_path / "out", KeySettings(hints=hints, resume=True), model=noter, workers=1)
    assert len(noter.noted) == 2
    write_hints_of(hints, point=(21, 20))
    assert draw_keys([keys], tmp_path / "out", KeySettings(hints=hints, resume=True), model=noter, workers=1).drawn == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [({"last": "A0005"}, "no such keys follow"), ({"point": (5000, 5)}, "outside"), ({"first": "B0001"}, "B0001")],
)
def test_hints_that_fit_no_pair_are_refused(tmp_path, change, message):
    keys, hints = write_keys(tmp_path / "keys", 1, 3, 5), write_hints_of(tmp_path / "h.json", **change)
    with pytest.raises(UsageError, match=message):
        draw(keys, tmp_path / "out", hints=hints)
    assert not (tmp_path / "out").exists()
