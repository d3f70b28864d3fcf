"""The contact sheet of a data set that was built: a page to look through its triplets and reject some.

One HTML file with everything in it; of large sets several, of 500 triplets. A page on disk cannot write, so it gives a
list to save, which `animeinterp dataset prune` takes. What it shows is what lies in the annotations, so that it can be
made again at any time without the films.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.layout import annotations_folder, sibling
from animeinterp.data.types import LEVELS
from animeinterp.errors import FileError
from animeinterp.io.files import report_write_errors, write_text
from animeinterp.io.reading import MEGABYTE, describe_error, finite_number, read_bytes, read_json

_WIDTH = 288  # px of each of the three pictures
_QUALITY = 80
_PAGE = 500  # triplets
_FAR = 1e6  # px; what annotations may hold

_STYLE = """
:root { color-scheme: dark light }
body { font: 14px/1.4 system-ui, sans-serif; margin: 0 1rem 2rem }
header { position: sticky; top: 0; z-index: 1; background: Canvas; padding: .6rem 0; border-bottom: 1px solid GrayText }
header > * { margin-right: 1rem }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(30rem, 1fr)); gap: .8rem; margin-top: .8rem }
label { display: block; border: 2px solid transparent; padding: .3rem; cursor: pointer; content-visibility: auto }
label[hidden] { display: none }
label:has(:checked) { border-color: #d33; background: #d333 }
label:has(:focus-visible) { outline: 2px solid Highlight }
.strip { display: flex; gap: 2px }
.strip > div { position: relative; flex: 1; background: var(--p) 0 0 / 300% 100% }
.strip > div:nth-child(2) { background-position: 50% 0 }
.strip > div:nth-child(3) { background-position: 100% 0 }
.strip i { position: absolute; border: 1px dashed #fc0; pointer-events: none }
label:hover .strip > div:first-child { animation: play 1s step-end infinite }
@keyframes play { 0% { background-position: 0 0 } 33% { background-position: 50% 0 }
  67% { background-position: 100% 0 } }
small { color: GrayText }
"""
_SCRIPT = """
const boxes = [...document.querySelectorAll('input[name]')], key = 'rejected ' + location.pathname;
const rejected = () => boxes.filter(box => box.checked).map(box => box.name);
function count() { document.querySelector('#count').textContent = rejected().length }
try { const kept = new Set(JSON.parse(localStorage.getItem(key) || '[]'));
  boxes.forEach(box => { box.checked = kept.has(box.name) }) } catch { /* a browser that keeps nothing */ }
document.querySelector('main').addEventListener('change', () => { count();
  try { localStorage.setItem(key, JSON.stringify(rejected())) } catch { /* the list is saved by hand */ } });
document.querySelector('#level').addEventListener('change', event => boxes.forEach(box => {
  const card = box.closest('label'); card.hidden = event.target.value && card.dataset.level !== event.target.value }));
document.querySelector('#save').addEventListener('click', () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([rejected().join('\\n') + '\\n'], { type: 'text/plain' }));
  link.download = 'rejected.txt'; link.click(); URL.revokeObjectURL(link.href) });
count();
"""


def encode_strip(frames: Sequence[NDArray[np.uint8]]) -> bytes:
    """Three frames, uint8 (H, W, 3) RGB, small and side by side: a JPEG file."""
    height, width = frames[0].shape[:2]
    size = _WIDTH, max(1, round(_WIDTH * height / width))
    row = np.concatenate([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames], axis=1)
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(row[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def write_sheet(folder: Path) -> list[Path]:
    """Write the contact sheet of the data set in `folder` beside it, and take away what is left of older ones.

    Returns its pages. Raises FileError if they cannot be written.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    pages = [names[i : i + _PAGE] for i in range(0, len(names), _PAGE)] or [[]]
    paths = [sibling(folder, f"_sheet{f'_{number}' if number > 1 else ''}.html") for number in range(1, len(pages) + 1)]
    for number, (path, page) in enumerate(zip(paths, pages, strict=True)):
        write_text(path, _page(folder, paths, number, page), force=True)
    number = len(paths) + 1
    with report_write_errors(folder):
        while (old := sibling(folder, f"_sheet_{number}.html")).exists():
            old.unlink()
            number += 1
    return paths


