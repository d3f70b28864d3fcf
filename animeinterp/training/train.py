"""The training loop: read samples, draw, measure what is wrong, correct the weights.

A run is decided by its config: what is random follows from (seed, step, rank), so that a run which stops and goes on
equals one that does not, bit for bit on the CPU. Started by torchrun, each process takes its own samples and gradients
are averaged; rank 0 writes.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from animeinterp.data.types import Batch
from animeinterp.device import choose_device
from animeinterp.errors import AnimeInterpError, UsageError
from animeinterp.io.files import lock_folder, make_folder
from animeinterp.training import losses
from animeinterp.training.augment import augment_guidance
from animeinterp.training.build import build_lpips, build_network, build_sources
from animeinterp.training.checkpoint import State, restore, save
from animeinterp.training.config import CHECKPOINT, FRAME_LOSSES, LossConfig, TrainingConfig, check_new_run
from animeinterp.training.loader import Ahead, Source
from animeinterp.training.log import TrainingProgress, cut_log, write_row, write_sheet
from animeinterp.weights.loading import load_weights

LOG = "log.csv"
_PATIENCE = 20  # steps in a row without finite gradients
_SHOWN = 4  # samples on a sheet


def train(
    config: TrainingConfig,
    resume: Path | None = None,
    minutes: float | None = None,
    report: Callable[[TrainingProgress], object] | None = None,
    *,
    network: nn.Module | None = None,
    sources: Sequence[tuple[Source, float]] | None = None,
    force: bool = False,
) -> Path:
    """Train until `config.steps`, or for about so many minutes.

    Args:
        config: The run.
        resume: A checkpoint to go on from.
        minutes: When to stop, with a checkpoint.
        report: Called every `log_every` steps.
        network: In place of the one that `config` describes.
        sources: In place of those that `config` describes.
        force: Begin anew in a folder that holds a run already.

    Returns:
        The checkpoint, from which `resume` goes on.

    Raises:
        UsageError, FileError, WeightsError: The run cannot begin, or the folder holds another run.
        AnimeInterpError: It diverges.
    """
    began = time.monotonic()
    folder = Path(config.folder)
    _device(config.device)  # a device that cannot be had leaves no folder behind
    if resume is None and not force:
        check_new_run(folder)
    make_folder(folder)
    with _processes() as (rank, world), lock_folder(folder) if rank == 0 else nullcontext():
        device = _device(config.device)
        torch.manual_seed(config.seed)
        state = _begin(config, build_network(config) if network is None else network, resume, device)
        loop = _Loop(config, state, device, rank, world, report if rank == 0 else None)
        taken = build_sources(config, device) if sources is None else sources
        if rank == 0:
            cut_log(folder / LOG, state.step)
        data = Ahead(taken, config.batch, config.size, config.seed, state.step, rank, world, config.workers)
        try:
            while state.step < config.steps and not _time_is_up(began, minutes, device):
                loop.step(next(data))
                if rank == 0 and state.step % config.save_every == 0:
                    save(state, config, folder / CHECKPOINT)
        finally:
            data.close()
        if rank == 0:
            save(state, config, folder / CHECKPOINT)
    return folder / CHECKPOINT


class _Loop:
    """What stays the same from step to step, and the means since the last report."""

    def __init__(
        self,
        config: TrainingConfig,
        state: State,
        device: torch.device,
        rank: int,
        world: int,
        report: Callable[[TrainingProgress], object] | None,
    ) -> None:
        self.config, self.state, self.device = config, state, device
        self.rank, self.world, self.report = rank, world, report
        self.parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
        self.lpips = build_lpips(config, device)
        self.bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
        self.failures = 0
        self.noted: dict[str, list[Tensor]] = {}
        self.since = time.monotonic()

    def step(self, samples: Batch) -> None:
        """One step: the state's network, average and count change."""
        config, state = self.config, self.state
        generator = torch.Generator().manual_seed(_mixed_seed(config.seed, state.step, self.rank))
        torch.manual_seed(_mixed_seed(config.seed, state.step, self.rank) ^ 1)
        samples = augment_guidance(Batch(*(_moved(p, self.device) for p in samples)), generator, config.guidance)
        rate = learning_rate(config, state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["factor"]

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            t = samples.t if state.step >= config.loss.frames_from else None
            output = state.network(samples.frame0, samples.frame1, *samples[4:8], t)
            perceived = self._perceived(output, samples)
        loss, parts = compute_losses(config.loss, output, samples, state.step, perceived)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.parameters, self.world)
        length = nn.utils.clip_grad_norm_(self.parameters, config.clip)
        if self._usable(length):
            state.optimizer.step()
            update_ema(state.average, state.network, min(config.ema, (1 + state.step) / (10 + state.step)))
        state.step += 1
        self._note(rate, {"loss": loss.detach(), "gradient": length, **parts})
        if self.rank == 0 and state.step % config.sheet_every == 0:
            self._draw_sheet(samples)

    def _perceived(self, output: Any, samples: Batch) -> Tensor | None:
        if self.lpips is None or self.state.step < self.config.loss.frames_from:
            return None
        drawn, truth = output.frame.float().clamp(0, 1), samples.truth
        side = min(self.config.loss.lpips_size or truth.shape[-1], truth.shape[-1])
        y, x = (int(torch.randint(size - side + 1, ())) for size in truth.shape[-2:])
        distance: Tensor = self.lpips(*(frame[..., y : y + side, x : x + side] for frame in (drawn, truth)))
        return distance

    def _usable(self, length: Tensor) -> bool:
        """Whether the gradients are finite; a bad batch is skipped, many in a row end the run."""
        if bool(torch.isfinite(length)):
            self.failures = 0
            return True
        self.failures += 1
        if self.failures >= _PATIENCE:
            raise AnimeInterpError(
                f"gradients have not been finite for {_PATIENCE} steps up to step {self.state.step}; go on from the "
                "last checkpoint with a lower learning_rate"
            )
        return False

    def _note(self, rate: float, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.noted.setdefault(name, []).append(value.detach())
        config, state = self.config, self.state
        if state.step % config.log_every and state.step != config.steps:
            return
        means = {name: float(torch.stack(values).mean()) for name, values in self.noted.items()}
        now = time.monotonic()
        state.seconds += now - self.since
        speed = len(self.noted["loss"]) * config.batch * self.world / max(now - self.since, 1e-9)
        loss, gradient = means.pop("loss"), means.pop("gradient")
        progress = TrainingProgress(state.step, config.steps, loss, means, rate, gradient, speed, state.seconds)
        if self.rank == 0:
            write_row(Path(config.folder) / LOG, progress)
        if self.report is not None:
            self.report(progress)
        self.noted, self.since = {}, now

    def _draw_sheet(self, samples: Batch) -> None:
        few = Batch(*(plane[:_SHOWN] for plane in samples))
        network = self.state.average
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            drawn = network(few.frame0, few.frame1, *few[4:8], few.t).frame
        write_sheet(Path(self.config.folder) / f"sheet-{self.state.step:07d}.png", few, drawn)


def compute_losses(
    weights: LossConfig, output: Any, samples: Batch, step: int, perceived: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of all losses, and each by name, of what the network made of the samples.

    perceived: the LPIPS loss, which needs a network of its own.
    """
    flows, truth = output.flows, samples.truth
    parts: dict[str, Tensor] = {}
    if weights.flow:
        forth, back = [*flows.steps01, flows.flow01], [*flows.steps10, flows.flow10]
        known0, known1 = (
            known * losses.evidence(frame) * losses.staying(flow)
            for known, frame, flow in (
                (samples.known0, samples.frame0, samples.flow01),
                (samples.known1, samples.frame1, samples.flow10),
            )
        )
        parts["flow"] = losses.sequence_loss(forth, samples.flow01, known0, weights.flow_decay)
        parts["flow"] = parts["flow"] + losses.sequence_loss(back, samples.flow10, known1, weights.flow_decay)
    for name in FRAME_LOSSES:
        if step >= weights.frames_from and getattr(weights, name):
            parts[name] = getattr(losses, name)(output.frame.float(), truth)
    if perceived is not None:
        parts["lpips"] = perceived
    total = sum(getattr(weights, name) * value for name, value in parts.items())
    return torch.as_tensor(total), parts


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to `last` of the highest rate."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(config.steps - config.warm_up, 1)
    return config.learning_rate * (config.last + (1 - config.last) * (1 + math.cos(math.pi * min(done, 1))) / 2)


def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights a little towards the network's (exponential moving average)."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)


def average_gradients(parameters: Sequence[nn.Parameter], world: int) -> None:
    """Make every process's gradients the mean of all.

    As DistributedDataParallel does, but the network stays itself. What a step did not use, which is the same in every
    process, has no gradient and stays without: a gradient of 0 would let the optimizer's momentum move it on.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world == 1 or not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world
    for gradient, part in zip(gradients, flat.split_with_sizes([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def optimizer_of(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW over the parameters to train; biases and scales do not decay. Raises UsageError for unknown prefixes."""
    named = list(network.named_parameters())
    for prefix in (*config.train_only, *config.learning_rates):
        if not any(name.startswith(prefix) for name, _ in named):
            known = ", ".join(sorted({name.split(".")[0] for name, _ in named}))
            raise UsageError(f"no parameter begins with {prefix!r}; those of {config.preset} begin with {known}")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        trained = not config.train_only or name.startswith(config.train_only)
        parameter.requires_grad_(trained)
        if trained:
            factor = next((f for prefix, f in config.learning_rates.items() if name.startswith(prefix)), 1.0)
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": ps, "factor": factor, "weight_decay": decay} for (factor, decay), ps in groups.items()],
        lr=config.learning_rate,
        betas=(0.9, 0.99),
    )


def _begin(config: TrainingConfig, network: nn.Module, resume: Path | None, device: torch.device) -> State:
    network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if config.init_from and resume is None:
        load_weights(network, config.init_from, config.preset)
    optimizer = optimizer_of(network, config)
    state = State(network, copy.deepcopy(network).eval().requires_grad_(False), optimizer)
    if resume is not None:
        restore(state, resume)
    return state


def _mixed_seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _moved(plane: Tensor, device: torch.device) -> Tensor:
    plane = plane.to(device, non_blocking=True)
    return plane.contiguous(memory_format=torch.channels_last) if plane.ndim == 4 else plane


def _device(name: str) -> torch.device:
    if name == "auto" and not torch.cuda.is_available():
        name = "cpu"  # training on Apple's GPU is not tried out
    device = torch.device(choose_device(name))
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", device.index or 0)))
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # samples have one size
    return device


def _time_is_up(began: float, minutes: float | None, device: torch.device) -> bool:
    if minutes is None:
        return False
    up = time.monotonic() - began > 60 * minutes
    if not dist.is_initialized():
        return up
    # Clocks differ: all stop at the same step, or one would wait for ever.
    any_up = torch.tensor(float(up), device=device)
    dist.all_reduce(any_up, dist.ReduceOp.MAX)
    return bool(any_up)


@contextmanager
def _processes() -> Iterator[tuple[int, int]]:
    """This process's rank and how many there are, as torchrun says."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1:
        yield 0, 1
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.get_rank(), world
    finally:
        dist.destroy_process_group()
