"""A program of a strict user: types of results follow from those of arguments, and all names are public."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import animeinterp

ROOT = Path(animeinterp.__file__).parents[1]
PROGRAM = """
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import animeinterp
from animeinterp import Analysis, Cadence, CoarseFlows, Compare, Encoding, Frame, Interpolator, LineStyle
from animeinterp import ModelChoice, ModelRecord, Motion, Options, Preset, Progress, Score, Sound, VideoOptions
from animeinterp import AnimeInterpError, FileError, FrameError, MissingExtraError, UsageError, WeightsError
from animeinterp import AnimeInterpWarning, CacheWarning, DeviceWarning, FilmEstimate, FilmResult, FilmsProgress
from animeinterp import DrawnKeys, Hint, Hints, KeySettings, KeysProgress, RayWorkers, WeightsWarning


def frames(a: NDArray[np.uint8], b: NDArray[np.uint8], deep: NDArray[np.uint16]) -> None:
    for drawn in animeinterp.draw_pairs([(a, b, [0.5, Fraction(1, 3)])], model="cel", workers=2):
        several: list[NDArray[np.uint8]] = drawn
    choice = ModelChoice("cel", options=Options(style="western"))
    interpolator: Interpolator = animeinterp.load_interpolator("cel", "cpu", options=Options(style="western"))
    x: NDArray[np.uint8] = interpolator(a, b)
    y: NDArray[np.uint16] = interpolator(deep, deep, t=0.25)
    analysis: Analysis[NDArray[np.uint8]] = interpolator.analyze(a)
    motion: Motion[NDArray[np.uint8]] = interpolator.motion(analysis, interpolator.analyze(b))
    z: NDArray[np.uint8] = interpolator.render(motion, 0.5)
    first, second = interpolator.warped(motion, 0.5)
    again: NDArray[np.uint8] = first if x.size else second
    sheet: NDArray[np.uint8] = animeinterp.explain_motion(interpolator, motion, 0.5)
    flows: CoarseFlows = motion.coarse01, motion.coarse10
    preset: Preset = interpolator.preset
    print(x, y, z, again, sheet, flows, preset)


def any_frame(a: Frame, b: Frame) -> Frame:
    interpolator = animeinterp.load_interpolator()
    analysis: Analysis = interpolator.analyze(a)
    motion: Motion = interpolator.motion(analysis, interpolator.analyze(b))
    return interpolator.render(motion, 0.5)


def keys(folder: Path) -> tuple[str, ...]:
    def report(progress: KeysProgress) -> None:
        print(progress.drawn, progress.total)

    drawn: DrawnKeys = animeinterp.draw_keys([folder], "out", KeySettings(timing="ease-in", on=2), report=report)
    return drawn.redraw


def hinted(interpolator: Interpolator, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    hints: Hints = animeinterp.read_hints("hints.json")
    animeinterp.write_hints(Path("more.json"), Hints((*hints, Hint(((1.0, 2.0),), ((3.0, 4.0),), name="arm"))))
    return interpolator(a, b, hints=hints)


def films(cadence: Cadence, compare: Compare, sound: Sound) -> None:
    def report(progress: Progress) -> None:
        print(progress.frames, progress.total)

    def many(progress: FilmsProgress) -> None:
        print(progress.fraction, progress.seconds_left)

    options = VideoOptions(fps="60", cadence=cadence, compare=compare, sound=sound, encoding=Encoding(crf=20))
    options = VideoOptions(workers=RayWorkers("auto", 4))
    try:
        progress: Progress = animeinterp.interpolate_video(Path("a.mkv"), "b.mkv", options, report=report)
        print(progress.seconds)
        results: list[FilmResult] = animeinterp.interpolate_films(["a", Path("b")], "out", options, report=many)
        print(results[0].error)
        estimate: FilmEstimate = next(animeinterp.estimate_films(["a.mkv"], "out", options))
        print(estimate.presets["cel"].seconds)
    except (FileError, FrameError, MissingExtraError, UsageError, WeightsError) as error:
        wrong: AnimeInterpError = error
        print(wrong, LineStyle((1, 2.0, 3.0), 1, 2), Fraction(1, 2))


def models() -> list[Score]:
    records: list[ModelRecord] = list(animeinterp.available_models())
    kinds: tuple[type[AnimeInterpWarning], ...] = CacheWarning, DeviceWarning, WeightsWarning
    print(kinds)
    return [score for record in records for score in record.scores]
"""


def check(tmp_path, program):
    pytest.importorskip("mypy")
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    # The same settings as those of the package, so that what `mypy` found out about torch is used again.
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--strict", str(path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT)
    return done.returncode, done.stdout


def test_a_strict_program_is_accepted(tmp_path):
    assert check(tmp_path, PROGRAM) == (0, "Success: no issues found in 1 source file\n")


def test_a_wrong_type_is_not(tmp_path):
    code, said = check(tmp_path, PROGRAM.replace("y: NDArray[np.uint16] =", "y: NDArray[np.uint8] ="))
    assert code == 1
    assert "Incompatible types in assignment" in said or "incompatible type" in said


def test_the_program_uses_every_public_name():
    used = {alias.name for node in ast.walk(ast.parse(PROGRAM)) for alias in getattr(node, "names", [])}
    used |= {node.attr for node in ast.walk(ast.parse(PROGRAM)) if isinstance(node, ast.Attribute)}
    assert set(animeinterp.__all__) - used == set()


def test_the_package_says_that_it_is_typed():
    assert (Path(animeinterp.__file__).parent / "py.typed").is_file()
