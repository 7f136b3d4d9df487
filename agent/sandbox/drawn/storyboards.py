"""Scripts that are used again and again, by name."""

from collections.abc import Callable

from agent.sandbox.drawn.storyboard import Segment, Storyboard, View


def demo() -> Storyboard:
    """A snatch in the middle of much standing about: what the demo films."""
    return Storyboard(
        [Segment("stand", 10.0), Segment("snatch"), Segment("stand", 10.0)],
        view="side",
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
    seconds = 4.0 if what.startswith("run") else None
    segments = [Segment("stand", idle_s)]
    for _ in range(repeats):
        segments += [Segment(what, seconds), Segment("stand", idle_s)]
    return Storyboard(segments, view=view)


def walk_through() -> Storyboard:
    """Nobody, then somebody walks in, jumps, and walks out again."""
    return Storyboard(
        [
            Segment("nobody", 2.0),
            Segment("walk_in", 2.0),
            Segment("stand", 3.0),
            Segment("countermovement_jump"),
            Segment("stand", 3.0),
            Segment("walk_out", 2.0),
            Segment("nobody", 2.0),
        ]
    )


BY_NAME: dict[str, Callable[[], Storyboard]] = {
    "demo": demo,
    "idle": idle,
    "nobody": nobody,
    "walk_through": walk_through,
    "snatch": lambda: effort("snatch"),
    "snatch_front": lambda: effort("snatch", view="front"),
    "clean_and_jerk": lambda: effort("clean_and_jerk"),
    "countermovement_jump": lambda: effort("countermovement_jump"),
    "jump_front": lambda: effort("countermovement_jump", view="front"),
    "drop_jump": lambda: effort("drop_jump"),
    "run": lambda: effort("run"),
    "run_past": lambda: Storyboard([Segment("run_past", 3.0)]),
    "three_jumps": lambda: effort("countermovement_jump", repeats=3),
}


def by_name(name: str) -> Storyboard:
    """Return a script.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in BY_NAME:
        raise ValueError(f"no storyboard {name!r}: {', '.join(BY_NAME)}")
    return BY_NAME[name]()
