"""The tab "Two drawings" in a real browser."""

from __future__ import annotations

import zipfile

from PIL import Image

from app.conftest import png, upload

PAIR = [upload("key 10.png", png(50)), upload("key 2.png", png(20))]


def drop(page, files=PAIR):
    page.set_input_files("#drawings input[type=file]", files)


def wait_for_status(page, text: str):
    page.wait_for_function("text => document.querySelector('#status').innerText.includes(text)", arg=text)


def shown(page) -> str:
    return page.get_attribute("#viewer img", "src")


def wait_for_other(page, source: str):
    page.wait_for_function(
        "source => { const img = document.querySelector('#viewer img'); return img && img.src && img.src != source }",
        arg=source,
    )


def test_two_drawings_are_matched_drawn_and_downloaded(opened, tmp_path):
    page = opened()
    drop(page)
    wait_for_status(page, "key 2.png → key 10.png, drawn by classical.")
    middle = shown(page)
    page.get_by_role("slider", name="Time").focus()
    page.keyboard.press("ArrowRight")
    wait_for_other(page, middle)
    for view in ("Onion skin", "Doubt"):
        before = shown(page)
        page.get_by_label(view).check()
        wait_for_other(page, before)
    page.click("#draw")
    page.wait_for_selector("#results")
    wait_for_status(page, "3 in-betweens drawn")
    with page.expect_download() as download:
        page.get_by_text("ZIP", exact=True).click()
    download.value.save_as(tmp_path / "drawn.zip")
    with zipfile.ZipFile(tmp_path / "drawn.zip") as archive:
        names = archive.namelist()
        assert names == [f"key 2-key 10_{k}.png" for k in (1, 2, 3)]
        with archive.open(names[1]) as file:
            assert Image.open(file).size == (96, 64)


def test_stages_are_drawn(opened):
    page = opened()
    drop(page)
    wait_for_status(page, "drawn by")
    page.get_by_role("tab", name="Stages").click()
    page.wait_for_selector("#stages img")


def test_a_hint_is_clicked_used_and_undone(opened):
    page = opened()
    drop(page)
    wait_for_status(page, "drawn by")
    page.get_by_role("tab", name="Hints").click()
    for picture, x in (("#hints-first img", 0.3), ("#hints-second img", 0.6)):
        page.wait_for_selector(picture)
        box = page.locator(picture).bounding_box()
        page.locator(picture).click(position={"x": box["width"] * x, "y": box["height"] / 2})
        page.wait_for_timeout(300)
    page.wait_for_function("/^\\d+,\\d+ > \\d+,\\d+$/.test(document.querySelector('#hints textarea').value)")
    page.click("#hints-apply")
    wait_for_status(page, "drawn by classical with 1 hint.")
    page.click("#hints-undo")
    page.wait_for_function("document.querySelector('#hints textarea').value == ''")
    page.fill("#hints textarea", "1,2")
    page.click("#hints-apply")
    wait_for_status(page, "Line 1 of the hints: expected pairs")


def test_the_keyboard_is_enough_and_nothing_is_wider_than_the_window(opened):
    page = opened()
    drop(page)
    wait_for_status(page, "drawn by")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.closest('[id]')?.id ?? ''"))
        if reached[-1] == "draw":
            break
    assert reached[-1] == "draw", reached
    page.keyboard.press("Enter")
    page.wait_for_selector("#results")
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input:not([type=file]), select, textarea')]
        .filter(e => e.checkVisibility())
        .filter(e => !(e.innerText || '').trim() && !e.ariaLabel && !e.title && !e.labels?.length)
        .filter(e => !e.querySelector('img[alt]:not([alt=""])'))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert not unnamed


def test_names_never_become_markup(opened):
    page = opened()
    name = "<script>alert(1)<img src=x onerror=alert(2)> a.png"
    drop(page, [upload(name, png(20)), upload("z.png", png(50))])
    wait_for_status(page, "drawn by")
    assert page.query_selector("#status img") is None


def test_what_is_wrong_is_said_in_one_sentence(opened):
    page = opened()
    good, other = upload("b.png", png(20)), upload("b.png", png(20, (120, 64)))
    for files, sentence in (
        ([upload("a.png", b"no image"), good], "A.png is not an image that can be read; expected PNG"),
        ([upload("a.png", png(20)[:-60]), good], "A.png is damaged or cut short"),
        ([upload("a.png", png(20)), other], "A.png is 96x64 but b.png is 120x64"),
        ([good], "Add the second drawing."),
    ):
        page.reload()
        page.wait_for_selector("#drawings")
        drop(page, files)
        wait_for_status(page, sentence)
        assert page.is_disabled("#draw")
