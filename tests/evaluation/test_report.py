"""Report: content and structure of the page, escaping, and missing data."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from animeinterp.data.atd12k import TripletFiles
from animeinterp.errors import FileError, UsageError
from animeinterp.evaluation.evaluate import Evaluation, Fault
from animeinterp.evaluation.report.page import write_report
from animeinterp.evaluation.scores import BestTime, TripletScores
from animeinterp.metrics.scores import Scores
from conftest import draw_scene

VOID = {"meta", "img", "input", "br", "link", "hr"}
NAMES = tuple("abcde")
NASTY = '<script>alert("1")</script>&amp;\'$body'


class Page(HTMLParser):
    """The elements of a page in order, with attributes and text; asserts that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        for n in self.open:
            self.texts[n] += data

    def all(self, tag, **wanted):
        wanted = {key.rstrip("_"): value for key, value in wanted.items()}
        return [
            (attrs, text)
            for (name, attrs), text in zip(self.elements, self.texts, strict=True)
            if name == tag and wanted.items() <= attrs.items()
        ]

    def rows(self, label):
        """Return the rows of a table: the group's name, model and numbers."""
        start = next(n for n, (_, attrs) in enumerate(self.elements) if attrs.get("aria-label") == label)
        rows, group = [], ""
        for (tag, attrs), text in list(zip(self.elements, self.texts, strict=True))[start + 1 :]:
            if attrs.get("role") == "region":
                break
            if tag == "tr":
                rows.append([])
            if tag == "th" and attrs.get("scope") == "rowgroup":
                group = text
            elif tag == "th" and attrs.get("scope") == "row":
                rows[-1] += [group, text]
            elif tag == "td" and "rowspan" not in attrs:
                rows[-1].append(text)
        return [row for row in rows if row]


@pytest.fixture
def files(tmp_path):
    files = []
    for k, name in enumerate(NAMES):
        folder = tmp_path / "films & co" / name
        folder.mkdir(parents=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(folder / f"frame{number}.png"), draw_scene(number * (k + 1))[..., ::-1])
        files.append(TripletFiles(name, folder))
    return files


@pytest.fixture
def drawn(files, tmp_path):
    """Every model draws the first frame of a triplet."""
    for one in files:
        for model in ("ours", "theirs", "third"):
            path = tmp_path / "drawn" / model / f"{one.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((one.folder / "frame1.png").read_bytes())
    return lambda model, triplet: tmp_path / "drawn" / model / f"{triplet}.png"


def scores(value):
    return Scores(20 + value, 0.9 + value / 100, 0.95 + value / 1000, 9 - value, (9 - value) * 1e-5)


def evaluation(models=("ours", "theirs"), names=NAMES, annotated=True):
    rows = []
    for k, name in enumerate(names):
        for n, model in enumerate(models):
            value = (k * 7 + n * 3) % 5 + 0.123 * n
            if not annotated:
                rows.append(TripletScores(model, name, None, scores(value)))
                continue
            words = ("translation", "scaling")[: 1 + k % 2], ("walking",) if k else ("eating",)
            rows.append(TripletScores(model, name, (0, 1, 1, 2, 2)[k], scores(value), scores(value - 1), 0.5, *words))
    return Evaluation(tuple(rows), ())


def write(tmp_path, *arguments, **options):
    target = tmp_path / "report.html"
    write_report(target, *arguments, force=True, **options)
    return target.read_text(encoding="utf-8")


def test_the_page_refers_to_no_other_file_and_its_links_resolve(tmp_path, files, drawn):
    text = write(tmp_path, evaluation(("ours", "theirs", "third")), files, drawn)
    page = Page(text)
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs, _ in page.all("a"):
        assert attrs["href"].removeprefix("#") in ids
    for _, attrs in page.elements:
        assert not {"srcset", "data", "action"} & attrs.keys()
        assert attrs.get("src", "data:image/webp;base64,").startswith("data:image/webp;base64,")
    assert "http:" not in text
    assert "https:" not in text
    assert all(inside.startswith("data:") for inside in re.findall(r"url\((.*?)\)", text))
    assert "$" not in text
    assert all(attrs["alt"] for attrs, _ in page.all("img"))
    assert all(attrs.get("aria-label") for attrs, _ in page.all("input"))


