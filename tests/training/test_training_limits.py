"""A training run's numbers: whatever a TOML file says is refused by name, or can be worked with."""

from __future__ import annotations

import json
import math
import random
from contextlib import suppress

import pytest

from animeinterp.errors import AnimeInterpError, UsageError
from animeinterp.training.config import config_from, from_json, read_config, to_json
from support.training_stub import tiny_config

WHOLE = """
name = "tiny"
folder = "run"
[[source]]
kind = "scenes"
path = ""
"""
WHOLE_RUN = {"name": "tiny", "folder": "run", "source": [{"kind": "scenes", "path": ""}]}
COUNTS = ["steps", "batch", "size", "workers", "warm_up", "log_every", "save_every", "sheet_every", "seed"]
REALS = ["learning_rate", "last", "weight_decay", "clip", "ema"]


@pytest.mark.parametrize("key", [*COUNTS, *REALS])
def test_every_number_has_a_range_and_its_name_is_told(key, tmp_path):
    values = [-1, 10**40, -(10**40)] + ([math.nan, math.inf, -math.inf, -0.5] if key in REALS else [])
    for value in values:
        with pytest.raises(UsageError, match=rf"expected {key} from .* got -?(\d|nan|inf|1e)"):
            tiny_config(tmp_path, **{key: value})


@pytest.mark.parametrize("table", ["loss", "guidance"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 10**40])
def test_every_number_of_a_table_has_a_range(table, value, tmp_path):
    names = {"loss": ("flow", "line", "lpips", "flow_decay"), "guidance": ("given", "holes", "noisy")}
    for name in names[table]:
        with pytest.raises(UsageError, match=rf"{table}\.{name} from"):
            tiny_config(tmp_path, **{table: {name: value}})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": 5}, "expected a list for source"),
        ({"source": [5]}, "expected a table for source"),
        ({"source": {"kind": "crops"}}, "expected a list for source"),
        ({"source": [{"kind": ["crops"], "path": "x"}]}, "expected one of crops, scenes"),
        ({"source": [{"kind": "crops", "path": "x", "weight": math.nan}]}, "source.weight"),
        ({"source": [{"kind": "crops", "path": ""}]}, "needs path"),
        ({"folder": "\0"}, "expected a path for folder"),
        ({"folder": "x" * 5000}, "expected a path for folder"),
        ({"folder": ""}, "expected folder"),
        ({"init_from": "\0"}, "expected a path for init_from"),
        ({"device": "xyz"}, "expected a device"),
        ({"device": "cuda:99999999999"}, "expected a device"),
        ({"preset": "classical"}, "expected one of cel, cel-fast"),
        ({"preset": "nope"}, "expected one of cel, cel-fast"),
        ({"model": {"iterations": "x"}}, "expected int for model.iterations"),
        ({"model": {"iterations": 10**9}}, "model.iterations from"),
        ({"model": {"widths": [1, 2]}}, "expected 3 numbers for model.widths"),
        ({"model": {"widths": [1, 2, 10**30]}}, "model.widths from"),
        ({"model": {"network_pixel_fraction": math.nan}}, "model.network_pixel_fraction from"),
        ({"model": {"splat": "none"}}, "expected one of average, softmax"),
        ({"model": {"apply_gate": 1}}, "expected bool for model.apply_gate"),
        ({"model": {"nope": 1}}, "a model has no nope"),
        ({"learning_rates": {"encoder": "x"}}, "learning_rates.encoder"),
        ({"learning_rates": {"encoder": math.nan}}, "learning_rates.encoder"),
        ({"learning_rates": 5}, "learning_rates"),
        ({"train_only": [5]}, "train_only"),
        ({"name": 5}, "expected str for name"),
    ],
)
def test_odd_values_are_refused_by_name(changes, told, tmp_path):
    with pytest.raises(UsageError, match=told) as error:
        config_from({**WHOLE_RUN, **changes}, tmp_path)
    assert len(str(error.value)) < 600


def test_a_text_that_is_no_run_is_one_line(tmp_path):
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


def test_mutated_configs_are_refused_or_read(tmp_path):
    chance = random.Random(7)
    whole = json.loads(to_json(tiny_config(tmp_path)))
    values = [None, True, -1, 0, 10**30, 1.5, "", "x", [], [1], {}, {"a": 1}, "\0", [[]], "e" * 10000]
    for _ in range(400):
        content = json.loads(json.dumps(whole))
        place = chance.choice([content, content["loss"], content["guidance"], content["source"][0]])
        key = chance.choice([*place, "new"])
        place[key] = chance.choice(values)
        try:
            config = from_json(json.dumps(content))
        except AnimeInterpError as error:
            assert len(str(error)) < 900  # noqa: PT017
        else:
            assert from_json(to_json(config)) == config


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 3))
def test_a_toml_file_cut_anywhere_is_refused_or_read(cut, tmp_path):
    (tmp_path / "run.toml").write_text(WHOLE[:cut])
    with suppress(AnimeInterpError):
        read_config(tmp_path / "run.toml")
