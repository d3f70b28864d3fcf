"""The errors and warnings that AnimeInterp raises.

    AnimeInterpError
    ├── UsageError (also ValueError)      an invalid call: t outside [0, 1], an unknown preset
    │   └── FrameError                    a frame of the wrong type, shape, size or mode; two frames that differ in size
    ├── FileError (also OSError)          a file that cannot be read or written: missing, truncated, no space
    ├── WeightsError                      weights that are missing, of another model, unsafe or damaged
    └── MissingExtraError (also ImportError)   an optional dependency is not installed; the message names the command

Each message is one line that states what was expected, what was found, and what to do. The command line prints this
line and exits with code 2 for `UsageError` and 1 for other errors.
"""


class AnimeInterpError(Exception):
    """Base class of all errors raised by this package.

    Attributes:
        exit_code: Exit code of the command line.
    """

    exit_code = 1


class UsageError(AnimeInterpError, ValueError):
    """The call is invalid: an argument is out of range, unknown, or contradicts another."""

    exit_code = 2


class FrameError(UsageError):
    """A frame has the wrong type, shape, size or mode, or two frames differ in size."""


class FileError(AnimeInterpError, OSError):
    """A file cannot be read or written."""


class WeightsError(AnimeInterpError):
    """Weights are missing, belong to another model, are unsafe to load, or are damaged."""


class MissingExtraError(AnimeInterpError, ImportError):
    """An optional dependency is not installed."""


class AnimeInterpWarning(UserWarning):
    """Base class of all warnings of this package: work continues with a limitation. The command line prints them."""


class CacheWarning(AnimeInterpWarning):
    """Compiled code cannot be cached in the usual folder; starts may take longer."""


class DeviceWarning(AnimeInterpWarning):
    """A GPU exists but cannot be used; the CPU is used instead."""


class WeightsWarning(AnimeInterpWarning):
    """Weights fit a network in part only; the rest of the network keeps its initial values."""
