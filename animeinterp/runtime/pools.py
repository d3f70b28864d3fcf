"""Open a pool of workers: processes of this machine, or those of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from animeinterp.errors import UsageError
from animeinterp.runtime.process_pool import ProcessPool
from animeinterp.runtime.ray_cluster import RayCluster, RayWorkers, TaskNeeds, check_ray
from animeinterp.runtime.task_pool import TaskPool

Task = TypeVar("Task")
Result = TypeVar("Result")

Workers = int | RayWorkers  # where work is done: processes of this machine, or workers of a cluster


def check_workers(workers: Workers) -> None:
    """Check a number of workers, or a cluster.

    Args:
        workers: Number of processes, or the cluster.

    Raises:
        UsageError: It is not valid.
        MissingExtraError: ray is needed and not installed.
    """
    if isinstance(workers, RayWorkers):
        check_ray(workers)
    elif workers < 1:
        raise UsageError(f"expected at least 1 worker, got {workers}; leave the number out for one per core")


def map_in_workers(
    function: Callable[[Task], Result], items: Iterable[Task], workers: Workers, needs: TaskNeeds | None = None
) -> Iterator[Result]:
    """Call a function for every item, on one thread of torch and OpenCV.

    Args:
        function: Of a module, or a partial of one; it is pickled.
        items: What it is called with.
        workers: Number of processes, or a cluster; 1 calls it in this process.
        needs: What an item takes of a machine of the cluster.

    Yields:
        The results in order, the same for any number of workers.
    """
    from animeinterp.runtime.threads import single_threaded_workers

    if workers == 1:
        with single_threaded_workers():
            yield from map(function, items)
        return
    with _open_pool(function, workers, needs) as pool:
        yield from pool.map(_call_kept, items)


def _open_pool(
    function: Callable[[Task], Result], workers: Workers, needs: TaskNeeds | None
) -> TaskPool[Callable[[Task], Result]]:
    if isinstance(workers, RayWorkers):
        from animeinterp.runtime.ray_pool import RayPool

        return RayPool(RayCluster(workers), partial(_keep, function), needs)
    return ProcessPool(partial(_keep, function), workers)


def _keep(function: Callable[[Task], Result]) -> Callable[[Task], Result]:
    from animeinterp.runtime.threads import keep_to_one_thread

    keep_to_one_thread()
    return function


def _call_kept(function: Callable[[Task], Result], item: Task) -> Result:
    return function(item)
