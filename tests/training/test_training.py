"""A training run learns, resumes exactly, and is the same in several processes."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from animeinterp.data.types import Batch
from animeinterp.errors import AnimeInterpError, FileError, UsageError, WeightsError
from animeinterp.net.cel.model import Cel
from animeinterp.training.augment import augment_guidance
from animeinterp.training.build import build_network, build_sources, model_config
from animeinterp.training.checkpoint import export
from animeinterp.training.config import GuidanceConfig, from_json, read_config, to_json
from animeinterp.training.loader import Prefetcher, mix_batches
from animeinterp.training.train import CHECKPOINT, LOG, learning_rate, make_optimizer, train
from support import training_stub
from support.training_stub import SHIFT, Squares, squares, tiny, tiny_config


def run(folder: Path, resume: Path | None = None, minutes: float | None = None, **changes: object) -> dict[str, Tensor]:
    """Train the tiny network and return the checkpoint's content."""
    path = train(tiny_config(folder, **changes), resume, minutes, network=tiny(), sources=[(Squares(), 1.0)])
    return torch.load(path, weights_only=True)


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_learns_and_writes_a_log_and_sheets(tmp_path):
    run(tmp_path, steps=60, sheet_every=60, ema=0.9, learning_rate=1e-2)
    log = rows(tmp_path)
    assert [int(row["step"]) for row in log] == list(range(5, 65, 5))
    assert float(log[-1]["loss"]) < 0.7 * float(log[0]["loss"])
    assert float(log[0]["census"]) > 0
    assert log[0]["lpips"] == ""
    assert (tmp_path / "sheet-0000060.png").is_file()
    assert not list(tmp_path.glob(".*"))


CORRUPTED = {"given": 0.5, "holes": 0.5, "shifted": 0.5, "foreign": 0.5, "noisy": 0.5}


class Killed(Exception):
    pass


def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(tmp_path):
    changes = {"guidance": CORRUPTED, "workers": 3, "save_every": 10}
    whole = run(tmp_path / "whole", **changes)

    def die(progress):
        if progress.step == 15:
            raise Killed

    config = tiny_config(tmp_path / "parts", **changes)
    with pytest.raises(Killed):
        train(config, report=die, network=tiny(), sources=[(Squares(), 1.0)])
    resumed = run(tmp_path / "parts", tmp_path / "parts" / CHECKPOINT, **changes)
    assert resumed["step"] == 20
    for part in ("network", "average"):
        assert equal(whole[part], resumed[part])
    moments = zip(whole["optimizer"]["state"].values(), resumed["optimizer"]["state"].values(), strict=True)
    assert all(equal(a, b) for a, b in moments)
    assert [row["loss"] for row in rows(tmp_path / "parts")] == [row["loss"] for row in rows(tmp_path / "whole")]


def test_a_time_limit_stops_cleanly(tmp_path):
    content = run(tmp_path, minutes=0)
    assert content["step"] == 0
    assert run(tmp_path, tmp_path / CHECKPOINT)["step"] == 20


def test_two_processes_average_their_gradients(tmp_path):
    """Two processes with one sample each learn the same as one process with both samples."""
    config = tiny_config(tmp_path / "two", batch=1, steps=6, sheet_every=6)
    file = tmp_path / "config.json"
    file.write_text(to_json(config))
    program = [sys.executable, str(Path(training_stub.__file__)), str(file)]
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen(program, env={**os.environ, **variables, "RANK": str(rank)}) for rank in (0, 1)]
    try:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    together = torch.load(tmp_path / "two" / CHECKPOINT, weights_only=True)

    class Pairs:
        def batches(self, batch_size, size, seed, start, rank, world):
            ranks = [Squares().batches(1, size, seed, start, r, 2) for r in (0, 1)]
            while True:
                yield Batch._make(torch.cat(tensors) for tensors in zip(*map(next, ranks), strict=True))

    single_config = tiny_config(tmp_path / "one", batch=2, steps=6)
    single = torch.load(train(single_config, network=tiny(), sources=[(Pairs(), 1.0)]), weights_only=True)
    for key, value in single["network"].items():
        # Gradients are summed in another order, and Adam divides small gradients by their own size.
        assert torch.allclose(value, together["network"][key], atol=1e-5)
    assert torch.equal(together["network"]["spare.weight"], tiny().spare.weight), "unused parameters stay unchanged"
    assert len(rows(tmp_path / "two")) == 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_only_the_named_parameters_are_trained(tmp_path):
    before = tiny().state_dict()
    after = run(tmp_path, train_only=["synthesis"])["network"]
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"synthesis.weight", "synthesis.bias"}
    with pytest.raises(UsageError, match="begin with matching, spare, synthesis"):
        run(tmp_path / "other", train_only=["synthetic"])


