"""A connection to a Ray cluster: who is in it, what fits on it, and its errors in the words of this package.

Ray places tasks, moves their data, and repeats those whose worker or machine is lost. Usage statistics are off unless
the user has set Ray's own variable. ray is imported only when a cluster is used.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from animeinterp.errors import AnimeInterpError, MissingExtraError, UsageError

Result = TypeVar("Result")

RETRIES = 4  # of a task whose worker or machine is lost; machines that are rented by the hour go often
_CONNECT_PATIENCE = 5.0  # s until an address counts as not answering
_REPORT_PATIENCE = 180.0  # s for all machines to start a worker and answer
_ADDRESS = re.compile(r"auto|(?P<host>[^\s:/]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")
# Read by Ray when it is imported or connects. The second keeps it from announcing a change of its own.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True, slots=True)
class RayWorkers:
    """Workers on a Ray cluster, in place of a number of worker processes.

    This process must run on a machine of the cluster, see docs/guides/cluster.md.

    Attributes:
        address: `auto` is the cluster that this machine belongs to (or `RAY_ADDRESS`); or `HOST:PORT` of its head.
        count: The most workers at a time; None takes as many as there is room for.
    """

    address: str = "auto"
    count: int | None = None


@dataclass(frozen=True, slots=True)
class TaskNeeds:
    """What a task takes of a machine, besides one core.

    Attributes:
        gpus: Share of a GPU.
        memory: Bytes.
    """

    gpus: float = 0.0
    memory: int = 0


def check_ray(workers: RayWorkers) -> None:
    """Check what can be checked without a connection.

    Args:
        workers: The cluster.

    Raises:
        MissingExtraError: ray is not installed.
        UsageError: The address or the number of workers is not valid.
    """
    if not _ADDRESS.fullmatch(workers.address):
        raise UsageError(
            f"expected auto or HOST:PORT of the head of a Ray cluster, got {workers.address!r}; a machine outside of "
            "the cluster joins it by: ray start --num-cpus=0 --address=HOST:PORT"
        )
    if workers.count is not None and workers.count < 1:
        raise UsageError(f"expected at least 1 worker, got {workers.count}; leave the number out for all there is")
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("a Ray cluster needs ray, which is not installed; pip install 'animeinterp[cluster]'")


class RayCluster:
    """A connection to a cluster; a context manager.

    If this process is connected already, by `ray.init` of its own program, that connection is used and left open.

    Attributes:
        count: The most workers that were asked for; None for as many as there is room for.
    """

    def __init__(self, workers: RayWorkers) -> None:
        """Connect.

        Args:
            workers: The cluster.

        Raises:
            MissingExtraError: ray is not installed.
            UsageError: The address is not valid.
            AnimeInterpError: The cluster cannot be reached or has another version.
        """
        check_ray(workers)
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self.count = workers.count
        self.ray: Any = importlib.import_module("ray")
        self._owned = not self.ray.is_initialized()
        if self._owned:
            _check_answers(workers.address)
            with _keeping_signal_handlers():
                self._connect(workers.address)

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect, which ends all tasks; a connection that was there before stays."""
        if self._owned and self.ray.is_initialized():
            self.ray.shutdown()

    def count_slots(self, needs: TaskNeeds) -> int:
        """Return how many tasks the machines that are there now have room for, busy or not."""
        return sum(_room(node["Resources"], needs) for node in self._nodes())

    def has_gpus(self) -> bool:
        """Return whether a machine has a GPU."""
        return any(node["Resources"].get("GPU", 0) > 0 for node in self._nodes())

    def check_room(self, needs: TaskNeeds) -> None:
        """Raise AnimeInterpError if a task fits on no machine."""
        if self.count_slots(needs):
            return
        wanted = ["1 core"] + ([f"{needs.gpus:g} GPU"] if needs.gpus else [])
        wanted += [f"{needs.memory / 1e9:.1f} GB of memory"] if needs.memory else []
        found = "; ".join(_describe(node) for node in self._nodes()) or "no machine"
        raise AnimeInterpError(
            f"expected a machine in the Ray cluster with {', '.join(wanted)} for a worker, found {found}; add "
            "machines, or start Ray on them with more (ray start --num-cpus, --num-gpus, --memory)"
        )

    def ask_machines(self, function: Callable[[str], Result], question: str, needs: TaskNeeds) -> dict[str, Result]:
        """Call a function on every machine that has room for a task.

        Args:
            function: Of a module of this package.
            question: Its argument.
            needs: What tasks will take.

        Returns:
            Its results by the machine's name. Machines that are lost meanwhile are left out.

        Raises:
            AnimeInterpError: A machine does not answer, or cannot run this package.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = self.ray.remote(function)
        answers: dict[Any, str] = {}
        for node in self._nodes():
            if _room(node["Resources"], needs):
                place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                options = remote.options(
                    num_cpus=0, num_gpus=needs.gpus, max_retries=0, scheduling_strategy=place, runtime_env={}
                )
                name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                answers[options.remote(question)] = f"{name}, {node['NodeID'][:8]}"
        if not answers:
            return {}
        done, late = self.ray.wait(list(answers), num_returns=len(answers), timeout=_REPORT_PATIENCE)
        if late:
            names = ", ".join(answers[one] for one in late)
            raise AnimeInterpError(
                f"no answer within {_REPORT_PATIENCE:.0f} s from {names}; check it, or end Ray there"
            )
        results = {}
        for one in done:
            try:
                results[answers[one]] = self.ray.get(one)
            except self.ray.exceptions.RayTaskError as error:
                raise self.explain(error, answers[one]) from error
            except self.ray.exceptions.RayError:
                continue
        return results

    def explain(self, error: BaseException, machine: str = "a machine of the cluster") -> BaseException:
        """Return an error of Ray as one of this package; others as they are."""
        kinds = self.ray.exceptions
        if not isinstance(error, kinds.RayError):
            return error
        reason = _first_line(error)
        if isinstance(error, kinds.RayTaskError):
            cause = getattr(error, "cause", None)
            reason = f"{type(cause).__name__}: {_first_line(cause)}" if cause is not None else reason
            text = f"{machine} cannot run this package ({reason}); install the same version of animeinterp on all"
        elif isinstance(error, kinds.OutOfMemoryError):
            text = f"memory ran out on {machine}; give Ray fewer cores there (ray start --num-cpus), or --workers here"
        elif isinstance(error, kinds.WorkerCrashedError | kinds.ObjectLostError | kinds.NodeDiedError):
            text = (
                f"workers or their machines were lost {RETRIES + 1} times over the same task ({reason}); ask `ray "
                "status` what is wrong"
            )
        else:
            text = f"the Ray cluster failed ({reason}); check it by `ray status`"
        return AnimeInterpError(text)

    def _nodes(self) -> list[dict[str, Any]]:
        """Return the machines that are there."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def _connect(self, address: str) -> None:
        try:
            self.ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except ConnectionError as error:
            raise AnimeInterpError(
                f"no Ray cluster was found by {address!r} ({_first_line(error)}); start one by: ray start --head, or "
                "join one by: ray start --address=HOST:PORT"
            ) from error
        except (RuntimeError, ValueError, OSError) as error:
            raise AnimeInterpError(
                f"the Ray cluster at {address!r} refuses this machine ({_first_line(error)}); it must belong to the "
                "cluster (ray start --address=HOST:PORT), with the same versions of Python and Ray"
            ) from error


