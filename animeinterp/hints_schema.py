"""What a file of hints may hold, validated by pydantic; see `animeinterp.hints`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from animeinterp.hints import MAX_HINTS, MAX_POINTS, HintKind

_MAX_COORDINATE = 1e5  # px, larger than any frame
_Coordinate = Annotated[float, Field(ge=-1, le=_MAX_COORDINATE, allow_inf_nan=False, strict=True)]
_Points = Annotated[tuple[tuple[_Coordinate, _Coordinate], ...], Field(min_length=1, max_length=MAX_POINTS)]
_MAX_NAME = 80  # characters


class HintEntry(BaseModel):
    """One hint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points0: _Points = Field(alias="from")
    points1: _Points = Field(alias="to")
    kind: HintKind = "points"
    name: Annotated[str, Field(max_length=_MAX_NAME)] = ""

    @model_validator(mode="after")
    def _same_number(self) -> HintEntry:
        if len(self.points0) != len(self.points1):
            raise ValueError(f"{len(self.points0)} points in `from`, {len(self.points1)} in `to`")
        return self


class HintsFile(BaseModel):
    """A file of hints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hints: Annotated[tuple[HintEntry, ...], Field(max_length=MAX_HINTS)]
