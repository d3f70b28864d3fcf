"""Send a loaded model to the machines of a cluster, so that all of them draw the same bits.

The driver decides what could differ: the weights (it loads and sends them), the type of device, and the precision,
which is bfloat16 only if every machine is fast with it. What processors and libraries may still round differently is
found by a trial: each machine draws a small pair of frames and warns if its bits are not the driver's.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from animeinterp import __version__
from animeinterp.device import has_fast_bf16
from animeinterp.errors import AnimeInterpError, DeviceWarning, UsageError
from animeinterp.interpolator import Interpolator
from animeinterp.loading import move_interpolator
from animeinterp.network_runner import uses_bf16
from animeinterp.runtime.ray_cluster import RayCluster, RayWorkers, TaskNeeds
from animeinterp.runtime.ray_pool import RayPool
from animeinterp.runtime.ray_worker import machine_name
from animeinterp.runtime.threads import single_threaded_workers

State = TypeVar("State")
Source = Any  # an interpolator, or a function that returns it

_GPU_SHARE = 0.5  # of a worker: it also prepares on a core, and another one draws meanwhile
_TRIAL_SIZE = 96, 128  # of the frames that machines are compared by, rows and columns


class Machine(NamedTuple):
    """What a machine says of itself.

    Attributes:
        version: Of this package.
        fast_bf16: Whether bfloat16 is faster than float32 on its device.
    """

    version: str
    fast_bf16: bool


@dataclass(frozen=True, slots=True)
class SentModel:
    """A loaded model on its way to the machines of a cluster; callable.

    Attributes:
        interpolator: The model, on the CPU.
        device: Type of the device to draw on.
        trial: Digest of what the sender draws, empty if that is not comparable.
    """

    interpolator: Interpolator
    device: str
    trial: str

    @property
    def accepts_coarse_flow(self) -> bool:
        """See `Interpolator.accepts_coarse_flow`."""
        return self.interpolator.accepts_coarse_flow

    def __call__(self) -> Interpolator:
        """Bring the model to the device of this machine, and warn if it cannot draw what the sender does."""
        interpolator = move_interpolator(self.interpolator, self.device)
        if interpolator.precision == "bf16" and not has_fast_bf16(self.device):
            text = f"{machine_name()} is slow with bfloat16, in which this run draws"
            warnings.warn(text, DeviceWarning, stacklevel=2)
        if self.trial and draw_trial(interpolator) != self.trial:
            warnings.warn(
                f"{machine_name()} rounds differently than the machine that sends the frames, by its processor or its "
                "libraries: the last bits of its frames differ; use machines of one kind for the same bytes",
                DeviceWarning,
                stacklevel=2,
            )
        return interpolator


def open_pool(
    workers: RayWorkers,
    setup: Callable[[Source], Callable[[], State]],
    source: Source,
    device: str | None,
    memory: int,
    limit: int | None,
) -> RayPool[State]:
    """Open a pool on a cluster whose workers draw with one model.

    Args:
        workers: The cluster.
        setup: Makes the setup of a worker from the model.
        source: A function that loads the model on the CPU; or what is sent as it is, if `device` is None.
        device: See `send_models`; None if the model is not to be loaded here.
        memory: Of a worker, bytes.
        limit: Bound of the number of workers.

    Returns:
        The pool, which ends the connection when it is closed.

    Raises:
        UsageError: See `send_models`.
        AnimeInterpError: The cluster cannot be reached, has no room for a worker, or other versions.
    """
    cluster = RayCluster(workers)
    try:
        needs = TaskNeeds(memory=memory)
        if device is not None:
            (source,), needs = send_models(cluster, [source], device, memory)
        return RayPool(cluster, setup(source), needs, limit)
    except BaseException:
        cluster.close()
        raise


def send_models(
    cluster: RayCluster, loads: Sequence[Callable[[], Interpolator]], device: str, memory: int = 0
) -> tuple[list[SentModel], TaskNeeds]:
    """Load models on the CPU of this machine, and decide how all machines of a cluster run them.

    Args:
        cluster: The cluster.
        loads: Load the models on the CPU.
        device: `cpu`; `cuda`; `auto` is `cuda` if a machine has a GPU, else `cpu`.
        memory: Of a worker, bytes.

    Returns:
        The models, and what a worker takes of a machine.

    Raises:
        UsageError: Ray does not give out this device, or the cluster has none.
        AnimeInterpError: A machine has another version of this package, or does not answer.
    """
    device, needs = _choose_device(cluster, device, memory)
    cluster.check_room(needs)
    machines = cluster.ask_machines(describe_machine, device, needs)
    for name, machine in machines.items():
        if machine.version != __version__:
            raise AnimeInterpError(
                f"expected animeinterp {__version__} on all machines, found {machine.version} on {name}; install the "
                "same version everywhere"
            )
    fast = bool(machines) and all(machine.fast_bf16 for machine in machines.values())
    return [_pack_model(load(), device, fast) for load in loads], needs


def _choose_device(cluster: RayCluster, device: str, memory: int) -> tuple[str, TaskNeeds]:
    """Choose the type of device for all machines, and what a worker takes of one."""
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"expected --device auto, cpu or cuda on a cluster, where Ray gives out GPUs, got {device!r}")
    has_gpus = cluster.has_gpus()
    if device == "cuda" and not has_gpus:
        raise UsageError("expected a GPU in the Ray cluster for --device cuda, found none; use --device cpu")
    on_gpu = has_gpus and device != "cpu"
    return ("cuda", TaskNeeds(_GPU_SHARE, memory)) if on_gpu else ("cpu", TaskNeeds(0.0, memory))


def _pack_model(interpolator: Interpolator, device: str, fast: bool) -> SentModel:
    """Fix the precision that `auto` stands for, and draw the trial."""
    options = interpolator.options
    bf16 = uses_bf16(interpolator.preset, device, options.precision, fast)
    interpolator = interpolator.with_options(replace(options, precision="bf16" if bf16 else "fp32"))
    return SentModel(interpolator, device, draw_trial(interpolator) if device == "cpu" else "")


def describe_machine(device: str) -> Machine:
    """Describe the machine that this runs on, for a type of device."""
    return Machine(__version__, has_fast_bf16(device))


def draw_trial(interpolator: Interpolator) -> str:
    """Compute the SHA-256 of the motion between two small frames and of a frame drawn there: equal if all bits are."""
    rng = np.random.default_rng(0)
    frame0 = np.full((*_TRIAL_SIZE, 3), 200, np.uint8)
    frame0[::8] = rng.integers(0, 256, (3,), np.uint8)
    frame0[24:72, 32:80] = rng.integers(0, 256, (48, 48, 3), np.uint8) // 64 * 64
    frame1 = np.roll(frame0, (3, 5), axis=(0, 1))
    with single_threaded_workers():
        motion = interpolator.motion(interpolator.analyze(frame0), interpolator.analyze(frame1))
        drawn = interpolator.render(motion, 0.4)
    digest = hashlib.sha256()
    for array in (motion.flow01, motion.flow10, motion.importance0, drawn):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
