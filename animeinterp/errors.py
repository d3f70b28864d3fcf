"""Every error that AnimeInterp raises on purpose.

    AnimeInterpError
    ├── UsageError (also ValueError)      the call asks for something that cannot be: t outside [0, 1], unknown preset
    │   └── FrameError                    a frame of the wrong type, shape, size or mode; two frames that do not fit
    ├── FileError (also OSError)          a file that cannot be read or written: missing, truncated, no space
    ├── WeightsError                      weights that are missing, foreign, unsafe or damaged
    └── MissingExtraError (also ImportError)   an optional dependency is not installed; the message names the command

Each message is one line that says what was expected, what came, and what to do. The command line prints that
line and leaves with exit code 2 for `UsageError` and 1 for the rest.
"""


class AnimeInterpError(Exception):
    """Root of all errors raised by this package."""

    exit_code = 1


class UsageError(AnimeInterpError, ValueError):
    """The call asks for something that cannot be."""

    exit_code = 2


class FrameError(UsageError):
    """A frame has the wrong type, shape, size or mode, or two frames do not fit together."""


class FileError(AnimeInterpError, OSError):
    """A file cannot be read or written."""


class WeightsError(AnimeInterpError):
    """Weights are missing, belong to another model, are unsafe to load or damaged."""


class MissingExtraError(AnimeInterpError, ImportError):
    """An optional dependency is not installed."""


class AnimeInterpWarning(UserWarning):
    """Root of the warnings of this package: work goes on, but not as it was meant to. The command line prints them."""


class CacheWarning(AnimeInterpWarning):
    """Compiled code cannot be kept where it should be; work goes on, but starts may take longer."""


class DeviceWarning(AnimeInterpWarning):
    """A GPU is there but cannot draw; the CPU does."""
