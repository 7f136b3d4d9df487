"""Captures of the drawn athlete whose truth is known: what the accuracy is measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tests.drawn_movements  # noqa: F401  # its movements join the repertoire
from agent.synthetic import Bystander, Segment, Storyboard
from agent.synthetic.shapes import Noise, PictureLayer, View
from tests.disturbances import HangingPlate, Light, Shake

WIDTH, HEIGHT = 960, 540


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A script, and what the station is set to."""

    segments: Sequence[tuple[str, float | None]]
    activity: str | None
    view: View = "side"
    layers: Sequence[PictureLayer] = ()
    bystanders: Sequence[Bystander] = ()
    fps: float = 30.0
    keyframe_every_s: float = 2.0
    plates: str = "iron"
    noise: float = 1.5
    seed: int = 1
    size: tuple[int, int] = (WIDTH, HEIGHT)
    options: Mapping[str, object] = field(default_factory=dict)  # of the storyboard

    def story(self) -> Storyboard:
        """Return what is to be filmed."""
        return Storyboard(
            [Segment(what, seconds) for what, seconds in self.segments],
            view=self.view,
            width=self.size[0],
            height=self.size[1],
            fps=self.fps,
            seed=self.seed,
            noise=self.noise,
            layers=self.layers,
            bystanders=self.bystanders,
            plates=self.plates,  # type: ignore[arg-type]  # iron or bumper
            **self.options,  # type: ignore[arg-type]  # by name
        )


LIFT, JUMP, RUN = "weightlifting", "jumping", "running"
CMJ = "countermovement_jump"


def _set(
    what: str, count: int, *, idle_s: float, rest_s: float = 4.0
) -> list[tuple[str, float | None]]:
    segments: list[tuple[str, float | None]] = [("stand", idle_s)]
    for number in range(count):
        segments += [(what, None), ("stand", rest_s if number < count - 1 else idle_s)]
    return segments


def _around(
    *segments: tuple[str, float | None], idle_s: float = 6.0
) -> list[tuple[str, float | None]]:
    return [("stand", idle_s), *segments, ("stand", idle_s)]


_PASSER = Bystander(segments=[Segment("walk_in"), Segment("fidget", 6), Segment("walk_out")])
_BUSY_PASSER = Bystander(
    segments=[Segment("nobody", 5), Segment("walk_in"), Segment("fidget", 2), Segment("walk_out")],
    place=(-0.4, 0.7),
)
_NEIGHBOUR = Bystander(
    segments=[Segment("fidget", 8), Segment("stand", 6), Segment("fidget", 8)], place=(-0.9, 1.2)
)


_SQUATS_BEHIND = Bystander(
    segments=[Segment("stand", 4), Segment("squats"), Segment("stand", 20)], place=(-0.6, 2.5)
)


def _singles(view: View) -> Capture:
    """Return squats with long waits under the bar between them."""
    single: list[tuple[str, float | None]] = [("racked_squat", None), ("wait", 6)]
    return Capture(
        segments=[
            *(("stand", 3), ("grip", None), ("wait", 6)),
            *(*single, *single, ("let_go", None), ("stand", 3)),
        ],
        activity=LIFT,
        view=view,
    )


def _short(
    *segments: tuple[str, float | None],
    activity: str,
    view: View = "side",
    fps: float = 24.0,
    **more: Any,
) -> Capture:
    """Return a capture that is quick to draw."""
    return Capture(
        segments=segments, activity=activity, view=view, size=(640, 360), fps=fps, **more
    )


SHORT: Mapping[str, Capture] = {
    "snatch": _short(("stand", 4), ("snatch", None), ("stand", 3), activity=LIFT, view="oblique"),
    "two_jumps": _short(
        *(("stand", 2), (CMJ, None), ("stand", 4), (CMJ, None), ("stand", 2)),
        activity=JUMP,
        view="front",
    ),
    "run": _short(("stand", 3), ("run", 5), ("stand", 3), activity=RUN),
    # every 0.3 s the same outline
    "run_200": _short(("stand", 3), ("run_200", 5), ("stand", 3), activity=RUN, fps=30.0),
    # steps that are over between two looks
    "run_270": _short(
        *(("stand", 3), ("run_270", 5), ("stand", 3)), activity=RUN, view="front", fps=30.0
    ),
    "drop_jump": _short(("stand", 3), ("drop_jump", None), ("stand", 3), activity=JUMP),
    "fidget": _short(("stand", 2), ("fidget", 5), ("stand", 2), activity=LIFT),
    "walk": _short(
        ("nobody", 1), ("walk_in", None), ("stand", 2), ("walk_out", None), activity=JUMP
    ),
    "light": _short(("stand", 7), activity=LIFT, layers=[Light(0.4), Light(2.5, from_s=4)]),
    "cut_off": _short(("stand", 3), ("run", 3), activity=RUN),
}

