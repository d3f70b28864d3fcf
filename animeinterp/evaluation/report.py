"""An evaluation as one page: tables, bars by level, two models against each other, the worst and the best drawings.

The page is one file without references to any other: pictures are WebP in data URIs, at most 960 px long, so a case
takes about 0.2 MB. It needs no network, and only what moves needs its few lines of script. The same evaluation and
the same pictures give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import quote

import numpy as np

from animeinterp.data.atd12k import TripletFiles, read_triplet
from animeinterp.data.difficulty import LEVELS
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.predictions import read_drawn
from animeinterp.evaluation.report_markup import FULL_ERROR, error_of, escape, heat, ramp, uri
from animeinterp.evaluation.report_measures import AT_BEST, LPIPS, PSNR, SSIM, Shown, shown_measures
from animeinterp.evaluation.report_page import bars, by_level, by_word, overall, table, timing_table
from animeinterp.evaluation.report_scatter import scatter
from animeinterp.evaluation.scores import TripletScores
from animeinterp.evaluation.worst_crops import Drawn
from animeinterp.flow import dis_flow, flow_to_color
from animeinterp.frame import RGBImage
from animeinterp.io.files import check_target, write_text
from animeinterp.runtime.threads import single_threaded

_LONG, _SMALL = 960, 480  # px, longest side of pictures that are compared, and of the others


def write_report(
    target: Path,
    evaluation: Evaluation,
    files: Sequence[TripletFiles],
    drawn: Drawn,
    *,
    cases: int = 4,
    gallery: str | None = None,
    force: bool = False,
) -> None:
    """Write the page to `target`, an HTML file. It appears whole or not at all.

    files: of the triplets that were evaluated. drawn: model and triplet → the picture that was drawn and scored, None
    where it was not kept; what cannot be read is told on the page. cases: how many of the worst and of the best
    triplets of each model are shown; by PSNR of the whole frame, none of them twice. gallery: the name of a page of
    worst crops beside this one, to link to.
    Raises UsageError if the file exists and not `force`, FileError if it cannot be written.
    """
    if cases < 0:
        raise UsageError(f"expected a number of cases from 0 on, got {cases}; 0 leaves them out")
    check_target(target, force)
    template = Template(resources.files("animeinterp.evaluation").joinpath("report.html").read_text(encoding="utf-8"))
    title = f"Evaluation of {files[0].folder.absolute().parent.name}" if files else "Evaluation"
    sections = [*_numbers(evaluation), *_drawings(evaluation, files, drawn, cases)]
    about = f"{_facts(evaluation)}{_faults(evaluation)}{_contents(sections, gallery)}"
    body = f"<header><h1>{escape(title)}</h1>{about}</header>"
    body += f"<main>{''.join(section.html() for section in sections)}</main>"
    page = template.substitute(title=escape(title), body=body, ramp=ramp(), wheel=_wheel())
    write_text(target, page, force=force)


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the page. id: what links call it. content: HTML below its heading."""

    id: str
    title: str
    content: str

    def html(self) -> str:
        return f'<section><h2 id="{self.id}">{escape(self.title)}</h2>{self.content}</section>'


def _facts(evaluation: Evaluation) -> str:
    levels = {row.triplet: row.level for row in evaluation.rows}
    counts = [(name, sum(level == k for level in levels.values())) for k, name in enumerate(LEVELS)]
    parts = [f"{count} {name}" for name, count in counts if count]
    bare = sum(level is None for level in levels.values())
    parts += [f"{bare} without annotation"] if bare else []
    skipped = f", {len(evaluation.faults)} skipped" if evaluation.faults else ""
    models = []
    for model in evaluation.models:
        summary = evaluation.summary(model)
        notes = [] if summary.seconds is None else [f"{summary.seconds:.2f} CPU s a frame"]
        if summary.count < len(levels):
            notes.append(f"only {summary.count} of {len(levels)} triplets, so its means are not those of the others")
        models.append(f"<div>{escape(model)} <small>{', '.join(notes)}</small></div>")
    split = f" <small>{', '.join(parts)}</small>" if levels else ""
    return (
        f'<dl class="facts"><dt>Triplets</dt><dd>{len(levels)} scored{skipped}{split}</dd>'
        f"<dt>{'Model' if len(models) == 1 else 'Models'}</dt><dd>{''.join(models) or 'none'}</dd></dl>"
    )


