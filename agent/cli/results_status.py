"""What `spotter status` says of what comes after the upload."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.outbox.store import Outbox
    from agent.settings import Settings

_WORDS = {
    "waiting": "pending",
    "completed": "completed",
    "failed": "failed",
    "gone": "deleted at the API",
    "not_seen": "not completed in time",
}


def results_document(settings: "Settings", outbox: "Outbox") -> dict[str, object]:
    """Return the part `analyses` of the status."""
    from agent.clock import iso_utc

    return {
        "followed": settings.results.follow,
        "counts": outbox.follow_ups.counts(),
        "oldest_awaited_since": iso_utc(outbox.follow_ups.oldest_waiting_at()),
        "kept_bytes": outbox.result_clearing.weight_bytes(),
    }


def results_lines(document: dict[str, object]) -> list[tuple[str, str]]:
    """Return the same for people; nothing where nothing was delivered yet."""
    from agent.cli.words import size_words

    results = document["analyses"]
    assert isinstance(results, dict)  # made above
    counts = results["counts"]
    if not counts:
        return []
    told = ", ".join(
        f"{counts[state]} {words}" for state, words in _WORDS.items() if state in counts
    )
    if results["kept_bytes"]:
        told += f"; {size_words(results['kept_bytes'])} stored"
    return [("analyses", told if results["followed"] else f"{told}; NOT polled (results.follow)")]
