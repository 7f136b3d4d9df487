"""What `spotter status` names for a person: recordings set aside, clips the server fails on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.outbox.store import Outbox

_MOST = 3  # named in a line; the others are counted


def attention_documents(outbox: "Outbox") -> dict[str, object]:
    """Return the parts `set_aside` and `fails_at_server` of the status."""
    return {
        "set_aside": outbox.listing.set_aside(),
        "fails_at_server": outbox.listing.failing_at_server(),
    }


def attention_lines(document: dict[str, object]) -> list[tuple[str, str]]:
    """Return the same for people; nothing where there is nothing."""
    aside, failing = document["set_aside"], document["fails_at_server"]
    assert isinstance(aside, list) and isinstance(failing, list)  # made above
    lines = []
    if aside:
        named = [f"{row['id']} {row['capture']} ({row['reason']})" for row in aside[:_MOST]]
        lines.append(("quarantined", f"{_listed(named, len(aside))}: spotter show ID"))
    if failing:
        named = [str(row["id"]) for row in failing[:_MOST]]
        lines.append(
            ("API fails on", f"{_listed(named, len(failing))}: retried once a day; spotter show ID")
        )
    return lines


def _listed(named: list[str], count: int) -> str:
    rest = count - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")
