"""What the analysis reports of a capture, as values of our own."""

from collections.abc import Mapping

from agent.intake.child import number_in
from agent.outbox.capture import Take


def takes_in(report: Mapping[str, object]) -> list[Take]:
    """Return the takes that a report names; none where its verdict is to skip."""
    found = report.get("takes")
    assert isinstance(found, list)  # the child is our own
    if report.get("verdict") == "skip":
        return []
    return [
        Take(
            number=number,
            start_s=number_in(take, "start_s"),
            end_s=number_in(take, "end_s"),
            active_start_s=number_in(take, "active_start_s"),
            active_end_s=number_in(take, "active_end_s"),
            reps=take.get("reps"),
            confidence=take.get("confidence"),
            decisive_s=take.get("decisive_s"),
            begins_before=bool(take.get("begins_before")),
            goes_on=bool(take.get("goes_on")),
        )
        for number, take in enumerate(found, start=1)
    ]
