"""Writing the archive: every text goes through the scrubber, and pictures never come in."""

import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.clock import Instant, iso_utc
from agent.errors import AgentError
from agent.local_time import LocalTime
from agent.outbox.people.identities import Identities
from agent.outbox.repair.audit import opened_as_it_is
from agent.redaction import hide_always
from agent.settings import Settings, read_api_key
from agent.settings.notifying import read_mqtt_password, read_webhook_secret
from agent.support.scrubbing import Scrubber
from agent.support.station import records, settings_document, versions

_README = """\
Spotter support archive, made {at} ({utc}).  Times in the files are UTC.

doctor.json    what spotter doctor found
settings.json  the settings in force; secrets are hidden
versions.json  Spotter, Python, the system and the packages
counts.json    how many captures and clips are in each state, and how delivery stands
events.jsonl   what last happened to each capture (c) and clip (e)
journal.txt    the service's last lines, where the system keeps them

Keys, PINs, names, file names and pictures are left out.  A user_id stands as athlete-… : the same
athlete everywhere in this archive, and in no other.  What the API wrote into its errors is here as
it came, without e-mail addresses, telephone numbers, keys and the names that this station knows.
"""


def write_archive(
    out: Path,
    settings: Settings | None,
    *,
    findings: Sequence[Mapping[str, object]],
    journal: Sequence[str],
    now: Instant,
) -> list[str]:
    """Write an archive that only its owner can read, and return the names of what is in it.

    Args:
        out: the file to make; one that is there already is not overwritten.
        settings: None where they do not load.
        findings: of the doctor.
        journal: lines of the service's log.
        now: this moment.

    Raises:
        OSError: it cannot be written.
    """
    texts = _texts(settings, findings=findings, journal=journal, now=now)
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in texts.items():
            content = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"spotter-support/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(now.utc_s), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return list(texts)


def _texts(
    settings: Settings | None,
    *,
    findings: Sequence[Mapping[str, object]],
    journal: Sequence[str],
    now: Instant,
) -> dict[str, str]:
    scrubber = Scrubber(user_ids=(), names=()) if settings is None else scrubber_of(settings)
    texts = {
        "README.txt": _README.format(
            at=LocalTime(now.utc_s).full(now.utc_s), utc=iso_utc(now.utc_s)
        ),
        "doctor.json": _json(scrubber.scrub_document(findings)),
        "versions.json": _json(versions()),
        "journal.txt": "".join(scrubber.scrub(line) + "\n" for line in journal),
    }
    if settings is not None:
        counts, events = records(settings)
        texts["settings.json"] = _json(scrubber.scrub_document(settings_document(settings)))
        texts["counts.json"] = _json(scrubber.scrub_document(counts))
        lines = (json.dumps(scrubber.scrub_document(e), ensure_ascii=False) for e in events)
        texts["events.jsonl"] = "".join(f"{line}\n" for line in lines)
    return texts


def scrubber_of(settings: Settings) -> Scrubber:
    """Return what takes this station's people and secrets out of texts."""
    for secret in (settings.web.pin, settings.web.metrics_token):
        hide_always(None if secret is None else secret.get_secret_value())
    for path in (settings.web.pin_file, settings.web.metrics_token_file):
        hide_always(_content(path))
    hide_always(read_api_key(settings.api, os.environ))
    hide_always(read_webhook_secret(settings.webhook, os.environ))
    hide_always(read_mqtt_password(settings.mqtt, os.environ))
    user_ids: set[str] = set()
    names: set[str] = set()
    if settings.station.user_id is not None:
        user_ids.add(settings.station.user_id)
    try:
        with opened_as_it_is(settings.paths.state) as outbox:
            if outbox is not None:
                known = Identities(outbox.database)
                user_ids |= known.user_ids()
                names |= known.names()
                user_ids |= {lane.uid for lane in outbox.lanes.all() if lane.uid}
    except (sqlite3.Error, OSError, AgentError):
        pass  # then nothing of the outbox is in the archive either
    return Scrubber(user_ids=user_ids, names=names)


def _content(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _json(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n"
