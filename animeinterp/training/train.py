"""The training loop: read a batch, run the network, compute the losses, step the optimizer.

Everything random follows from (seed, step, rank), so a resumed run equals an uninterrupted one, bit for bit on the CPU.
Under torchrun each process reads its own batches, gradients are averaged over the processes, and rank 0 writes files.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

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
from animeinterp.training.build import build_network, build_perceptual, build_sources
from animeinterp.training.checkpoint import State, restore, save
from animeinterp.training.config import CHECKPOINT, FRAME_LOSSES, LossConfig, TrainingConfig, check_new_run
from animeinterp.training.initial import load_initial
from animeinterp.training.loader import Prefetcher, Source
from animeinterp.training.log import TrainingProgress, truncate_log, write_row, write_sheet

if TYPE_CHECKING:
    from animeinterp.net.cel.model import CelOutput

LOG = "log.csv"
_MAX_FAILURES = 20  # steps in a row without finite gradients
_SHEET_ROWS = 4


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
    """Train until `config.steps`, or for about `minutes`.

    Args:
        config: Settings of the run.
        resume: Checkpoint to resume from.
        minutes: Time limit; the run stops with a checkpoint. None for no limit.
        report: Called every `log_every` steps.
        network: Replaces the network that `config` describes.
        sources: Sources with their weights; replace those that `config` describes.
        force: Whether a run in the folder is replaced.

    Returns:
        Path of the checkpoint.

    Raises:
        UsageError: A setting is invalid, or the folder holds another run.
        FileError: A file cannot be read or written.
        WeightsError: The checkpoint or the initial weights do not fit.
        AnimeInterpError: The run diverges.
    """
    started = time.monotonic()
    folder = Path(config.folder)
    _select_device(config.device)  # before the folder is made: an unavailable device leaves nothing behind
    if resume is None and not force:
        check_new_run(folder)
    make_folder(folder)
    with _process_group() as (rank, world), lock_folder(folder) if rank == 0 else nullcontext():
        device = _select_device(config.device)
        torch.manual_seed(config.seed)
        state = _initial_state(config, build_network(config) if network is None else network, resume, device)
        loop = _Loop(config, state, device, rank, world, report if rank == 0 else None)
        if sources is None:
            sources = build_sources(config, device)
        if rank == 0:
            truncate_log(folder / LOG, state.step)
        batches = Prefetcher(sources, config.batch, config.size, config.seed, state.step, rank, world, config.workers)
        try:
            while state.step < config.steps and not _is_time_up(started, minutes, device):
                loop.step(next(batches))
                if rank == 0 and state.step % config.save_every == 0:
                    save(state, config, folder / CHECKPOINT)
        finally:
            batches.close()
        if rank == 0:
            save(state, config, folder / CHECKPOINT)
    return folder / CHECKPOINT


class _Loop:
    """Everything that stays the same from step to step, and the values logged since the last report."""

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
        self.perceptual = build_perceptual(config, device)
        self.bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
        self.failures = 0
        self.values: dict[str, list[Tensor]] = {}
        self.reported = time.monotonic()

    def step(self, batch: Batch) -> None:
        """Train on one batch: updates the state's network, averaged weights and step."""
        config, state = self.config, self.state
        seed = _derive_seed(config.seed, state.step, self.rank)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed ^ 1)
        batch = Batch._make(_to_device(tensor, self.device) for tensor in batch)
        batch = augment_guidance(batch, generator, config.guidance)
        rate = learning_rate(config, state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["factor"]

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            output = run_network(state.network, batch)
            perceptual: dict[str, Tensor] = {}
            if self.perceptual is not None and state.step >= config.loss.perceptual_from:
                perceptual = self.perceptual(output.frame, batch.truth)
        loss, parts = compute_losses(config.loss, output, batch, perceptual, mixing_ramp(config, state.step))
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.parameters, self.world)
        norm = nn.utils.clip_grad_norm_(self.parameters, config.clip)
        if self._is_usable(norm):
            state.optimizer.step()
            update_ema(state.average, state.network, min(config.ema, (1 + state.step) / (10 + state.step)))
        state.step += 1
        self._log(rate, {"loss": loss.detach(), "gradient": norm, **parts})
        if self.rank == 0 and state.step % config.sheet_every == 0:
            self._write_sheet(batch)

    def _is_usable(self, norm: Tensor) -> bool:
        """Whether the gradient is finite; one bad batch is skipped, many in a row end the run."""
        if bool(torch.isfinite(norm)):
            self.failures = 0
            return True
        self.failures += 1
        if self.failures >= _MAX_FAILURES:
            raise AnimeInterpError(
                f"gradients have not been finite for {_MAX_FAILURES} steps up to step {self.state.step}; resume from "
                "the last checkpoint with a lower learning_rate"
            )
        return False

    def _log(self, rate: float, values: dict[str, Tensor]) -> None:
        """Collect the values of a step; every `log_every` steps write and report their means."""
        for name, value in values.items():
            self.values.setdefault(name, []).append(value.detach())
        config, state = self.config, self.state
        if state.step % config.log_every and state.step != config.steps:
            return
        means = {name: float(torch.stack(values).mean()) for name, values in self.values.items()}
        now = time.monotonic()
        state.seconds += now - self.reported
        speed = len(self.values["loss"]) * config.batch * self.world / max(now - self.reported, 1e-9)
        loss, gradient = means.pop("loss"), means.pop("gradient")
        progress = TrainingProgress(state.step, config.steps, loss, means, rate, gradient, speed, state.seconds)
        if self.rank == 0:
            write_row(Path(config.folder) / LOG, progress)
        if self.report is not None:
            self.report(progress)
        self.values, self.reported = {}, now

    def _write_sheet(self, batch: Batch) -> None:
        """Draw the first samples of a batch with the averaged weights."""
        batch = Batch._make(tensor[:_SHEET_ROWS] for tensor in batch)
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            frame = run_network(self.state.average, batch).frame
        write_sheet(Path(self.config.folder) / f"sheet-{self.state.step:07d}.png", batch, frame)


