"""How a clip is to be cut.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

Method = Literal["auto", "copy", "encode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOptions:
    """What the settings say about cutting."""

    method: Method = "auto"
    max_preroll_s: float = 2.0  # a reader that ignores edit lists would see all of the pre-roll
    keep_audio: bool = False
    keep_metadata: bool = False
    rendition_height: int | None = None  # px of the upright picture
    rendition_kbit_s: int | None = None

    @classmethod
    def from_json(cls, options: Mapping[str, object]) -> "CutOptions":
        """Read options as they come over a pipe; unknown ones are an error."""
        known = {field.name for field in fields(cls)}
        if unknown := set(options) - known:
            raise ValueError(f"unknown cut options: {', '.join(sorted(unknown))}")
        return cls(**options)  # type: ignore[arg-type]  # the settings have checked them
