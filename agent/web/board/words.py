"""Movements, masses and times in the page's language and unit.  Pure."""

from dataclasses import dataclass

from agent.outbox.entry import Entry, Whose
from agent.web.i18n import ACTIVITIES, EXERCISES, Texts

LB_KG = 0.45359237  # the international avoirdupois pound, exactly
_UNITS_KG = {"kg": 1.0, "lb": LB_KG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What somebody does; None where it was not said."""

    activity: str
    exercise: str | None
    mass_kg: float | None
    incline_deg: float | None

    @classmethod
    def of(cls, known: Entry | Whose) -> "Movement":
        """Return what a take shows, or somebody does."""
        return cls(
            activity=known.activity,
            exercise=known.exercise,
            mass_kg=known.barbell_mass_kg,
            incline_deg=known.incline_deg,
        )


class Wording:
    """The page's words for movements and masses."""

    def __init__(self, texts: Texts, unit: str) -> None:
        self.texts = texts
        self.unit = unit
        self._unit_kg = _UNITS_KG[unit]

    def movement(self, done: Movement) -> str:
        """Return a movement in a few words: Snatch, 62.5 kg."""
        parts = [self.exercise(done.exercise) if done.exercise else self.activity(done.activity)]
        if done.mass_kg is not None:
            parts.append(self.mass(done.mass_kg))
        if done.incline_deg:
            parts.append(f"{self.texts.number(done.incline_deg)}°")
        return ", ".join(parts)

    def activity(self, activity: str) -> str:
        """Return an activity's name."""
        return self.texts.gettext(ACTIVITIES[activity])

    def exercise(self, exercise: str) -> str:
        """Return an exercise's name."""
        known = EXERCISES.get(exercise.lower().replace(" ", "_"))
        return exercise if known is None else self.texts.gettext(known)

    def mass(self, mass_kg: float) -> str:
        """Return a mass with its unit."""
        return f"{self.texts.number(self.shown(mass_kg))} {self.unit}"

    def shown(self, mass_kg: float) -> float:
        """Return a mass as a number in the page's unit."""
        return round(mass_kg / self._unit_kg, 1)

    def kilograms(self, shown: float) -> float:
        """Return a mass that was given in the page's unit, in kilograms."""
        return round(shown * self._unit_kg, 2)
