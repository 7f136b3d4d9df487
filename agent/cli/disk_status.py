"""What `spotter status` says of the disk, and of what waits by itself."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.local_time import LocalTime
    from agent.outbox.store import Outbox
    from agent.settings import Settings

Lines = list[tuple[str, str]]


def disk_documents(
    settings: "Settings", outbox: "Outbox", *, running: bool, now_s: float
) -> dict[str, object]:
    """Return the parts `disk`, `intake` and `pauses` of the status."""
    from agent.clock import iso_utc
    from agent.outbox.disk.room import read_disk
    from agent.outbox.disk.space import Space

    space = Space(settings.paths.state, min_free_mb=settings.disk.min_free_mb)
    disk = read_disk(outbox.rooms, space, now_s=now_s)
    weights = outbox.rooms.weights()
    pauses = [
        {"part": p.part, "reason": p.reason, "detail": p.detail, "since": iso_utc(p.since)}
        for p in (outbox.pauses.all() if running else [])  # another run's are over
    ]
    intake = next((pause for pause in pauses if pause["part"] == "intake"), None)
    return {
        "disk": {
            "free_bytes": disk.room.free_bytes,
            "total_bytes": disk.room.total_bytes,
            "min_free_bytes": disk.floor_bytes,
            "captures_bytes": weights.captures,
            "quarantined_bytes": weights.quarantined,
            "clips_waiting_bytes": weights.clips_waiting,
            "clips_delivered_bytes": weights.clips_delivered,
            "may_go_bytes": disk.may_go_bytes,
            "set_aside_bytes": _set_aside_bytes(settings),
            "forecast_known": disk.ahead.known,
            "full_in_s": _whole(disk.ahead.full_in_s),
        },
        "intake": intake or {"part": "intake", "reason": None, "detail": None, "since": None},
        "pauses": pauses,
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def disk_lines(document: dict[str, object], here: "LocalTime") -> Lines:
    """Return the same for people."""
    from agent.cli.words import size_words

    disk, pauses = document["disk"], document["pauses"]
    assert isinstance(disk, dict) and isinstance(pauses, list)  # made above
    lines = [
        (f"{pause['part']} PAUSED", f"{pause['detail']} (since {here.moment_or(pause['since'])})")
        for pause in pauses
    ]
    free, total = size_words(disk["free_bytes"]), size_words(disk["total_bytes"])
    lines.append(("disk", f"{free} free of {total}; {_outlook(disk)}"))
    kept = {
        "recordings": disk["captures_bytes"],
        "clips to upload": disk["clips_waiting_bytes"],
        "clips uploaded": disk["clips_delivered_bytes"],
    }
    told = [f"{size_words(size)} {name}" for name, size in kept.items() if size]
    lines.append(("disk usage", ", ".join(told) or "nothing yet"))
    aside = disk["quarantined_bytes"] + disk["set_aside_bytes"]
    if aside:
        lines.append(("quarantined", f"{size_words(aside)}; kept until discarded"))
    return lines


def _outlook(disk: dict[str, object]) -> str:
    from agent.cli.words import duration_words

    full_in_s = disk["full_in_s"]
    if isinstance(full_in_s, int):
        if full_in_s == 0:
            return "LOW on space"
        return f"full in about {duration_words(full_in_s)} at the current rate"
    return "not filling up" if disk["forecast_known"] else "not enough data for a forecast"


def _set_aside_bytes(settings: "Settings") -> int:
    from agent.station.of_settings import state_folder

    aside = state_folder(settings).set_aside
    return sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