def test_tables_show_the_means_of_the_summaries_and_mark_the_best(tmp_path, files, drawn):
    done = evaluation()
    page = Page(write(tmp_path, done, files, drawn, cases=0))

    def shown(model, group, s):
        return [
            group,
            model,
            f"{s.psnr:.2f}",
            f"{s.ssim:.4f}",
            f"{s.ssim_atd:.4f}",
            f"{s.ie:.2f}",
            f"{s.chamfer * 1e5:.2f}",
        ]

    expected = {"Means": [], "Means by level": [], "Means by motion type": [], "Means by behavior": []}
    summaries = [(model, done.summary(model)) for model in done.models]
    for group in ("whole frame", "motion RoI"):
        expected["Means"] += [shown(m, group, s.whole if group == "whole frame" else s.roi) for m, s in summaries]
    for k, level in enumerate(("easy", "medium", "hard")):
        expected["Means by level"] += [shown(m, level, s.levels[k]) for m, s in summaries]
    for word in ("scaling", "translation"):
        expected["Means by motion type"] += [shown(m, word, s.motion_types[word]) for m, s in summaries]
    for word in ("eating", "walking"):
        expected["Means by behavior"] += [shown(m, word, s.behaviors[word]) for m, s in summaries]
    for label, rows in expected.items():
        assert page.rows(label) == rows
    assert [text for _, text in page.all("td", rowspan="2")] == ["5", "5", "1", "2", "2", "2", "5", "1", "4"]
    bold = [text for _, text in page.all("b")][:5]
    means = [s.whole for _, s in summaries]
    assert bold[0] == f"{max(s.psnr for s in means):.2f}"
    assert bold[3] == f"{min(s.ie for s in means):.2f}"


def test_lpips_comes_first_then_the_best_times(tmp_path, files, drawn):
    def measured(row):
        whole = replace(row.whole, lpips=0.1 + row.whole.ie / 100)
        best = Scores(row.whole.psnr + 2, row.whole.ssim + 0.01, chamfer=1e-5, lpips=whole.lpips / 2)
        return replace(row, whole=whole, best=BestTime.at(0.3, best) if row.model == "ours" else None)

    done = Evaluation(tuple(map(measured, evaluation().rows)), ())
    page = Page(write(tmp_path, done, files, drawn, cases=1))
    summary = done.summary("ours")
    whole, best = summary.whole, summary.best.scores
    leading = [f"{whole.lpips:.4f}", f"{best.psnr:.2f}", f"{best.ssim:.4f}", f"{whole.psnr:.2f}", f"{whole.ssim:.4f}"]
    assert page.rows("Means")[0] == [
        *("whole frame", "ours", *leading),
        *(f"{whole.ssim_atd:.4f}", f"{whole.ie:.2f}", f"{whole.chamfer * 1e5:.2f}"),
    ]
    assert page.rows("Means")[1][3:5] == ["–", "–"], "predictions have t = 0.5 only"
    easy = summary.best_levels[0].scores
    assert page.rows("Means by level")[0][3:5] == [f"{easy.psnr:.2f}", f"{easy.ssim:.4f}"]
    pairs = [(s.lpips, best.lpips) if k == 0 else None for k, s in enumerate([whole])]
    assert page.rows("Means at the best time")[0][2:4] == [f"{value:.4f}" for value in pairs[0]]
    heads = [text for _, text in page.all("h3")]
    assert heads[0].startswith("LPIPS")
    assert heads[1].startswith("PSNR dB, best t")
    ours, theirs = ([row.whole.lpips for row in done.rows if row.model == model] for model in done.models)
    better = sum(a < b for a, b in zip(ours, theirs, strict=True))
    assert f"ours is better on {better} of 5 triplets" in page.all("p", class_="faint wins")[0][1], "lower is better"
    scores = [text for _, text in page.all("span", class_="score")]
    worst = min(done.rows[::2], key=lambda row: row.whole.psnr).whole
    assert scores[:3] == [f"LPIPS {worst.lpips:.4f}", f"PSNR {worst.psnr:.2f} dB", f"SSIM {worst.ssim:.4f}"]


