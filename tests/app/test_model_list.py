"""The tab "Models" in a real browser."""

from __future__ import annotations

import pytest

from animeinterp.app import model_list
from animeinterp.errors import FileError
from animeinterp.weights import studio
from app.conftest import wait_for


@pytest.fixture
def page(opened):
    page = opened()
    page.get_by_role("tab", name="Models").click()
    return page


def test_every_model_has_its_license_and_size(page):
    for card in ("cel", "cel-fast", "classical", "studio", "paper"):
        assert page.get_by_role("heading", name=card, exact=True).is_visible()
    facts = page.inner_text("#models")
    for fact in ("MIT", "11 MB", "not measured"):
        assert fact in facts


def test_the_speed_is_measured_here(page, monkeypatch):
    monkeypatch.setattr(model_list, "usable_models", lambda: ["classical"])
    page.click("#models-measure")
    wait_for(page, "#models-status", "Measured:")
    assert " s for a frame" in page.inner_text("#models")


def test_studio_is_fetched_and_joins_the_lists(page, monkeypatch):
    def fail(report):
        report("fetching <b>it</b>")
        raise FileError("cannot fetch it; connect to the network")

    monkeypatch.setattr(studio, "get_studio", fail)
    page.click("#models-get")
    wait_for(page, "#models-status", "Cannot fetch it; connect to the network.")
    assert page.is_visible("#models-get")

    usable = ["classical", "studio"]
    monkeypatch.setattr(studio, "get_studio", lambda report: report("writing the weights"))
    monkeypatch.setattr(model_list, "usable_models", lambda: usable)
    page.click("#models-get")
    wait_for(page, "#models-status", "studio is ready.")
    page.wait_for_selector("#models-get", state="hidden")
    page.get_by_role("tab", name="A film").click()
    page.get_by_label("Model").last.click()
    assert page.get_by_role("option", name="studio").is_visible()
