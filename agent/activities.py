"""What the API can be told of a movement, by activity."""

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
        raise RequestError(f"no activity {activity!r}: one of {', '.join(ACTIVITIES)}")
    allowed = EXERCISES[activity]
    if exercise is not None and exercise not in allowed:
        choice = f"one of {', '.join(allowed)}" if allowed else "none belongs to it"
        raise RequestError(f"no exercise {exercise!r} in {activity}: {choice}")
    if exercise is None and allowed:
        raise RequestError(f"{activity} needs an exercise: one of {', '.join(allowed)}")
    if barbell_mass_kg is not None and activity != "weightlifting":
        raise RequestError(f"a barbell mass does not go with {activity}")
    if barbell_mass_kg is not None and not 0 < barbell_mass_kg <= 500:
        raise RequestError(f"a barbell of {barbell_mass_kg:g} kg: more than 0 and at most 500")
    if incline_deg is not None and activity == "weightlifting":
        raise RequestError("an incline does not go with weightlifting")