def test_a_gallery_is_linked_if_there_is_one(tmp_path, files, drawn):
    for name, links in ((None, []), ("worst & best.html", ["worst%20%26%20best.html"])):
        page = Page(write(tmp_path, evaluation(), files, drawn, cases=0, gallery=name))
        assert [attrs["href"] for attrs, text in page.all("a") if text == "Worst crops"] == links


def test_equal_means_are_not_marked(tmp_path, files, drawn):
    rows = evaluation(("ours",)).rows
    both = Evaluation(rows + tuple(replace(row, model="theirs") for row in rows), ())
    page = Page(write(tmp_path, both, files, drawn, cases=0))
    assert page.all("b") == []
    assert "ours is better on 0 of 5 triplets, theirs on 0." in page.all("p", class_="faint wins")[0][1]


def test_bar_lengths_are_proportional_to_the_means(tmp_path, files, drawn):
    done = evaluation(("ours",))
    page = Page(write(tmp_path, done, files, drawn, cases=0))
    lengths = [float(attrs["width"]) for attrs, _ in page.all("rect")]
    summary = done.summary("ours")
    means = [summary.whole, *summary.levels]
    for k, values in ((0, [s.psnr for s in means]), (1, [1 - s.ssim for s in means]), (3, [s.ie for s in means])):
        part = np.array(lengths[4 * k : 4 * k + 4])
        assert part / part.max() == pytest.approx(np.array(values) / max(values), abs=1e-3)


def test_points_are_placed_by_their_scores(tmp_path, files, drawn):
    done = evaluation()
    page = Page(write(tmp_path, done, files, drawn, cases=0))
    points = [(float(attrs["cx"]), float(attrs["cy"])) for attrs, text in page.all("circle") if text][: len(NAMES)]
    rows = {(row.model, row.triplet): row.whole.psnr for row in done.rows}
    values = np.array([[rows["ours", name], rows["theirs", name]] for name in NAMES])
    positions = np.array(points) * (1, -1)
    scale = np.ptp(positions[:, 0]) / np.ptp(values[:, 0])
    assert positions - positions[0] == pytest.approx((values - values[0]) * scale, abs=0.11)
    titles = [text for _, text in page.all("circle") if text]
    assert titles[0] == f"a\nours {rows['ours', 'a']:.2f} dB\ntheirs {rows['theirs', 'a']:.2f} dB"
    better = sum(rows["ours", name] > rows["theirs", name] for name in NAMES)
    assert f"ours is better on {better} of 5 triplets" in page.all("p", class_="faint wins")[0][1]
    assert page.all("select") == [], "two models need no selection"


def test_any_two_of_more_models_can_be_selected(tmp_path, files, drawn):
    models = ("ours", "theirs", NASTY)
    done = evaluation(models)
    first = replace(done.rows[0], whole=replace(done.rows[0].whole, psnr=math.inf))
    done = Evaluation((first, *done.rows[1:-1]), ())
    page = Page(write(tmp_path, done, files, drawn, cases=0))
    assert [text for _, text in page.all("option")] == [*models] * 2
    data = json.loads(page.all("script", type="application/json")[0][1])
    assert data["models"] == [*models]
    psnr = data["panels"][0]["values"]
    assert psnr[0][0] == "inf"
    assert psnr[2][-1] is None, "a triplet that the model lacks"
    assert psnr[1] == [row.whole.psnr for row in done.rows if row.model == "theirs"]
    assert {panel["id"] for panel in data["panels"]} == {
        attrs["id"] for attrs, _ in page.all("figure") if "id" in attrs
    }


