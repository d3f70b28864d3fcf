"""Validation of a training run's settings: an invalid one is rejected by name, in one line."""

from __future__ import annotations

import json
import math
import random
from contextlib import suppress

import pytest

from animeinterp.errors import AnimeInterpError, UsageError
from animeinterp.training.config import config_from, from_json, read_config, to_json
from support.training_stub import tiny_config

RUN_TOML = """
name = "tiny"
folder = "run"
[[source]]
kind = "scenes"
path = ""
"""
RUN = {"name": "tiny", "folder": "run", "source": [{"kind": "scenes", "path": ""}]}
COUNTS = ["steps", "batch", "size", "workers", "warm_up", "log_every", "save_every", "sheet_every", "seed"]
REALS = ["learning_rate", "last", "weight_decay", "clip", "ema"]


@pytest.mark.parametrize("key", [*COUNTS, *REALS])
def test_every_number_has_a_range_and_is_named(key, tmp_path):
    values = [-1, 10**40, -(10**40)] + ([math.nan, math.inf, -math.inf, -0.5] if key in REALS else [])
    for value in values:
        with pytest.raises(UsageError, match=rf"expected {key} to be .*, got -?(\d|nan|inf|1e)"):
            tiny_config(tmp_path, **{key: value})


@pytest.mark.parametrize("table", ["loss", "guidance"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 10**40])
def test_every_number_of_a_table_has_a_range(table, value, tmp_path):
    names = {"loss": ("charbonnier", "line", "lpips", "mixing"), "guidance": ("given", "holes", "noisy")}
    for name in names[table]:
        with pytest.raises(UsageError, match=rf"expected {table}\.{name} to be "):
            tiny_config(tmp_path, **{table: {name: value}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": 5}, "expected source to be a list"),
        ({"source": [5]}, "expected source.0 to be a table"),
        ({"source": {"kind": "crops"}}, "expected source to be a list"),
        ({"source": [{"kind": ["crops"], "path": "x"}]}, "expected source.0.kind to be 'crops' or 'scenes'"),
        ({"source": [{"kind": "crops", "path": "x", "weight": math.nan}]}, "expected source.0.weight to be "),
        ({"source": [{"kind": "crops", "path": ""}]}, "needs path"),
        ({"folder": "\0"}, "expected folder to be a path"),
        ({"folder": "x" * 5000}, "expected folder to be a path"),
        ({"folder": ""}, "expected folder to be a folder"),
        ({"init_from": "\0"}, "expected init_from to be a path"),
        ({"device": "xyz"}, "expected device to be a device such as"),
        ({"device": "cuda:99999999999"}, "expected device to be a device such as"),
        ({"preset": "classical"}, "expected preset to be one of cel, cel-fast"),
        ({"preset": "nope"}, "expected preset to be one of cel, cel-fast"),
        ({"model": {"network_pixel_range": [0, "x"]}}, "expected model.network_pixel_range.1 to be a valid integer"),
        ({"model": {"network_pixel_range": [1]}}, "expected model.network_pixel_range.1 to be present"),
        ({"model": {"network_pixel_range": [1, 10**30]}}, "expected model.network_pixel_range.1 to be less than"),
        ({"model": {"network_pixel_fraction": math.nan}}, "expected model.network_pixel_fraction to be "),
        ({"model": {"iterations": 4}}, "model.iterations is not a setting; expected network_pixel_fraction"),
        ({"loss": {"flow": 0.01}}, "loss.flow is not a setting; expected charbonnier"),
        ({"learning_rates": {"intermediate": "x"}}, "learning_rates.intermediate"),
        ({"learning_rates": {"intermediate": math.nan}}, "learning_rates.intermediate"),
        ({"learning_rates": 5}, "expected learning_rates to be a table"),
        ({"train_only": [5]}, "expected train_only.0 to be a valid string"),
        ({"steps": 1 << 50_000}, "expected steps to be .*too long"),
        ({"name": 5}, "expected name to be a valid string"),
    ],
)
def test_invalid_values_are_rejected_by_name(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message) as error:
        config_from({**RUN, **changes}, tmp_path)
    assert len(str(error.value)) < 600


def test_a_file_without_a_run_is_rejected(tmp_path):
    path = tmp_path / "run.toml"
    for text in (
        "a = " + "[" * 3000,
        "source = 5\n",
        'name = "x"\nfolder = "y"\n',
        "model = " + "[" * 90 + "]" * 90,
        "",
    ):
        path.write_text(text)
        with pytest.raises(AnimeInterpError):
            read_config(path)
    for text in ("", "5", "[]", "{", '{"a": NaN}'):
        with pytest.raises(AnimeInterpError):
            from_json(text)


def test_mutated_configs_are_rejected_or_read(tmp_path):
    rng = random.Random(7)
    whole = json.loads(to_json(tiny_config(tmp_path)))
    values = [None, True, -1, 0, 10**30, 1.5, "", "x", [], [1], {}, {"a": 1}, "\0", [[]], "e" * 10000]
    for _ in range(400):
        content = json.loads(json.dumps(whole))
        table = rng.choice([content, content["loss"], content["guidance"], content["source"][0]])
        key = rng.choice([*table, "new"])
        table[key] = rng.choice(values)
        try:
            config = from_json(json.dumps(content))
        except AnimeInterpError as error:
            assert len(str(error)) < 900  # noqa: PT017
        else:
            assert from_json(to_json(config)) == config


@pytest.mark.parametrize("cut", range(0, len(RUN_TOML), 3))
def test_a_truncated_toml_file_is_rejected_or_read(cut, tmp_path):
    (tmp_path / "run.toml").write_text(RUN_TOML[:cut])
    with suppress(AnimeInterpError):
        read_config(tmp_path / "run.toml")