def _room(resources: dict[str, float], needs: TaskNeeds) -> int:
    """Return how many tasks a machine with these resources has room for."""
    room = [resources.get("CPU", 0.0)]
    room += [resources.get("GPU", 0.0) / needs.gpus] if needs.gpus else []
    room += [resources.get("memory", 0.0) / needs.memory] if needs.memory else []
    return int(min(room) + 1e-9)


def _describe(node: dict[str, Any]) -> str:
    """Describe a machine and what Ray may use of it."""
    resources = node["Resources"]
    parts = [f"{resources.get('CPU', 0):g} cores"]
    parts += [f"{resources['GPU']:g} GPUs"] if resources.get("GPU") else []
    return f"{node['NodeManagerHostname']} with {', '.join(parts)}, {resources.get('memory', 0) / 1e9:.1f} GB"


def _check_answers(address: str) -> None:
    """Raise AnimeInterpError if nothing listens at an address: Ray itself would try for minutes."""
    match = _ADDRESS.fullmatch(address)
    if match is None or match["port"] is None:
        return
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), _CONNECT_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise AnimeInterpError(
            f"no Ray cluster answers at {address} ({_first_line(error)}); on its head `ray status` gives the address, "
            "and port 6379, or the one of ray start --port, must be open between the machines"
        ) from error


@contextmanager
def _keeping_signal_handlers() -> Iterator[None]:
    """Restore the handlers of signals that the block replaces: Ray's own would leave half-written files."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = ("SIGTERM", "SIGINT", "SIGBREAK")
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:300]