def test_worst_and_best_cases_are_sorted_and_unique(tmp_path, files, drawn):
    done = evaluation(("ours",))
    order = [row.triplet for row in sorted(done.rows, key=lambda row: row.whole.psnr)]
    for cases, expected in ((1, [order[0], order[-1]]), (4, [*order[:3], order[4], order[3]]), (0, [])):
        page = Page(write(tmp_path, done, files, drawn, cases=cases))
        assert [text for _, text in page.all("span", class_="name")] == expected
        assert len(page.all("div", class_="compare")) == len(expected)
        assert len(page.all("img")) == 7 * len(expected)
    with pytest.raises(UsageError, match="number of cases"):
        write(tmp_path, done, files, drawn, cases=-1)


def test_captions_give_the_mean_error_and_the_scale_of_the_flow(tmp_path, files, drawn):
    page = Page(write(tmp_path, evaluation(("ours",), ("c",)), files, drawn))
    error = draw_scene(3).astype(float) - draw_scene(6)
    mean = np.sqrt((error**2).sum(axis=2)).mean()
    captions = [text for _, text in page.all("figcaption")]
    assert captions[1] == f"Error, mean {mean:.2f}; 064 or more"
    assert re.fullmatch(r"Flow, frame 0 to 1; full color at \d+ px", captions[2])


def test_names_are_escaped(tmp_path, files, drawn):
    rows = evaluation(("ours", NASTY), ("a", "b")).rows
    rows = tuple(
        replace(row, triplet=row.triplet + NASTY, motion_types=(NASTY,), behaviors=("\udcff",)) for row in rows
    )
    done = Evaluation(rows, (Fault(NASTY, f"{NASTY} is damaged"),))
    text = write(tmp_path, done, [replace(one, name=one.name + NASTY) for one in files], lambda model, triplet: None)
    page = Page(text)
    assert "<script>alert" not in text
    assert len(page.all("script")) == 1
    assert page.all("h1")[0][1] == "Evaluation of films & co"
    assert NASTY in page.all("details", class_="faults")[0][1]
    assert {text for _, text in page.all("span", class_="name")} == {"a" + NASTY, "b" + NASTY}
    assert page.rows("Means by motion type")[0][:2] == [NASTY, "ours"]


def test_the_same_evaluation_gives_the_same_bytes(tmp_path, files, drawn, monkeypatch):
    from animeinterp.evaluation.report import cases

    threads = []
    flow = cases.dis_flow
    monkeypatch.setattr(cases, "dis_flow", lambda *frames: threads.append(cv2.getNumThreads()) or flow(*frames))
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        pages = {write(tmp_path, evaluation(), files, drawn) for _ in range(2)}
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
    assert len(pages) == 1
    assert set(threads) == {1}, "DIS flow depends on the number of threads"


def test_equal_frames_have_infinite_psnr(tmp_path, files, drawn):
    rows = [replace(row, whole=replace(row.whole, psnr=math.inf)) for row in evaluation().rows]
    for done in (Evaluation(tuple(rows), ()), Evaluation((*rows[:4], *evaluation().rows[4:]), ())):
        text = write(tmp_path, done, files, drawn)
        page = Page(text)
        assert page.rows("Means")[0][2] == "∞"
        assert "nan" not in text.split("<main>")[1].split("base64")[0]
        for attrs, _ in page.all("circle"):
            assert 0 <= float(attrs["cx"]) <= 400
            assert 0 <= float(attrs["cy"]) <= 400
        assert all(0 <= float(attrs["width"]) <= 320 for attrs, _ in page.all("rect"))


def test_without_annotations_there_are_no_levels(tmp_path, files, drawn):
    page = Page(write(tmp_path, evaluation(annotated=False), files, drawn))
    assert [text for _, text in page.all("h2")] == ["Means", "Triplet by triplet", "Cases of ours", "Cases of theirs"]
    assert [row[0] for row in page.rows("Means")] == ["whole frame"] * 2
    assert len(page.all("rect")) == 10
    assert "5 without annotation" in page.all("dl", class_="facts")[0][1]


