"""What `spotter status` says of those who are told what happens."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.local_time import LocalTime
    from agent.outbox.store import Outbox
    from agent.settings import Settings

_MOST_COUNTED = 1000


def notices_document(settings: "Settings", outbox: "Outbox") -> dict[str, object]:
    """Return the part `notices` of the status: a part for every channel that is on."""
    channels = outbox.channels.all()
    if not channels:
        return {}
    from agent.clock import iso_utc
    from agent.notices.feed import count_waiting

    told: dict[str, object] = {}
    for channel in channels:
        wanted = settings.webhook.events if channel.name == "webhook" else None
        refused, last = outbox.channels.refused(channel.name)
        told[channel.name] = {
            "waiting": count_waiting(outbox, channel.cursor, wanted=wanted, most=_MOST_COUNTED),
            "last_acknowledged_at": iso_utc(channel.acknowledged_at),
            "failing_since": iso_utc(channel.failing_since),
            "failures": channel.failures,
            "next_try_at": iso_utc(channel.next_try_at),
            "last_error": channel.last_error,
            "refused": refused,
            "last_refused": None if last is None else {"notice": last.notice, "why": last.why},
        }
    return told


def notice_lines(document: dict[str, object], here: "LocalTime") -> list[tuple[str, str]]:
    """Return the same for people."""
    notices = document["notices"]
    assert isinstance(notices, dict)  # made above
    return [(name, _words(channel, here)) for name, channel in notices.items()]


def _words(channel: dict[str, Any], here: "LocalTime") -> str:
    waiting = f"{channel['waiting']} waiting"
    if channel["failing_since"] is not None:
        since = here.moment_or(channel["failing_since"])
        return f"FAILING since {since}, {waiting}: {channel['last_error']}"
    heard = channel["last_acknowledged_at"]
    told = "no event sent yet" if heard is None else f"last event received {here.moment_or(heard)}"
    if channel["waiting"]:
        told += f", {waiting}"
    if channel["refused"]:
        told += f"; {channel['refused']} rejected, last {channel['last_refused']['notice']}"
    return told
