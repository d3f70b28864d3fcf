"""The commands and their groups; one file for each group.

Modules that load torch are imported within the functions that use them, so that --help and mistaken calls are answered
at once.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from animeinterp import __version__
from animeinterp.cli import composing, datasets, drawing, evaluating, inbetween, page, public_weights, training, video
from animeinterp.cli.terminal import err, out
from animeinterp.errors import AnimeInterpWarning, UsageError

_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="animeinterp",
    help="Draw the frames between two frames of a 2D animation.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)
dataset = typer.Typer(help="Data sets: build and preview them, cut training crops.", context_settings=_SETTINGS)
weights = typer.Typer(help="Weights: fetch public ones, export those of training runs.", context_settings=_SETTINGS)
_COMMANDS: dict[typer.Typer, tuple[Callable[..., None], ...]] = {
    app: (
        drawing.tween,
        inbetween.inbetween,
        video.video,
        drawing.explain,
        drawing.demo,
        drawing.models,
        page.app,
        evaluating.evaluate,
        training.train,
    ),
    dataset: (datasets.preview, datasets.crops, datasets.build, datasets.prune, datasets.flows, composing.linear),
    weights: (public_weights.get, training.export),
}
for group, commands in _COMMANDS.items():
    for command in commands:
        group.command()(command)
app.add_typer(dataset, name="dataset")
app.add_typer(weights, name="weights")


@dataset.callback(invoke_without_command=True)
@weights.callback(invoke_without_command=True)
def _show_help(context: typer.Context) -> None:
    """Show the help of a group without a command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Handle the options before the command."""
    if debug:
        os.environ["ANIMEINTERP_DEBUG"] = "1"
    if version:
        out.print(f"animeinterp {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run the command line.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code.

    Raises:
        UsageError: A mistaken call. Errors of the command are raised too.
    """
    with warnings.catch_warnings():
        if not os.environ.get("ANIMEINTERP_DEBUG"):
            warnings.simplefilter("ignore")  # of libraries on unusual files, for which this package raises errors
        warnings.simplefilter("always", AnimeInterpWarning)
        warnings.showwarning = _show_warning
        try:
            code = app(args=list(arguments), prog_name="animeinterp", standalone_mode=False)
        except TyperException as error:
            raise UsageError(error.format_message()) from error
        except typer.Abort:
            raise KeyboardInterrupt from None
        return code if isinstance(code, int) else 0


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Print a warning in one line."""
    text = message if issubclass(category, AnimeInterpWarning) else f"{category.__name__}: {message}"
    err.print(f"note: {text}", markup=False)