def test_one_model_and_one_triplet(tmp_path, files, drawn):
    page = Page(write(tmp_path, evaluation(("ours",), ("b",)), files, drawn))
    assert page.all("circle") == []
    assert page.all("b") == []
    assert [text for _, text in page.all("h3")][-1] == "Worst"
    assert len(page.all("details", class_="case")) == 1


def test_columns_without_scores_are_omitted(tmp_path, files, drawn):
    rows = tuple(replace(row, whole=Scores(row.whole.psnr, row.whole.ssim), roi=None) for row in evaluation().rows)
    page = Page(write(tmp_path, Evaluation(rows, ()), files, drawn, cases=0))
    assert {len(row) for row in page.rows("Means")} == {4}


def test_missing_triplets_of_a_model_are_noted(tmp_path, files, drawn):
    facts = [
        Page(write(tmp_path, Evaluation(rows, ()), files, drawn, cases=0)).all("dl", class_="facts")[0][1]
        for rows in (evaluation().rows, evaluation().rows[:-1])
    ]
    assert "only" not in facts[0]
    assert "only 4 of 5 triplets" in facts[1]
    assert "0.50 CPU s a frame" in facts[0]


def test_only_faults(tmp_path, files, drawn):
    done = Evaluation((), tuple(Fault(name, "has no frame2") for name in NAMES))
    page = Page(write(tmp_path, done, files, drawn))
    assert "0 scored, 5 skipped" in page.all("dl")[0][1]
    assert page.all("table") == []
    Page(write(tmp_path, Evaluation((), ()), [], drawn))


def test_missing_frames_are_reported_and_the_rest_is_shown(tmp_path, files, drawn):
    (files[1].folder / "frame2.png").unlink()
    drawn("ours", "c").write_bytes(b"not an image")
    cv2.imwrite(str(drawn("ours", "d")), draw_scene(0)[:32])
    available = {"c", "d", "e"}
    text = write(
        tmp_path,
        evaluation(("ours",)),
        [one for one in files if one.name != "e"],
        lambda model, triplet: drawn(model, triplet) if triplet in available else None,
    )
    page = Page(text)
    missing = " ".join(text for _, text in page.all("p", class_="missing"))
    for reason in ("was not kept", "no frame2", "c.png is not an image", "is 96x32; expected the true frame's 96x64"):
        assert reason in missing
    assert "the frames of e are not among those given" in missing
    assert len(page.all("img", alt="Flow")) == 3


def test_large_images_are_downsampled(tmp_path):
    folder = tmp_path / "set" / "a"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (64, 1600, 3), np.uint8)
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"frame{number}.png"), noise)
    files = [TripletFiles("a", folder)]
    text = write(tmp_path, evaluation(("ours",), ("a",)), files, lambda model, triplet: folder / "frame2.png")
    uris = [attrs["src"].split(",")[1] for attrs, _ in Page(text).all("img")]
    sizes = [Image.open(io.BytesIO(base64.b64decode(uri))).size for uri in uris]
    assert sizes == [(960, 38)] * 2 + [(480, 19)] * 5


def test_existing_files_are_refused_and_none_is_half_written(tmp_path, files, drawn):
    target = tmp_path / "report.html"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        write_report(target, evaluation(), files, drawn)
    with pytest.raises(FileError, match="is a folder"):
        write_report(tmp_path, evaluation(), files, drawn, force=True)
    with pytest.raises(FileError, match="is not a folder"):
        write_report(tmp_path / "nowhere" / "report.html", evaluation(), files, drawn)

    def fail(model: str, triplet: str) -> Path:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_report(target, evaluation(), files, fail, force=True)
    assert target.read_text() == "precious"
    write_report(target, evaluation(), files, drawn, force=True)
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]