def test_a_run_starts_from_exported_weights(tmp_path):
    content = run(tmp_path / "a")
    out = tmp_path / "tiny.safetensors"
    metadata = export(tmp_path / "a" / CHECKPOINT, out, half=False)
    with safe_open(out, "pt") as file:
        assert file.metadata() == metadata
        assert metadata["steps"] == "20"
        assert torch.equal(file.get_tensor("synthesis.bias"), content["average"]["synthesis.bias"])
    train(tiny_config(tmp_path / "b", init_from=str(out)), minutes=0, network=tiny(), sources=[(Squares(), 1.0)])
    started = torch.load(tmp_path / "b" / CHECKPOINT, weights_only=True)["network"]
    assert equal(started, content["average"])


def test_exported_weights_may_be_a_mean_with_those_at_the_start(tmp_path):
    start, trained = Cel(), Cel()
    file = tmp_path / "start.safetensors"
    save_file({key: value.contiguous() for key, value in start.state_dict().items()}, file)
    path = tmp_path / "a" / CHECKPOINT
    for init in (str(file), ""):
        config = tiny_config(tmp_path / "a", preset="cel", init_from=init)
        train(config, minutes=0, network=Cel(), sources=[(Squares(), 1.0)], force=True)
        torch.save(torch.load(path, weights_only=True) | {"average": trained.state_dict()}, path)
        if init:
            export(path, tmp_path / "mean.safetensors", start_fraction=0.25)
    mean = load_file(tmp_path / "mean.safetensors")
    for key, value in trained.state_dict().items():
        expected = (0.75 * value + 0.25 * start.state_dict()[key]).half()
        torch.testing.assert_close(mean[key], expected, atol=1e-3, rtol=0)
    for fraction, message in ((0.25, "started from random weights"), (1.0, r"in \[0, 1\)")):
        with pytest.raises(UsageError, match=message):
            export(path, tmp_path / "mean.safetensors", start_fraction=fraction, force=True)


