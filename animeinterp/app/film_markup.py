"""The markup of what was found in a film, and of the films that are made."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from animeinterp.app.film_findings import FilmFindings
from animeinterp.app.film_queue import FilmTask
from animeinterp.app.sentences import note
from animeinterp.video.time_text import describe_duration

_WORDS = {
    "waiting": "waits for the film before it",
    "running": "starting",
    "stopping": "stopping",
    "stopped": "stopped; what is finished is kept",
    "finished": "finished",
}


def facts_markup(findings: FilmFindings) -> str:
    """Describe what was found as a list of facts."""
    film, cadence = findings.film, findings.cadence
    drawings = max(cadence.drawings, 1)
    shares = {"ones": cadence.ones, "twos": cadence.twos, "threes": cadence.threes, "longer": cadence.longer}
    held = ", ".join(f"{count / drawings:.0%} on {name}" for name, count in shares.items() if count)
    read = "all of it" if findings.whole else f"its first {describe_duration(findings.seconds)}"
    facts = {
        "Film": film.path.name,
        "Picture": f"{film.width}x{film.height}, {float(film.rate):.6g} frames per second",
        "Length": f"{float(film.duration):.1f} s, {film.frames} frames",
        "Drawings": f"{cadence.drawings / max(findings.seconds, 0.001):.1f} per second; {held}",
        "Cuts": f"{len(findings.cuts)} in {read}",
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    return f'<dl class="facts">{items}</dl>' + "".join(note(f"Note: {text}.") for text in film.notes)


def tasks_markup(tasks: Sequence[FilmTask]) -> str:
    """Describe the films that are made, the newest first."""
    if not tasks:
        return note("No film yet.")
    return f'<div class="tasks">{"".join(map(_task_markup, reversed(tasks)))}</div>'


def task_name(task: FilmTask) -> str:
    """Return the name by which a film is chosen."""
    return f"{task.number}: {task.target.name}"


def _task_markup(task: FilmTask) -> str:
    """Describe one film."""
    name, progress = escape(task_name(task)), task.progress
    frames, total = int(progress.get("frames", 0)), max(1, int(progress.get("total", 0) or 1))
    words = task.message or _WORDS.get(task.state, task.state)
    if task.state == "running" and progress:
        left = progress.get("seconds_left")
        words = f"{frames} of {total} frames" + (f", about {describe_duration(left)} left" if left is not None else "")
    if task.state == "finished":
        words = f"finished, {frames} frames in {task.target.parent}"
    bar = f'<progress max="{total}" value="{frames}" aria-label="{name}"></progress>'
    return f"<section><p><strong>{name}</strong></p>{bar}<p>{escape(words)}</p></section>"