def _faults(evaluation: Evaluation) -> str:
    if not evaluation.faults:
        return ""
    items = "".join(f"<li><b>{escape(f.triplet)}</b>: {escape(f.reason)}</li>" for f in evaluation.faults)
    count = len(evaluation.faults)
    what = "1 triplet was skipped and counts" if count == 1 else f"{count} triplets were skipped and count"
    return f'<details class="faults"><summary>{what} for no model</summary><ul>{items}</ul></details>'


def _contents(sections: Sequence[_Section], gallery: str | None) -> str:
    links = "".join(f'<li><a href="#{section.id}">{escape(section.title)}</a></li>' for section in sections)
    links += f'<li><a href="{escape(quote(gallery))}">Worst crops</a></li>' if gallery else ""
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>' if links else ""


def _numbers(evaluation: Evaluation) -> Iterator[_Section]:
    """What the scores say, without any picture."""
    if not evaluation.rows:
        return
    models = evaluation.models
    summaries = [evaluation.summary(model) for model in models]
    whole, levels = overall(evaluation, summaries), by_level(evaluation, summaries)
    best = " The best mean of each column is bold." if len(models) > 1 else ""
    known = any(summary.best for summary in summaries)
    timed = " At best t: at the time nearest the truth, which chooses it; everything else at t = 0.5." if known else ""
    note = f'<p class="faint">↑ more is better, ↓ less is better.{best}{timed}</p>'
    shown = bars(models, [replace(whole[0], name="all"), *levels])
    yield _Section("means", "Means", note + table("Means", models, whole) + ("" if levels else shown))
    if levels:
        yield _Section("levels", "By level", table("Means by level", models, levels) + shown)
    types = by_word(evaluation, lambda row: row.motion_types, [s.motion_types for s in summaries])
    behaviors = by_word(evaluation, lambda row: row.behaviors, [s.behaviors for s in summaries])
    if types:
        yield _Section("motion", "By motion type", table("Means by motion type", models, types))
    if behaviors:
        yield _Section("behavior", "By behavior", table("Means by behavior", models, behaviors))
    if timing := timing_table(summaries):
        said = "When each model's drawing is nearest the truth. The truth chooses it, so this is no score of a model."
        yield _Section("timing", "At the best time", f'<p class="faint">{said}</p>{timing}')
    if len(models) > 1:
        yield _Section("scatter", "Triplet by triplet", scatter(evaluation))


def _drawings(evaluation: Evaluation, files: Sequence[TripletFiles], drawn: Drawn, cases: int) -> Iterator[_Section]:
    """The worst and best cases of each model. Each triplet is read once, and its pixels let go before the next."""
    picks = {model: _pick(evaluation, model, cases) for model in evaluation.models if cases}
    chosen: dict[str, list[TripletScores]] = {}
    for worst_best in picks.values():
        for row in (*worst_best[0], *worst_best[1]):
            chosen.setdefault(row.triplet, []).append(row)
    by_name = {one.name: one for one in files}
    sheets: dict[tuple[str, str], str] = {}
    for triplet, rows in chosen.items():
        models = [row.model for row in rows]
        sheets |= {(model, triplet): html for model, html in _sheets(triplet, by_name.get(triplet), models, drawn)}
    everyone = {(row.model, row.triplet): row for row in evaluation.rows}
    for number, (model, ends) in enumerate(picks.items()):
        content = []
        for title, rows in zip(("Worst", "Best"), ends, strict=True):
            blocks = "".join(
                _case(row, sheets[model, row.triplet], _others(row, evaluation.models, everyone), opened=not n)
                for n, row in enumerate(rows)
            )
            content.append(f"<h3>{title}</h3>{blocks}" if rows else "")
        yield _Section(f"cases-{number}", f"Cases of {model}", "".join(content))


