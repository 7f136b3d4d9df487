"""Whether the camera stands well: the analysis looks at one picture, in a child of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.clipping.stage import tracking_options
from agent.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What a look at the camera's picture gave."""

    found: bool  # somebody
    remarks: Mapping[str, str]  # a sentence with the remedy, by its code; empty: all is well

    @property
    def is_fine(self) -> bool:
        """Whether training can begin."""
        return not self.remarks


def check_framing(
    picture: Path,
    settings: Settings,
    *,
    activity: str | None = None,
    stored_px: tuple[int, int] | None = None,
    out: Path | None = None,
    empty: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Framing:
    """Look at a picture of the athlete at the station.

    Args:
        picture: a picture, or a recording, whose middle is looked at.
        settings: of the station: zone, reference, model.
        activity: what is to be filmed; None: what the station is for.
        stored_px: width and height of the recordings, where the picture is a smaller one.
        out: where it is written with the skeleton on it.
        empty: where it is written without the athlete, to be a reference.
        check: asked again and again; what it raises ends the look.

    Raises:
        AnalysisError: nothing can be seen in it.
    """
    options = tracking_options(settings)
    rules = {
        "activity": activity or settings.station.activity,
        "zone": options["zone"],
        "reference": options["reference"],
        "stored_px": stored_px,
    }
    child = AnalysisProcess(limits=ChildLimits(), check=check)
    try:
        told = child.ask(
            "framing",
            path=str(picture.resolve()),
            rules=rules,
            model=options["model"],
            out=None if out is None else str(out.resolve()),
            empty=None if empty is None else str(empty.resolve()),
        )
    finally:
        child.close()
    remarks = told["remarks"]
    assert isinstance(remarks, list)  # the child is our own
    return Framing(
        found=bool(told["found"]),
        remarks={str(one["code"]): str(one["message"]) for one in remarks},
    )