def _page(folder: Path, paths: Sequence[Path], number: int, names: Sequence[str]) -> str:
    title = escape_html(
        f"{folder.absolute().name}, {number + 1} of {len(paths)}" if paths[1:] else folder.absolute().name
    )
    links = (
        " ".join(f'<a href="{escape_html(path.name)}">{i}</a>' for i, path in enumerate(paths, 1)) if paths[1:] else ""
    )
    levels = "".join(f"<option>{level}</option>" for level in LEVELS)
    cards = "\n".join(filter(None, (_card(annotations_folder(folder) / name, name) for name in names)))
    command = escape_html(f"animeinterp dataset prune {folder.name} rejected.txt")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>{_STYLE}</style></head><body>
<header><strong>{title}</strong><span>{len(names)} triplets</span>
<select id="level" aria-label="level"><option value="">all levels</option>{levels}</select>
<button id="save">Save rejected.txt (<span id="count">0</span>)</button><nav>{links}</nav>
<small>Click a triplet to reject it; rest on it to see it move. Then: <code>{command}</code></small></header>
<main>
{cards}
</main>
<script>{_SCRIPT}</script>
</body></html>
"""


def _card(place: Path, name: str) -> str:
    """One triplet, its name alone where its strip or annotation is damaged; nothing where these were taken away."""
    if not (place / f"{name}.json").exists():
        return ""
    try:
        note = read_json(place / f"{name}.json", "an annotation")
        picture = base64.b64encode(read_bytes(place / f"{name}.jpg", "a JPEG file", 4 * MEGABYTE)).decode()
        level, shape, box, told = _facts(note)
    except (FileError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        return (
            f'<label><input type="checkbox" name="{escape_html(name)}"> {escape_html(name)}<br>'
            f"<small>its annotation or strip is damaged ({escape_html(describe_error(error))})</small></label>"
        )
    return (
        f'<label data-level="{level}"><div class="strip" style="--p:url(data:image/jpeg;base64,{picture})">'
        f'<div style="{shape}"></div><div style="{shape}"><i style="{box}"></i></div><div style="{shape}"></div></div>'
        f'<input type="checkbox" name="{escape_html(name)}"> {escape_html(name)}<br>'
        f"<small>{escape_html(' · '.join(told))}</small></label>"
    )


def _facts(note: dict[str, Any]) -> tuple[str, str, str, tuple[str, ...]]:
    """Level, CSS shape of the frames and box of the region, and what is told. Raises ValueError and its like."""
    level = LEVELS[int(finite_number(note["level"], "level", 0, len(LEVELS) - 1))]
    width, height = (finite_number(value, "image_size", 1, _FAR) for value in note["image_size"])
    x, y, wide, high = (
        finite_number(note["motion_RoI"][key], key, -_FAR, _FAR) for key in ("x", "y", "width", "height")
    )
    shares = x / width, y / height, wide / width, high / height
    box = "left:{:.2%};top:{:.2%};width:{:.2%};height:{:.2%}".format(*shares)
    source, measured = note["source"], note["measured"]
    minutes, seconds = divmod(finite_number(source["time"], "time", 0, 1e9), 60)
    displacement, occluded = (finite_number(measured[key], key, 0, _FAR) for key in ("displacement", "occluded"))
    similar = [finite_number(value, "ssim", -1, 1) for value in measured["ssim"]][:2]
    told = (
        f"{str(source['film'])[:255]} at {int(minutes)}:{seconds:05.2f}",
        level,
        f"{displacement:.1f} px, {occluded:.0%} occluded",
        "SSIM " + ", ".join(f"{value:.3f}" for value in similar),
    )
    return level, f"aspect-ratio:{width:g}/{height:g}", box, told


def escape_html(text: str) -> str:
    """Text as it may stand in HTML; names that are not Unicode get question marks."""
    return html.escape(text.encode("utf-8", "replace").decode())
