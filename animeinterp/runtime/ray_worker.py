"""The other side of `animeinterp.runtime.ray_pool`: what runs in Ray's worker processes."""

from __future__ import annotations

import importlib
import os
import pickle
import socket
import warnings
from typing import Any

from animeinterp.runtime.pool_worker import THREAD_VARIABLES, attempt, pickle_outcome, record_warnings

# What the last setup returned, by its digest. Ray keeps a process for many tasks.
_states: dict[str, Any] = {}


def run(digest: str, setup: list[Any], message: bytes) -> bytes:
    """Call a function on the state of this process, which is set up if it is not yet.

    Args:
        digest: Names the setup.
        setup: The reference of the pickled setup, in a list so that Ray fetches it only when it is asked for.
        message: A pickled function and its arguments after the state.

    Returns:
        The pickled outcome.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    given: list[tuple[str, type[Warning]]] = []
    with warnings.catch_warnings():
        record_warnings(given)
        outcome = attempt(_set_up, (digest, setup))
        if outcome.error is None:
            outcome = attempt(_call, (outcome.result, message))
    return pickle_outcome(outcome._replace(warnings=tuple(given)))


def machine_name() -> str:
    """Return the name of this machine, for messages."""
    return socket.gethostname()


def _set_up(digest: str, setup: list[Any]) -> Any:
    """Return the state; that of another setup is dropped first."""
    if digest not in _states:
        _states.clear()
        ray: Any = importlib.import_module("ray")
        _states[digest] = pickle.loads(ray.get(setup[0]))()
    return _states[digest]


def _call(state: Any, message: bytes) -> Any:
    function, arguments = pickle.loads(message)
    return function(state, *arguments)
