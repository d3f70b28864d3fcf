"""A pool whose workers are on the machines of a Ray cluster, with the interface of the pool on this machine.

Every task is one of Ray's: it takes one core, and if asked a share of a GPU and memory; Ray places it, and repeats it
if its worker or machine is lost. The setup goes once to each machine through Ray's object store, and is called once in
each worker. Tasks and results are pickled as they are for processes of this machine, so that arrays can be written to.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from animeinterp.errors import AnimeInterpWarning, UsageError
from animeinterp.runtime.pool_worker import unpickle
from animeinterp.runtime.ray_cluster import RETRIES, RayCluster, TaskNeeds
from animeinterp.runtime.ray_worker import run
from animeinterp.runtime.task_pool import AHEAD, TaskPool

State = TypeVar("State")
Result = TypeVar("Result")

_COUNT_INTERVAL = 5.0  # s between two looks at the size of the cluster, which may grow and shrink
_EMPTY_PATIENCE = 600.0  # s that a cluster without room for a worker is waited for


class RayPool(TaskPool[State]):
    """Calls functions on a state in the workers of a cluster; a context manager."""

    def __init__(
        self,
        cluster: RayCluster,
        setup: Callable[[], State],
        needs: TaskNeeds | None = None,
        limit: int | None = None,
    ) -> None:
        """Send the setup.

        Args:
            cluster: A connection, which belongs to the pool from now on.
            setup: Called once in every worker; it returns the state. Pickled, as are functions, tasks and results.
            needs: What a task takes of a machine.
            limit: Another bound of the workers, by what fits into the memory of this process.

        Raises:
            UsageError: `setup` cannot be pickled.
            AnimeInterpError: The cluster has no room for a worker.
        """
        super().__init__()
        self._cluster, self._needs = cluster, needs or TaskNeeds()
        self._limit = min(sys.maxsize if bound is None else bound for bound in (cluster.count, limit))
        self._references: set[Any] = set()  # of what is in flight
        self._slots, self._counted, self._emptied = 0, -_COUNT_INTERVAL, float("inf")
        try:
            self._cluster.check_room(self._needs)
            message = _pack(setup)
            ray = self._cluster.ray
            self._digest, self._setup = hashlib.sha256(message).hexdigest(), [ray.put(message)]
            options = {"num_gpus": self._needs.gpus, "memory": self._needs.memory or None}
            self._run = ray.remote(run).options(num_cpus=1, max_retries=RETRIES, **options)
        except BaseException:
            self._cluster.close()
            raise

    @property
    def room(self) -> int:
        """The most tasks that are in flight at a time."""
        return AHEAD * max(1, min(self._limit, self._count_slots()))

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call `function(state, *arguments)` in one of the workers; see `TaskPool.submit`."""
        future: Future[Result] = Future()
        try:
            message = _pack((function, arguments))
        except UsageError as error:
            future.set_exception(error)
            return future
        reference = self._run.remote(self._digest, self._setup, message)
        self._references.add(reference)
        reference.future().add_done_callback(partial(self._settle, future, reference))
        return future

    def check(self) -> None:
        """Warn if the cluster has no room for a worker left; raise AnimeInterpError if that lasts."""
        now = time.monotonic()
        if self._count_slots():
            self._emptied = float("inf")
        elif self._emptied == float("inf"):
            self._emptied = now
            warnings.warn("the cluster has no room for a worker any more; waiting", AnimeInterpWarning, stacklevel=2)
        elif now - self._emptied > _EMPTY_PATIENCE:
            self._cluster.check_room(self._needs)

    def close(self) -> None:
        """End all tasks, and the connection if it is this pool's own."""
        ray = self._cluster.ray
        for reference in self._references.copy() if ray.is_initialized() else ():
            ray.cancel(reference, force=True)
        self._references.clear()
        self._cluster.close()

    def _settle(self, future: Future[Any], reference: Any, done: Future[bytes]) -> None:
        """Set the result of a task; called in a thread of Ray's."""
        self._references.discard(reference)
        try:
            result = self._open(unpickle(done.result()))
        except BaseException as error:  # raised again where the result is asked for
            future.set_exception(self._cluster.explain(error))
        else:
            future.set_result(result)

    def _count_slots(self) -> int:
        """Return the room for tasks, as it was some seconds ago at most."""
        now = time.monotonic()
        if now - self._counted > _COUNT_INTERVAL:
            self._slots, self._counted = self._cluster.count_slots(self._needs), now
        return self._slots


def _pack(content: object) -> bytes:
    """Pickle as Ray does: functions of the main script too. Raises UsageError."""
    ray: Any = importlib.import_module("ray")
    try:
        message: bytes = ray.cloudpickle.dumps(content)
    except Exception as error:  # of any type, by the object's own methods
        raise UsageError(
            f"expected what can be sent to a cluster, got an object that cannot ({error}); give functions and objects "
            "of modules"
        ) from error
    return message