LONG: Mapping[str, Capture] = {
    "snatch_side": Capture(segments=_around(("snatch", None)), activity=LIFT),
    "snatch_front": Capture(segments=_around(("snatch", None)), activity=LIFT, view="front"),
    "snatch_bumper": Capture(segments=_around(("snatch", None)), activity=LIFT, plates="bumper"),
    "snatch_set_up": Capture(segments=_around(("snatch", 11)), activity=LIFT, view="oblique"),
    "snatches": Capture(segments=_set("snatch", 3, idle_s=8, rest_s=12), activity=LIFT),
    "snatches_dim": Capture(
        segments=_set("snatch", 2, idle_s=6, rest_s=8),
        activity=LIFT,
        layers=[Light(0.25), Noise(6)],
    ),
    "snatch_after_fidget": Capture(
        segments=_around(("fidget", 5), ("stand", 2), ("snatch", None), idle_s=4), activity=LIFT
    ),
    "snatch_after_chalk": Capture(
        segments=_around(("chalk", 7), ("stand", 4), ("snatch", None), idle_s=5), activity=LIFT
    ),
    "chalk_only": Capture(
        segments=[("walk_in", None), ("chalk", 9), ("stand", 4), ("chalk", 5), ("stand", 3)],
        activity=LIFT,
        view="oblique",
    ),
    "snatches_bar_rolls": Capture(
        segments=_set("snatch", 2, idle_s=9, rest_s=14),
        activity=LIFT,
        plates="bumper",
        options={"bar_rolls": True},
    ),
    "plate_swings": Capture(
        segments=[("stand", 25)], activity=LIFT, layers=[HangingPlate(pushed_s=5)]
    ),
    "snatch_plate_swings": Capture(
        segments=_around(("snatch", None), idle_s=9),
        activity=LIFT,
        view="oblique",
        layers=[HangingPlate(pushed_s=14)],
    ),
    "empty_plate_swings": Capture(
        segments=[("nobody", 20)], activity=LIFT, layers=[HangingPlate(pushed_s=4)]
    ),
    "squats_slow": Capture(segments=_around(("squats", None)), activity=LIFT),
    "squats_slow_front": Capture(segments=_around(("squats", None)), activity=LIFT, view="front"),
    "raises": Capture(segments=_around(("raises", None)), activity=LIFT, view="oblique"),
    "raises_side": Capture(segments=_around(("raises", None), idle_s=10), activity=LIFT),
    "lights_on": Capture(
        segments=_around(("snatch", None), idle_s=9), activity=LIFT, layers=[Light(0.12, until_s=5)]
    ),
    "lights_on_idle": Capture(
        segments=[("stand", 20)], activity=JUMP, layers=[Light(0.15, until_s=9)]
    ),
    "snatch_walk_in": Capture(
        segments=[("nobody", 8), ("walk_in", None), ("stand", 5), ("snatch", None), ("stand", 5)],
        activity=LIFT,
        view="oblique",
    ),
    "snatch_passer": Capture(
        segments=_around(("snatch", None), idle_s=8), activity=LIFT, bystanders=[_PASSER]
    ),
    "clean_passer": Capture(
        segments=_around(("clean_and_jerk", None), idle_s=8),
        activity=LIFT,
        view="oblique",
        bystanders=[_BUSY_PASSER],
    ),
    "cleans_passer": Capture(
        segments=_set("clean_and_jerk", 2, idle_s=8, rest_s=6),
        activity=LIFT,
        bystanders=[_BUSY_PASSER],
        plates="bumper",
    ),
    "jump_passer": Capture(
        segments=_around((CMJ, None), idle_s=9), activity=JUMP, bystanders=[_BUSY_PASSER]
    ),
    "snatch_neighbour": Capture(
        segments=_around(("snatch", None), idle_s=8), activity=LIFT, bystanders=[_NEIGHBOUR]
    ),
    "snatch_noise": Capture(segments=_around(("snatch", None)), activity=LIFT, noise=8),
    "snatch_shake": Capture(
        segments=_around(("snatch", None), idle_s=10), activity=LIFT, layers=[Shake(2, 3, 5)]
    ),
    "clean_side": Capture(segments=_around(("clean_and_jerk", None)), activity=LIFT),
    "clean_front": Capture(segments=_around(("clean_and_jerk", None)), activity=LIFT, view="front"),
    "clean_bumper": Capture(
        segments=_around(("clean_and_jerk", None)), activity=LIFT, plates="bumper", view="oblique"
    ),
    "cleans": Capture(segments=_set("clean_and_jerk", 3, idle_s=10, rest_s=15), activity=LIFT),
    "clean_60": Capture(
        segments=_around(("clean_and_jerk", None)), activity=LIFT, fps=60, view="oblique"
    ),
    "jump_side": Capture(segments=_around((CMJ, None)), activity=JUMP),
    "jump_oblique": Capture(segments=_around((CMJ, None)), activity=JUMP, view="oblique"),
    "jump_long_idle": Capture(segments=[("stand", 40), (CMJ, None), ("stand", 40)], activity=JUMP),
    "jump_sparse_keys": Capture(
        segments=[("stand", 20), (CMJ, None), ("stand", 20)], activity=JUMP, keyframe_every_s=12
    ),
    "jump_single_key": Capture(
        segments=[("stand", 12), (CMJ, None), ("stand", 12)], activity=JUMP, keyframe_every_s=900
    ),
    "jumps_set": Capture(segments=_set(CMJ, 4, idle_s=5, rest_s=0.6), activity=JUMP),
    "jumps_apart": Capture(segments=_set(CMJ, 4, idle_s=5, rest_s=6), activity=JUMP, view="front"),
    "jump_dim": Capture(
        segments=_around((CMJ, None)), activity=JUMP, layers=[Light(0.2), Noise(5)], view="front"
    ),
    "jump_25": Capture(segments=_around((CMJ, None)), activity=JUMP, fps=25),
    "jump_120": Capture(segments=_around((CMJ, None), idle_s=3), activity=JUMP, fps=120),
    "jump_light": Capture(
        segments=_around((CMJ, None), idle_s=8), activity=JUMP, layers=[Light(1.6, from_s=4)]
    ),
    "drop_jumps": Capture(
        segments=[
            *(("stand", 5), ("drop_jump", None), ("stand", 5), ("step_up", None)),
            *(("stand", 4), ("drop_jump", None), ("stand", 5)),
        ],
        activity=JUMP,
    ),
    "drop_jump_front": Capture(segments=_around(("drop_jump", None)), activity=JUMP, view="front"),
    "run_front": Capture(segments=_around(("run", 15)), activity=RUN, view="front"),
    "run_200": Capture(segments=_around(("run_200", 20)), activity=RUN),
    "run_200_oblique": Capture(segments=_around(("run_200", 20)), activity=RUN, view="oblique"),
    "run_270_side": Capture(segments=_around(("run_270", 10)), activity=RUN),
    "run_270_front": Capture(segments=_around(("run_270", 10)), activity=RUN, view="front"),
    "run_oblique": Capture(segments=_around(("run", 20), idle_s=10), activity=RUN, view="oblique"),
    "run_minute": Capture(segments=_around(("run", 60), idle_s=15), activity=RUN),
    "run_past": Capture(segments=[("nobody", 6), ("run_past", None), ("nobody", 6)], activity=RUN),
    "run_past_front": Capture(
        segments=[("nobody", 6), ("run_past", None), ("nobody", 6)], activity=RUN, view="front"
    ),
    "run_away": Capture(segments=[("nobody", 6), ("run_away", None), ("nobody", 6)], activity=RUN),
    "walk_towards": Capture(
        segments=[("nobody", 6), ("walk_towards", None), ("nobody", 6)], activity=RUN
    ),
    "walk_towards_at_jumps": Capture(
        segments=[("nobody", 6), ("walk_towards", None), ("nobody", 6)], activity=JUMP
    ),
    "empty": Capture(segments=[("nobody", 30)], activity=LIFT),
    "empty_light": Capture(
        segments=[("nobody", 20)], activity=RUN, layers=[Light(0.3), Light(3.3, from_s=8)]
    ),
    "empty_shake": Capture(segments=[("nobody", 15)], activity=RUN, layers=[Shake(2.5, 5, 9)]),
    "dark": Capture(segments=_around(("fidget", 5)), activity=LIFT, layers=[Light(0.04), Noise(8)]),
    "sits": Capture(
        segments=[("walk_in", None), ("stand", 3), ("sit", 14), ("stand", 2), ("walk_out", None)],
        activity=LIFT,
        view="oblique",
    ),
    "snatch_after_loading": Capture(
        segments=_around(
            *(("load", 3), ("stand", 4), ("stretch", 4), ("stand", 4)),
            *(("snatch", None), ("stand", 5), ("load", 3)),
        ),
        activity=LIFT,
    ),
    "singles": _singles("side"),
    "singles_front": _singles("front"),
    "snatch_beside_squats": Capture(
        segments=_around(("snatch", None), idle_s=12), activity=LIFT, bystanders=[_SQUATS_BEHIND]
    ),
    "bystanders_only": Capture(
        segments=[("nobody", 20)], activity=LIFT, bystanders=[_PASSER, _NEIGHBOUR]
    ),
    "idle_minute": Capture(segments=[("stand", 60)], activity=LIFT),
    "fidget_walk": Capture(
        segments=[
            *(("walk_in", None), ("fidget", 6), ("stand", 4), ("fidget", 4), ("walk_out", None)),
            ("nobody", 4),
        ],
        activity=LIFT,
        view="front",
    ),
    "long_lifts": Capture(segments=_set("snatch", 5, idle_s=90, rest_s=95), activity=LIFT),
    "long_jumps": Capture(
        segments=_set(CMJ, 5, idle_s=80, rest_s=100), activity=JUMP, view="oblique"
    ),
}

