"""The tab "A film" in a real browser, and its parts without one."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from animeinterp.app.film_paths import check_cuts, choose_target, resolve_film
from animeinterp.app.film_process import FilmProcess
from animeinterp.app.film_queue import FilmQueue
from animeinterp.app.film_settings import CODECS, CONTAINERS, HOLDS, QUALITIES, RATES, FilmSettings
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.video.sink.encoding import check_contradictions
from animeinterp.video.timeline import build_grid
from app.conftest import upload, wait_for
from support.films import figure, make_film, pictures


def shots(count: int) -> list[np.ndarray]:
    """Two shots of `count` frames each; the second is mirrored, in other colors."""
    first = [figure(2 * (k % 20)) for k in range(count)]
    return first + [np.ascontiguousarray(255 - frame[:, ::-1] // 2) for frame in first]


@pytest.fixture
def page(opened):
    page = opened()
    page.get_by_role("tab", name="A film").click()
    return page


def test_a_film_is_searched_corrected_estimated_and_previewed(page, tmp_path):
    film = make_film(tmp_path / "a film.mp4", shots(12))
    page.set_input_files("#film-upload input[type=file]", [upload("a film.mp4", film.read_bytes(), "video/mp4")])
    wait_for(page, "#film-facts", "1 in all of it")
    wait_for(page, "#film-facts", "24 frames per second")
    cuts = page.get_by_label("Cuts: first frames of shots")
    assert cuts.input_value() == "12"
    page.locator("#film-pictures button").first.click()
    page.wait_for_function("document.querySelector('#film-cuts textarea, #film-cuts input').value == 'none'")
    page.click("#film-estimate")
    wait_for(page, "#film-status", "frames are drawn.")
    page.click("#film-preview")
    wait_for(page, "#film-status", "Left of the border: the source.")
    page.wait_for_function("document.querySelector('before-after canvas').width == 96")
    page.get_by_role("slider", name="Border").press("ArrowRight")


def test_films_queue_and_are_stopped_resumed_and_downloaded(page, films, tmp_path):
    make_film(films / "long 'film' & more.mp4", shots(80))
    make_film(films / "short.mp4", shots(4))
    for name in ("long 'film' & more.mp4", "short.mp4"):
        page.get_by_label("Or its path on this machine").fill(name)
        page.keyboard.press("Enter")
        wait_for(page, "#film-facts", name)
        wait_for(page, "#film-status", "Ready.")
        page.click("#film-make")
        wait_for(page, "#film-list", f"{Path(name).stem}_smooth.mp4")
    wait_for(page, "#film-list", "waits for the film before it")
    wait_for(page, "#film-list", "of 320 frames")
    page.get_by_label("Film", exact=True).fill("1: long")
    page.keyboard.press("Enter")
    page.click("#film-stop")
    wait_for(page, "#film-list", "stopped; what is finished is kept")
    wait_for(page, "#film-list", "finished, 16 frames in")
    page.click("#film-resume")
    wait_for(page, "#film-list", "finished, 320 frames in")
    with page.expect_download() as download:
        page.click("#film-download")
    download.value.save_as(tmp_path / "new.mp4")
    assert len(pictures(tmp_path / "new.mp4")) == 320


def tab_to(page, place: str):
    """Press Tab until something within an element has the focus."""
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.closest('[id]')?.id ?? ''"))
        if page.evaluate("place => !!document.activeElement.closest(place)", place):
            return
    pytest.fail(f"{place} is not reached: {reached}")


def test_the_keyboard_is_enough_to_make_a_film(opened, films):
    make_film(films / "keys.mp4", shots(40))
    page = opened()
    tab_to(page, "[role=tab]:nth-of-type(2)")
    page.keyboard.press("Enter")
    tab_to(page, "#film-path")
    page.keyboard.type("keys.mp4")
    page.keyboard.press("Enter")
    wait_for(page, "#film-status", "Ready.")
    tab_to(page, "#film-rate")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    tab_to(page, "#film-make")
    page.keyboard.press("Enter")
    wait_for(page, "#film-list", "keys_smooth.mp4")
    page.wait_for_selector("#film-stop", state="visible")
    tab_to(page, "#film-stop")
    page.keyboard.press("Enter")
    wait_for(page, "#film-list", "stopped; what is finished is kept")
    tab_to(page, "#film-resume")
    page.keyboard.press("Enter")
    wait_for(page, "#film-list", "finished")


def test_what_cannot_be_opened_is_said_within_a_narrow_window(page, films):
    (films / "notes.txt").write_text("no film")
    for path, sentence in (
        ("/etc/passwd", "The page may open films in"),
        ("missing.mp4", "Expected a film at missing.mp4, found nothing"),
        ("../secret.mp4", "The page may open films in"),
        ("notes.txt", "Notes.txt"),
    ):
        page.get_by_label("Or its path on this machine").fill(path)
        page.click("#film-open")
        wait_for(page, "#film-status", sentence)
        assert page.is_disabled("#film-make")
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        for tab in ("A film", "Models"):
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paths_stay_in_the_folders(tmp_path):
    folder, other = tmp_path / "films", tmp_path / "films2"
    folder.mkdir()
    other.mkdir()
    (folder / "a.mkv").touch()
    (other / "b.mkv").touch()
    assert resolve_film(" a.mkv ", [folder.resolve()]) == (folder / "a.mkv").resolve()
    for outside in ("../films2/b.mkv", str(other / "b.mkv"), str(other / "missing.mkv"), "a\0.mkv"):
        with pytest.raises(UsageError):
            resolve_film(outside, [folder.resolve()])
    with pytest.raises(FileError):
        resolve_film("b.mkv", [folder.resolve()])


def test_a_link_that_leads_out_is_refused(tmp_path):
    folder, other = tmp_path / "films", tmp_path / "other.mkv"
    folder.mkdir()
    other.touch()
    try:
        (folder / "link.mkv").symlink_to(other)
    except OSError:
        pytest.skip("links cannot be made here")
    with pytest.raises(UsageError, match="may open films in"):
        resolve_film("link.mkv", [folder.resolve()])


def test_cuts_are_never_the_name_of_a_file():
    assert check_cuts(" 12, 1:30.5\n90s ") == "12,1:30.5,90s"
    assert check_cuts("") == "none"
    for text in ("/etc/passwd", "cuts.txt", "12; rm"):
        with pytest.raises(UsageError, match="expected cuts"):
            check_cuts(text)


def settings_with(**chosen):
    usual = {
        "rate": next(iter(RATES)), "model": "cel", "holds": next(iter(HOLDS)), "cuts": None, "device": "cpu",
        "container": next(iter(CONTAINERS)), "codec": "H.264", "quality": "Usual", "max_pixels": 10**7,
    }  # fmt: skip
    return FilmSettings(**usual | chosen)


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_is_one_of_the_library(rate):
    options = settings_with(rate=rate, cuts="12").options()
    assert build_grid(Fraction(24), fps=options.fps, times=options.times, slow=options.slow).rate >= 24
    assert options.cuts == "12"


@pytest.mark.parametrize(("codec", "quality"), [*product(CODECS, QUALITIES)])
def test_every_encoding_is_one_of_the_library(codec, quality):
    check_contradictions(settings_with(codec=codec, quality=quality).options().encoding)


def test_choices_become_options_of_the_command():
    settings = settings_with(rate="60 frames per second", quality="Lossless", codec="FFV1", cuts="12")
    assert settings.arguments()[0] == "--fps=60"
    assert settings.arguments()[-3:] == ["--cuts=12", "--codec=ffv1", "--lossless"]
    assert settings.arguments(encoded=False) == settings.arguments()[:-2]


def test_new_films_replace_none(tmp_path):
    first = choose_target(Path("a.mkv"), tmp_path)
    assert first.name == "a_smooth.mkv"
    assert choose_target(Path("a.mkv"), tmp_path, [first]).name == "a_smooth-2.mkv"
    assert choose_target(Path("a.mkv"), tmp_path, [first], "mp4").name == "a_smooth.mp4"


def test_a_failed_film_gives_the_message_of_the_command(tmp_path):
    bad = tmp_path / "-o.mkv"
    bad.write_text("no film")
    with pytest.raises(AnimeInterpError, match=r"-o\.mkv"):
        list(FilmProcess(bad, tmp_path / "new.mkv", []).progress())


def test_a_film_that_waits_can_be_stopped(tmp_path):
    queue = FilmQueue(tmp_path)
    queue.close()
    task = queue.add(tmp_path / "a.mkv", tmp_path / "b.mkv", [])
    queue.stop(task)
    assert task.state == "stopped"
    queue.resume(task)
    assert task.state == "waiting"
    assert task.arguments == ("--resume",)
