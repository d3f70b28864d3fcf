"""The page, served once, and a real browser that looks at it: Debian's Chromium or another that is installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animeinterp.app.page_settings import PageSettings
from animeinterp.app.serving import private_folder, served_page
from animeinterp.weights import locations

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAX_UPLOAD = 3_000_000


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> Path:
    """The folder whose films may be opened by path."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def uploads() -> Iterator[Path]:
    with private_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def url(films, uploads) -> Iterator[str]:
    pytest.importorskip("gradio", reason="the page needs the extra app")
    settings = PageSettings((films,), uploads, model="classical", device="cpu", max_upload=MAX_UPLOAD)
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            # The page is built as on a machine without the weights of `studio`, wherever the tests run.
            patch.setattr(locations, "studio_weights", lambda: uploads / "missing.safetensors")
            address = stack.enter_context(served_page(settings))
        yield address.rstrip("/")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="the tests of the page need Playwright")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, url) -> Iterator[Callable[..., Any]]:
    """Open the page in a window of some width; at the end it must have asked this machine only, without errors."""
    requests: list[str] = []
    faults: list[str] = []
    contexts = []

    def open_page(width: int = 1280) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.goto(url)
        page.wait_for_selector("#drawings")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [request for request in requests if not request.startswith((url, "data:", "blob:"))]
    assert not faults


def png(x: int, size: tuple[int, int] = (96, 64)) -> bytes:
    """A small drawing, PNG: a red box at x on paper."""
    image = np.full((size[1], size[0], 3), 240, np.uint8)
    image[16:48, x : x + 24] = (200, 40, 40)
    image[16:48, [x, x + 23]] = image[[16, 47], x : x + 24] = 20
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def upload(name: str, data: bytes, kind: str = "image/png") -> dict[str, Any]:
    """A file as Playwright drops it, with a name that the file system here may not allow."""
    return {"name": name, "mimeType": kind, "buffer": data}


def wait_for(page: Any, place: str, text: str) -> None:
    """Wait until an element, which may not be there yet, shows a text."""
    wait = "([place, text]) => (document.querySelector(place)?.innerText ?? '').includes(text)"
    page.wait_for_function(wait, arg=[place, text], timeout=60_000)