def _pick(evaluation: Evaluation, model: str, cases: int) -> tuple[list[TripletScores], list[TripletScores]]:
    """The worst triplets of a model, worst first, and the best, best first."""
    rows = sorted((row for row in evaluation.rows if row.model == model), key=lambda r: (r.whole.psnr, r.triplet))
    worst = min(cases, (len(rows) + 1) // 2)
    best = min(cases, len(rows) - worst)
    return rows[:worst], rows[: -best - 1 : -1]


def _others(
    row: TripletScores, models: Iterable[str], everyone: Mapping[tuple[str, str], TripletScores]
) -> list[TripletScores]:
    return [everyone[m, row.triplet] for m in models if m != row.model and (m, row.triplet) in everyone]


def _case(row: TripletScores, sheet: str, others: Sequence[TripletScores], *, opened: bool) -> str:
    level = "" if row.level is None else LEVELS[row.level]
    leading = [m for m in (LPIPS, PSNR, SSIM) if m.of(Shown(row.whole)) is not None]
    rest = [m for m in shown_measures([Shown(row.whole)]) if m not in leading]
    facts = [(m.name, m.text(row.whole) + m.unit) for m in rest]
    if row.roi:
        facts += [(f"RoI {m.name}", m.text(row.roi) + m.unit) for m in leading if m.of(Shown(row.roi)) is not None]
    if row.best:
        found = [m for m in AT_BEST if m.of(Shown(row.best.scores)) is not None]
        texts = (f"{m.name} {m.text(row.best.scores)}{m.unit}" for m in found)
        facts.append((f"at best t, {row.best.t:.2f}", ", ".join(texts)))
    facts += [
        (f"{m.name} of {other.model}", m.text(other.whole) + m.unit)
        for other in others
        for m in leading[:-1]
        if m.of(Shown(other.whole)) is not None
    ]
    facts += [("motion", ", ".join(row.motion_types))] if row.motion_types else []
    facts += [("behavior", ", ".join(row.behaviors))] if row.behaviors else []
    scores = (f'<span class="score">{m.name} {m.text(row.whole)}{m.unit}</span>' for m in leading)
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return (
        f'<details class="case"{" open" if opened else ""}><summary><span class="name">{escape(row.triplet)}</span>'
        f'{"".join(scores)}<span class="level">{level}</span></summary>'
        f"{f'<dl>{listed}</dl>' if listed else ''}{sheet}</details>"
    )


def _sheets(name: str, files: TripletFiles | None, models: Sequence[str], drawn: Drawn) -> Iterator[tuple[str, str]]:
    """The pictures of a triplet, for each of the models that drew it."""
    try:
        if files is None:
            raise FileError(f"the frames of {name} are not among those given")
        frame0, truth, frame1, *_ = read_triplet(files)
    except (FileError, FrameError) as error:
        yield from ((model, _missing(error)) for model in models)
        return
    with single_threaded():
        flow = dis_flow(frame0, frame1)
    reach = max(1, round(float(np.percentile(np.hypot(*flow), 99))))
    caption = f'<span class="wheel"></span>Flow, frame 0 to 1; full color at {reach} px'
    moved = _figure(flow_to_color(flow, reach), "Flow", caption, "half")
    strip = "".join(
        _figure(frame, what, what) for frame, what in ((frame0, "Frame 0"), (truth, "Truth"), (frame1, "Frame 1"))
    )
    large = uri(truth, _LONG)
    for model in models:
        try:
            frame = read_drawn(drawn(model, name), truth.shape)
        except (FileError, FrameError) as error:
            yield model, f'{_missing(error)}<div class="sheet bare">{strip}{moved}</div>'
        else:
            yield model, f'<div class="sheet">{_compared(model, frame, truth, large)}{moved}{strip}</div>'


def _compared(model: str, frame: RGBImage, truth: RGBImage, large: str) -> str:
    """The drawn frame against the true one, and where they differ. large: the true frame for the page."""
    error = error_of(frame, truth)
    height, width = truth.shape[:2]
    size = f'width="{width}" height="{height}"'
    label = escape(model)
    scale = f'<span class="scale">0<span class="ramp"></span>{FULL_ERROR} or more</span>'
    return (
        f'<figure class="wide" style="--ratio:{width / height:.4f}"><div class="compare" style="--at:50%">'
        f'<img src="{large}" alt="Truth" {size}>'
        f'<img class="over" src="{uri(frame, _LONG)}" alt="Drawn by {label}" {size}>'
        '<input type="range" min="0" max="100" step="1" value="50" aria-label="Share of truth that is seen, %">'
        f'<span class="left">truth</span><span class="right">{label}</span></div>'
        "<figcaption>Drag, or use the arrow keys.</figcaption></figure>"
    ) + _figure(heat(error / FULL_ERROR), "Error", f"Error, mean {error.mean():.2f}; {scale}", "half")


def _missing(error: Exception) -> str:
    return f'<p class="missing">{escape(str(error))}</p>'


def _figure(picture: RGBImage, alt: str, caption: str, kind: str = "") -> str:
    height, width = picture.shape[:2]
    return (
        f'<figure{f" class={kind}" if kind else ""}><img src="{uri(picture, _SMALL)}" alt="{alt}" '
        f'width="{width}" height="{height}"><figcaption>{caption}</figcaption></figure>'
    )


def _wheel() -> str:
    """The key to the colors of flow: each point of the disc is the flow from its center to there."""
    axis = np.linspace(-1, 1, 64)
    return uri(flow_to_color(np.stack(np.meshgrid(axis, axis)), 1), 64)