_WHITE_ROOM = [Light(1.3)]
_EXERCISES: Sequence[tuple[str, View, str, Sequence[PictureLayer]]] = (
    *(("curls", "side", LIFT, ()), ("hinges", "oblique", LIFT, ())),
    *(("presses", "side", LIFT, ()), ("presses", "oblique", LIFT, _WHITE_ROOM)),
    *(("lunges", "side", LIFT, ()), ("lunges", "oblique", LIFT, ())),
    ("squats", "oblique", LIFT, _WHITE_ROOM),
    *(("skipping", "side", JUMP, ()), ("skipping", "front", JUMP, ())),
    *(("one_armed_curls", "side", LIFT, ()), ("one_armed_curls", "oblique", LIFT, ())),
    *(("push_ups", "side", LIFT, ()), ("push_ups", "oblique", LIFT, ())),
    *(("pull_ups", "side", LIFT, ()), ("pull_ups", "front", LIFT, ())),
    *(("walking_lunges", "side", LIFT, ()), ("walking_lunges", "oblique", LIFT, ())),
    *(("jumping_jacks", "side", JUMP, ()), ("jumping_jacks", "front", JUMP, ())),
    *(("rows", "side", LIFT, ()), ("deadlifts", "side", LIFT, ())),
    *(("deadlifts", "oblique", LIFT, ()), ("deadlifts", "front", LIFT, ())),
    *(("romanian_deadlifts", "side", LIFT, ()), ("romanian_deadlifts", "front", LIFT, ())),
)
GYM: Mapping[str, Capture] = {
    f"{what}_{view}": _short(
        *(("stand", 4), (what, None), ("stand", 4)), activity=activity, view=view, layers=layers
    )
    for what, view, activity, layers in _EXERCISES
}

ALL: Mapping[str, Capture] = {
    **{f"short_{name}": one for name, one in SHORT.items()},
    **LONG,
    **GYM,
}
