"""A real outbox in a real file, and a clock that tests set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import Recipient
from agent.station.assignments import StationRules

LIFTING = ClipTarget(
    recipient=Recipient.ATHLETE,
    user_id="owner",
    activity="weightlifting",
    exercise="snatch",
    barbell_mass_kg=60.0,
)
RULES = StationRules(default=LIFTING, idle_s=2700.0)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """An empty outbox."""
    with Outbox.open(tmp_path) as opened:
        yield opened


def doing(exercise: str | None = None, mass_kg: float | None = None) -> ClipTarget:
    """What somebody lifts, whoever it is."""
    return ClipTarget(
        recipient=Recipient.UNKNOWN,
        user_id=None,
        activity="weightlifting",
        exercise=exercise,
        barbell_mass_kg=mass_kg,
    )
