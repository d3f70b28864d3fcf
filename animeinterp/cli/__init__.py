"""The command line: parse, call, show. Nothing is computed here. One file per group of verbs.

Whatever goes wrong ends in one line on stderr and an exit code: 2 where the call asks for something that
cannot be, 130 after Ctrl-C, 1 for the rest. With --debug before the command, or ANIMEINTERP_DEBUG set, the
traceback follows. Modules that load torch are imported where they are used, so that --help and mistakes
answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from animeinterp import __version__
from animeinterp.cli import datasets, drawing, evaluating, training, video
from animeinterp.cli.terminal import out
from animeinterp.errors import AnimeInterpError

_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="animeinterp",
    help="Draws the frames between two frames of a 2D animation.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)
dataset = typer.Typer(help="Data sets: build them, look at them, cut training crops.", context_settings=_SETTINGS)
weights = typer.Typer(help="Weights of training runs.", context_settings=_SETTINGS)
_VERBS: dict[typer.Typer, tuple[Callable[..., None], ...]] = {
    app: (
        drawing.tween,
        video.video,
        drawing.explain,
        drawing.demo,
        drawing.models,
        evaluating.evaluate,
        training.train,
    ),
    dataset: (datasets.preview, datasets.crops, datasets.build, datasets.prune, datasets.flows),
    weights: (training.export,),
}
for group, verbs in _VERBS.items():
    for verb in verbs:
        group.command()(verb)
app.add_typer(dataset, name="dataset")
app.add_typer(weights, name="weights")


@dataset.callback(invoke_without_command=True)
@weights.callback(invoke_without_command=True)
def _show_help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    if debug:
        os.environ["ANIMEINTERP_DEBUG"] = "1"
    if version:
        out.print(f"animeinterp {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    if not os.environ.get("ANIMEINTERP_DEBUG"):
        warnings.simplefilter("ignore")  # libraries' remarks on odd files; ours are errors
    try:
        code = app(args=arguments, prog_name="animeinterp", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        code = _fail(error.format_message(), 2, error)
    except AnimeInterpError as error:
        code = _fail(str(error), error.exit_code, error)
    except BrokenPipeError:
        # whoever read our output has gone; keep the interpreter from flushing into the void
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (KeyboardInterrupt, typer.Abort) as error:
        code = _fail("stopped", 130, error)
    except MemoryError as error:
        code = _fail("memory ran out; make the frames smaller, or close other programs", 1, error)
    except Exception as error:
        code = _fail(
            f"unexpected {type(error).__name__}: {error}; please report it with the output of --debug",
            1,
            error,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int, error: BaseException) -> int:
    if os.environ.get("ANIMEINTERP_DEBUG"):
        traceback.print_exception(error)
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