def test_a_file_that_is_not_a_checkpoint_is_rejected(tmp_path):
    with pytest.raises(FileError, match="found nothing"):
        run(tmp_path, tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("text")
    with pytest.raises(WeightsError, match="damaged"):
        run(tmp_path, tmp_path / "text.pt")
    torch.save(tiny().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match="init_from"):
        run(tmp_path, tmp_path / "weights.pt")


def test_divergence_is_an_error(tmp_path):
    class Broken:
        def batches(self, *arguments, **named):
            while True:
                samples = squares(2, 32, np.random.default_rng(0))
                yield samples._replace(truth=samples.truth * float("nan"))

    with pytest.raises(AnimeInterpError, match="lower learning_rate"):
        train(tiny_config(tmp_path, steps=30), network=tiny(), sources=[(Broken(), 1.0)])


def test_the_learning_rate_rises_and_falls():
    config = tiny_config(Path(), steps=100, warm_up=10, learning_rate=1.0, last=0.1)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == 0.1
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_batches_come_in_order_from_any_step():
    class Numbered:
        def batches(self, batch_size, size, seed, start, rank, world):
            step = start
            while True:
                yield (self, rank, step)
                step += 1

    sources = [(Numbered(), 3.0), (Numbered(), 1.0)]
    first = Prefetcher(sources, 1, 32, 7, 0, workers=3)
    expected = [next(first) for _ in range(50)]
    first.close()
    for start, workers in ((0, 3), (7, 3)):
        later = Prefetcher(sources, 1, 32, 7, start, workers=workers)
        assert [next(later) for _ in range(50 - start)] == expected[start:]
        later.close()
    stream = mix_batches(sources, 1, 32, 7, 0, 0, 1)
    drawn = [next(stream) for _ in range(400)]
    assert 270 < sum(source is sources[0][0] for source, *_ in drawn) < 330
    for source, _ in sources:
        steps = [step for origin, _, step in drawn if origin is source]
        assert steps == list(range(len(steps)))


def test_an_error_while_fetching_is_raised():
    class Failing:
        def batches(self, *arguments, **named):
            raise FileError("the store is gone")
            yield

    data = Prefetcher([(Failing(), 1.0)], 1, 32, 0, 0)
    with pytest.raises(FileError, match="gone"):
        next(data)
    data.close()


def test_guidance_is_dropped_or_corrupted():
    samples = squares(64, 32, np.random.default_rng(0))
    assert augment_guidance(samples, torch.Generator(), GuidanceConfig()) is samples
    none = augment_guidance(samples, torch.Generator(), GuidanceConfig(given=0))
    assert not none.coarse01.any()
    assert not none.confidence1.any()
    half = augment_guidance(samples, torch.Generator().manual_seed(1), GuidanceConfig(given=0.5, holes=0.5))
    fraction = (half.confidence0 == samples.confidence0).all(3).all(2).float().mean()
    assert 0.2 < fraction < 0.7
    assert torch.equal(half.coarse01[:, :1], half.confidence0 * SHIFT)
    corrupted = augment_guidance(samples, torch.Generator(), GuidanceConfig(shifted=1, foreign=1, noisy=1))
    assert torch.equal(corrupted.confidence0, samples.confidence0)
    assert (corrupted.coarse01 != samples.coarse01).any()
    assert not corrupted.coarse01[(samples.confidence0 == 0).expand(-1, 2, -1, -1)].any()
    assert torch.equal(corrupted.truth, samples.truth)


def test_a_config_is_read_and_stored(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        'name = "x"\nfolder = "runs/x"\nlearning_rate = 1\ntrain_only = ["synthesis"]\n'
        '[model]\nnetwork_pixel_fraction = 0.3\n[[source]]\nkind = "scenes"\npath = "/assets"\n'
        "[loss]\nline = 0.5\n"
    )
    config = read_config(file)
    assert Path(config.folder) == tmp_path / "runs/x"
    assert config.source[0].path == "/assets"
    assert config.loss.line == 0.5
    assert model_config(config).network_pixel_fraction == 0.3
    assert config.train_only == ("synthesis",)
    assert from_json(to_json(config)) == config


def test_former_names_of_settings_are_read():
    config = tiny_config(Path(), model={"seen_share": 0.25, "seen_pixels": [0, 9]})
    assert tiny_config(Path(), loss={"lpips_size": 64}).loss.perceptual_size == 64
    assert config == tiny_config(Path(), model={"network_pixel_fraction": 0.25, "network_pixel_range": [0, 9]})
    assert model_config(config).network_pixel_range == (0, 9)
    assert "seen" not in to_json(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"setps": 3}, "setps is not a setting; expected name, folder"),
        ({"steps": "3"}, "expected steps to be a valid integer, got '3'"),
        ({"steps": 0}, "expected steps to be greater than or equal to 1, got 0"),
        ({"size": 100}, "expected size to be a multiple of 16"),
        ({"precision": "fp8"}, "expected precision to be 'auto', 'fp32' or 'bf16'"),
        ({"source": []}, "at least one"),
        ({"source": [{"kind": "crops"}]}, "expected source.0.path to be present"),
        ({"loss": {"lpips": 1}}, "loss.vgg"),
        ({"loss": {"gram": 1}}, "loss.gram needs loss.vgg"),
        (
            {"loss": {"charbonnier": 0, "laplacian": 0, "mixing": 1, "perceptual_from": 9}},
            "nothing is learned before loss.perceptual_from",
        ),
        ({"loss": {"line": -1}}, "expected loss.line to be greater than or equal to 0"),
        ({"loss": {"charbonnier": 0, "laplacian": 0}}, r"at least one weight above 0 in \[loss\]"),
        ({"guidance": {"given": 2}}, "expected guidance.given to be less than or equal to 1"),
        ({"init_partial": True}, "name them, or leave it out"),
        ({"loss": 3}, "expected loss to be a table"),
    ],
)
def test_an_invalid_config_is_rejected(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        tiny_config(tmp_path, **changes)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_our_configs_can_be_read(path):
    config = read_config(path)
    assert Cel(model_config(config)).seen_size((288, 288)) == (288, 288)  # a crop is processed at full size
    make_optimizer(build_network(config), config)


def test_synthetic_scenes_are_a_source():
    config = tiny_config(Path(), source=[{"kind": "scenes", "path": ""}])
    ((source, weight),) = build_sources(config, torch.device("cpu"))
    assert weight == 1
    first, second = (source.batches(1, 32, 0, start=0, rank=rank, world=2) for rank in (0, 1))
    _, later = next(first), next(first)
    again = next(source.batches(1, 32, 0, start=1, rank=0, world=2))
    assert torch.equal(later.frame0, again.frame0)
    assert not torch.equal(later.frame0, next(second).frame0)
