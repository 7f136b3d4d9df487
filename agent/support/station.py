"""What an archive says of a station: settings, versions, counts and what last happened."""

import importlib.metadata
import platform
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from agent import __version__
from agent.clock import iso_utc
from agent.errors import AgentError
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.space import measure
from agent.outbox.repair.audit import opened_as_it_is
from agent.outbox.store import Outbox
from agent.settings import Settings, effective

_EVENTS = 2000
_OS_RELEASE = Path("/etc/os-release")
_LEFT_OUT = frozenset({"uid"})  # of the lane: whose key it is


def versions() -> dict[str, object]:
    """Return what runs here."""
    try:
        system = _OS_RELEASE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        system = []
    found = importlib.metadata.distributions()
    return {
        "spotter": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "system": next((line for line in system if line.startswith("PRETTY_NAME")), None),
        "packages": {one.name: one.version for one in sorted(found, key=lambda one: one.name)},
    }


def settings_document(settings: Settings) -> Mapping[str, object]:
    """Return the settings in force, without secrets and without the station's name for people."""
    tables = effective(settings)
    tables["station"].pop("name", None)
    return tables


def records(settings: Settings) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return counts, and what last happened; why not, where the outbox cannot be read."""
    folder = StateFolder(settings.paths.state)
    try:
        with opened_as_it_is(folder.root) as outbox:
            if outbox is None:
                return {"outbox": "none, or of another version"}, []
            return _counts(settings, outbox), _events(outbox)
    except (sqlite3.Error, OSError, AgentError) as error:
        return {"outbox": f"cannot be read: {error}"}, []


def _counts(settings: Settings, outbox: Outbox) -> dict[str, object]:
    host = urlsplit(settings.api.base_url).netloc
    lane = outbox.lanes.get(host)
    backlog, room = outbox.traffic.backlog(), measure(settings.paths.state)
    rebuilt = outbox.rebuilt()
    return {
        **outbox.listing.counts(),
        "backlog": {"clips": backlog.clips, "bytes": backlog.size_bytes},
        "oldest_waiting_at": iso_utc(outbox.listing.oldest_waiting_at()),
        "last_upload_at": iso_utc(outbox.listing.last_sent_at()),
        "last_capture_at": iso_utc(outbox.captures.last_admitted_at()),
        "lane": {n: getattr(lane, n) for n in type(lane).__slots__ if n not in _LEFT_OUT},
        "pauses": [{"part": p.part, "reason": p.reason} for p in outbox.pauses.all()],
        "notices": [asdict(channel) for channel in outbox.channels.all()],
        "disk": {"free_bytes": room.free_bytes, "total_bytes": room.total_bytes},
        "rebuilt": None if rebuilt is None else {"at": iso_utc(rebuilt.at), "why": rebuilt.why},
    }


def _events(outbox: Outbox) -> list[dict[str, object]]:
    return [
        {
            "at": iso_utc(event.at),
            "of": name,
            "what": str(event.what),
            "word": event.word,
            "reason": event.reason,
            "detail": event.detail,
        }
        for name, event in outbox.events.recent(most=_EVENTS)
    ]
