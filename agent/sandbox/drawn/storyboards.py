"""Scripts that are used again and again, by name."""

from collections.abc import Callable
from functools import partial

from agent.sandbox.drawn.lens import View
from agent.sandbox.drawn.performance import Segment
from agent.sandbox.drawn.storyboard import Bystander, Storyboard


def demo() -> Storyboard:
    """A snatch in the middle of much standing about: what the demo films, 24 s of it."""
    return Storyboard(
        [Segment("stand", 10.0), Segment("snatch", 6.0), Segment("stand", 8.0)],
        view="oblique",
        width=960,
        height=540,
    )


def idle(seconds: float = 6.0) -> Storyboard:
    """Somebody stands about and does nothing."""
    return Storyboard([Segment("stand", seconds)])


def nobody(seconds: float = 4.0) -> Storyboard:
    """An empty place."""
    return Storyboard([Segment("nobody", seconds)])


def effort(what: str, *, idle_s: float = 2.0, view: View = "side", repeats: int = 1) -> Storyboard:
    """One kind of effort, with standing about before, between and after."""
    seconds = 4.0 if what == "run" else None
    again = [Segment("step_up")] if what == "drop_jump" else []
    rest = Segment("stand", idle_s)
    segments = [rest, Segment(what, seconds), rest]
    for _ in range(repeats - 1):
        segments += [*again, Segment(what, seconds), rest]
    return Storyboard(segments, view=view)


def walk_through() -> Storyboard:
    """Nobody, then somebody walks in, jumps, and walks out again."""
    return Storyboard(
        [
            *(Segment("nobody", 2.0), Segment("walk_in"), Segment("stand", 3.0)),
            Segment("countermovement_jump"),
            *(Segment("stand", 3.0), Segment("walk_out"), Segment("nobody", 2.0)),
        ]
    )


def run_past(view: View = "side") -> Storyboard:
    """An empty place, through which somebody runs."""
    return Storyboard(
        [Segment("nobody", 1.0), Segment("run_past"), Segment("nobody", 1.0)], view=view
    )


def snatch_beside_bystander() -> Storyboard:
    """A snatch, and somebody behind who walks in, fidgets and goes: he is not to be followed."""
    bystander = Bystander(segments=[Segment("walk_in"), Segment("fidget", 6), Segment("walk_out")])
    return Storyboard(
        [Segment("stand", 4.0), Segment("snatch"), Segment("stand", 4.0)], bystanders=[bystander]
    )


def _both_views(what: str) -> dict[str, Callable[[], Storyboard]]:
    return {what: partial(effort, what), f"{what}_front": partial(effort, what, view="front")}


BY_NAME: dict[str, Callable[[], Storyboard]] = {
    "demo": demo,
    "idle": idle,
    "nobody": nobody,
    "walk_through": walk_through,
    **_both_views("snatch"),
    **_both_views("clean_and_jerk"),
    **_both_views("countermovement_jump"),
    **_both_views("drop_jump"),
    **_both_views("run"),
    "run_past": run_past,
    "run_past_front": partial(run_past, "front"),
    "three_jumps": partial(effort, "countermovement_jump", repeats=3),
    "three_drop_jumps": partial(effort, "drop_jump", repeats=3),
    "three_snatches": partial(effort, "snatch", idle_s=4.0, repeats=3),
    "snatch_beside_bystander": snatch_beside_bystander,
}


def by_name(name: str) -> Storyboard:
    """Return a script.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in BY_NAME:
        raise ValueError(f"no storyboard {name!r}: {', '.join(BY_NAME)}")
    return BY_NAME[name]()
