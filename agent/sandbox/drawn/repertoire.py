"""All that an athlete can do before the camera, by name.  Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.sandbox.drawn import gait, jumps, lifts, movements, strength
from agent.sandbox.drawn.movements import Movement

_SOME_S = 3.0  # for what lasts as long as one likes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where and when a movement happens."""

    seconds: float | None  # as long as is wanted; None: as long as it takes
    half_crossing: float  # body heights from the athlete's place to outside the picture
    heading_deg: float  # which way one faces who goes through the picture
    bar_up: float  # how high the bar lies, body heights
    phase: float  # where in the swaying of a standing body it begins, rad


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do."""

    make: Callable[[Stage], Movement]
    activity: str | None = None  # None: no effort
    exercise: str | None = None


def _lift(make: Callable[..., Movement], stage: Stage) -> Movement:
    """Return a lift; more time than it takes is spent motionless, with the hands at the bar."""
    shortest = make(bar_up=stage.bar_up)
    spare_s = max(0.0, (stage.seconds or 0.0) - shortest.duration_s)
    return make(lifts.SHORTEST_SET_S + spare_s, bar_up=stage.bar_up)


def _crossing(make: Callable[..., Movement], stage: Stage, share: float) -> Movement:
    return make(
        share * stage.half_crossing, heading_deg=stage.heading_deg, duration_s=stage.seconds
    )


REPERTOIRE: dict[str, Act] = {
    "stand": Act(lambda stage: movements.stand(stage.seconds or _SOME_S, phase=stage.phase)),
    "fidget": Act(lambda stage: movements.fidget(stage.seconds or _SOME_S)),
    "chalk": Act(lambda stage: movements.chalk(stage.seconds or _SOME_S)),
    "walk_in": Act(lambda stage: _crossing(gait.walk_in, stage, 1.0)),
    "walk_out": Act(lambda stage: _crossing(gait.walk_out, stage, 1.0)),
    "step_up": Act(lambda _: jumps.step_up()),
    "snatch": Act(lambda stage: _lift(lifts.snatch, stage), "weightlifting", "snatch"),
    "clean_and_jerk": Act(
        lambda stage: _lift(lifts.clean_and_jerk, stage), "weightlifting", "clean_and_jerk"
    ),
    "squats": Act(lambda _: strength.squats(), "weightlifting"),
    "raises": Act(lambda _: strength.raises(), "weightlifting"),
    "countermovement_jump": Act(
        lambda _: jumps.countermovement_jump(), "jumping", "Countermovement Jump"
    ),
    "drop_jump": Act(lambda _: jumps.drop_jump(), "jumping", "Drop Jump"),
    "run": Act(lambda stage: gait.run(stage.seconds or _SOME_S), "running"),
    "run_past": Act(lambda stage: _crossing(gait.run_past, stage, 2.0), "running"),
}