def run_network(network: nn.Module, batch: Batch) -> CelOutput:
    """Predict the frames of a batch."""
    output: CelOutput = network(frame0=batch.frame0, frame1=batch.frame1, coarse=batch.coarse, t=batch.t)
    return output


def compute_losses(
    weights: LossConfig,
    output: CelOutput,
    batch: Batch,
    perceptual: Mapping[str, Tensor] | None = None,
    ramp: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the losses of a batch.

    Args:
        weights: Weight of each loss.
        output: CelOutput of the network.
        batch: Input and targets.
        perceptual: Losses that need a network of their own, scalars by name.
        ramp: Factor on the weight of `mixing`, see `mixing_ramp`.

    Returns:
        The weighted sum, and each unweighted loss by name.
    """
    parts: dict[str, Tensor] = {}
    for name in FRAME_LOSSES:
        if getattr(weights, name):
            parts[name] = getattr(losses, name)(output.frame.float(), batch.truth)
    if weights.mixing:
        parts["mixing"] = output.mixing.float()
    parts |= perceptual or {}
    factors = {"mixing": ramp}
    total = sum(getattr(weights, name) * factors.get(name, 1.0) * value for name, value in parts.items())
    return torch.as_tensor(total), parts


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine down to `last` of the highest rate."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(config.steps - config.warm_up, 1)
    return config.learning_rate * (config.last + (1 - config.last) * (1 + math.cos(math.pi * min(done, 1))) / 2)


def mixing_ramp(config: TrainingConfig, step: int) -> float:
    """Return the factor on the weight of `mixing`: 0 until `perceptual_from`, then linearly to 1 at the last step."""
    done = step - config.loss.perceptual_from
    return min(max(done / max(config.steps - 1 - config.loss.perceptual_from, 1), 0.0), 1.0)


def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Update the averaged weights (exponential moving average) in place."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)


def average_gradients(parameters: Sequence[nn.Parameter], world: int) -> None:
    """Replace the gradients by their means over all `world` processes, in place.

    As DistributedDataParallel does, without wrapping the network. Parameters that a step did not use, the same in every
    process, keep no gradient: with a gradient of 0 the optimizer's momentum would still change them.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world == 1 or not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world
    for gradient, mean in zip(gradients, flat.split_with_sizes([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def make_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Make AdamW over the parameters to train; the others are frozen. Biases and scales have no weight decay.

    Raises:
        UsageError: No parameter has a prefix of `train_only` or `learning_rates`.
    """
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


def _initial_state(config: TrainingConfig, network: nn.Module, resume: Path | None, device: torch.device) -> State:
    """Make the state of a new run, or restore that of a checkpoint."""
    network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if resume is None:
        load_initial(network, config)
    optimizer = make_optimizer(network, config)
    state = State(network, copy.deepcopy(network).eval().requires_grad_(False), optimizer)
    if resume is not None:
        restore(state, resume)
    return state


def _derive_seed(*numbers: int) -> int:
    """Hash numbers into a seed of 63 bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    tensor = tensor.to(device, non_blocking=True)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _select_device(name: str) -> torch.device:
    """Choose this process's device, and make it the current one if it is a GPU."""
    if name == "auto" and not torch.cuda.is_available():
        name = "cpu"  # training on Apple's GPU is untested
    device = torch.device(choose_device(name))
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", device.index or 0)))
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # all samples have the same size
    return device


def _is_time_up(started: float, minutes: float | None, device: torch.device) -> bool:
    if minutes is None:
        return False
    is_up = time.monotonic() - started > 60 * minutes
    if not dist.is_initialized():
        return is_up
    # Clocks differ between processes: unless all stop at the same step, the others would wait forever.
    any_up = torch.tensor(float(is_up), device=device)
    dist.all_reduce(any_up, dist.ReduceOp.MAX)
    return bool(any_up)


@contextmanager
def _process_group() -> Iterator[tuple[int, int]]:
    """Join the processes that torchrun started; yield this process's rank and their number."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1:
        yield 0, 1
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.get_rank(), world
    finally:
        dist.destroy_process_group()
