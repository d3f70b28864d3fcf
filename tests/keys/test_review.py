from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from animeinterp.errors import UsageError
from animeinterp.io.images import read_image, write_image
from animeinterp.keys.job import draw_keys
from animeinterp.keys.settings import KeySettings
from conftest import draw_scene
from support.stub import Blender


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Two layers drawn on twos, and what is made for review: a scene, and above it a red box with alpha."""
    root = tmp_path_factory.mktemp("review")
    for number, shift in ((1, 0), (5, 12)):
        (root / "keys").mkdir(exist_ok=True)
        write_image(root / f"keys/S{number}.png", draw_scene(shift))
        box = np.zeros((64, 96, 4), np.uint8)
        cv2.rectangle(box, (10 + shift, 10), (30 + shift, 30), (255, 0, 0, 255), -1)
        write_image(root / f"keys/B{number}.png", box)
    settings = KeySettings(count=1, on=2, preview="webp")
    return root, draw_keys([root / "keys"], root / "out", settings, model=Blender(), workers=1)


def test_all_files_are_there_and_only_in_their_folder(result):
    root, drawn = result
    names = ["onionskin_B1-B5.png", "onionskin_S1-S5.png", "preview.webp", "contact_sheet.png"]
    assert [path.name for path in drawn.review] == [*names, "exposure_sheet.csv", "time_sheet.xdts"]
    assert all(path.parent == root / "out" / "review" for path in drawn.review)
    assert {path.name for path in (root / "out").iterdir()} == {
        *("S1.png", "S3.png", "S5.png", "B1.png", "B3.png", "B5.png", "inbetween.json", "review")
    }


def test_the_preview_shows_every_drawing_for_its_frames(result):
    _, drawn = result
    with Image.open(drawn.review[2]) as preview:
        assert preview.n_frames == 3
        durations = []
        for frame in range(3):
            preview.seek(frame)
            preview.load()
            durations.append(preview.info["duration"])
            red = np.asarray(preview.convert("RGB"))[:64].astype(int)
            box = (red[..., 0] > 200) & (red[..., 1:] < 60).all(axis=2)
            if frame != 1:
                left = (preview.width - 96) // 2
                assert abs(np.flatnonzero(box.any(axis=0)).min() - left - (10 + 6 * frame)) <= 2
        assert durations == [83, 84, 83]


def test_onion_skins_show_the_keys_in_their_colors(result):
    _, drawn = result
    skin = read_image(drawn.review[0], 10**6).pixels[:64].astype(int)
    red, blue = (skin[..., a] - skin[..., b] > 100 for a, b in ((0, 2), (2, 0)))
    assert red[12:28, 8:13].any()
    assert blue[12:28, 40:45].any()
    assert not blue[:, :18].any()


def test_a_review_of_before_is_not_overwritten(result):
    root, _ = result
    (root / "new" / "review").mkdir(parents=True)
    (root / "new" / "review" / "contact_sheet.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        draw_keys([root / "keys"], root / "new", model=Blender(), workers=1)
    assert [path.name for path in (root / "new").iterdir()] == ["review"]


def test_names_of_any_letters_and_length_are_drawn(tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    for number in (1, 3):
        write_image(keys / f"{'é' * 60}[b]原画{number}.png", draw_scene(number))
    drawn = draw_keys([keys], tmp_path / "out", model=Blender(), workers=1)
    assert drawn.drawn == 1
    assert all(path.stat().st_size for path in drawn.review)
