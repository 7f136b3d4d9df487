"""Valid combinations of activity, exercise, weight and incline."""

from agent.errors import RequestError

EXERCISES: dict[str, tuple[str, ...]] = {
    "running": (),
    "jumping": ("Countermovement Jump", "Drop Jump"),
    "weightlifting": ("snatch", "clean", "clean_and_jerk"),
}
ACTIVITIES = tuple(EXERCISES)


def check_movement(
    activity: str, exercise: str | None, *, barbell_mass_kg: float | None, incline_deg: float | None
) -> None:
    """Raise `RequestError` where the API would refuse a combination."""
    if activity not in EXERCISES:
        raise RequestError(f"unknown activity {activity!r}: use one of {', '.join(ACTIVITIES)}")
    allowed = EXERCISES[activity]
    if exercise is not None and exercise not in allowed:
        choice = f"use one of {', '.join(allowed)}" if allowed else "it has no exercises"
        raise RequestError(f"unknown exercise {exercise!r} for {activity}: {choice}")
    if exercise is None and allowed:
        raise RequestError(f"exercise is required for {activity}: {', '.join(allowed)}")
    if barbell_mass_kg is not None and activity != "weightlifting":
        raise RequestError(f"a barbell mass cannot be set for {activity}")
    if barbell_mass_kg is not None and not 0 < barbell_mass_kg <= 500:
        raise RequestError(f"a barbell of {barbell_mass_kg:g} kg: more than 0 and at most 500")
    if incline_deg is not None and activity == "weightlifting":
        raise RequestError("an incline cannot be set for weightlifting")
