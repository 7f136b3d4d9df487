"""The support bundle: an archive for support, without secrets and without pictures."""

import hashlib
import hmac
import importlib.metadata
import io
import json
import os
import platform
import re
import secrets
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from agent import __version__
from agent.clock import Instant, LocalTime, iso_utc
from agent.disk.space import measure
from agent.disk.state_folder import StateFolder
from agent.errors import AgentError
from agent.logs import HIDDEN, hide_always, redacted
from agent.outbox.consistency import opened_as_it_is
from agent.outbox.outbox import Outbox
from agent.outbox.roster import Identities
from agent.settings import Settings, effective
from agent.settings.model import read_secrets

NAME = "NAME"
FILE = "FILE"
MAIL = "MAIL"
PHONE = "PHONE"
_TOKEN = re.compile(r"[\w@.+-]+")
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_NAME = 2
_VIDEO = r"\.(?:mp4|mov|m4v|mkv|avi|webm|m?ts|m2ts|mpe?g|3gp)\b"
# A video's name is whatever the camera or a person called it; clip codes are Spotter's own.
_FILES = (
    re.compile(rf"(?i)(?<=')[^'\n]*{_VIDEO}(?=')"),
    re.compile(rf"(?i)(?<=\")[^\"\n]*{_VIDEO}(?=\")"),
    re.compile(rf"(?i)(?<=file=)[^\"\n]*?{_VIDEO}"),
    re.compile(rf"(?i)[^\s/'\"=:]+{_VIDEO}"),
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.(?!service\b|timer\b|socket\b)[^\W\d_]{2,}")
_KEYS = (
    re.compile(r"(?i)(?<![\w-])()(?:sk|pk|rk|ak|key|tok|token|secret)[-_](?=[\w-]*\d)[\w-]{12,}"),
    re.compile(r"(?i)\b((?:key|token|secret|password) [\"']?)(?=[\w-]*\d)[\w-]{8,}"),
    re.compile(r"()\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JSON web token
    re.compile(r"(\bhttps?://[^\s?\"'<>]+\?)[^\s\"'<>]+"),  # a link's signature
)
_PHONES = (
    re.compile(r"(?<![\w.:/-])\+\d[\d ()/.-]{6,}\d"),  # +49 170 1234567
    re.compile(r"(?<![\w.:/-])0\d{2,5}[ /-]\d[\d ]{4,}\d"),  # 0170/1234567
    re.compile(r"(?<![\w.:/-])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])"),  # (555) 123-4567
)


class Scrubber:
    """Scrubs the texts of one archive."""

    def __init__(self, *, user_ids: Iterable[str], names: Iterable[str]) -> None:
        self._salt = secrets.token_bytes(16)
        self._ids = {user_id.casefold(): self._pseudonym(user_id) for user_id in user_ids}
        self._names = {
            word.casefold()
            for name in names
            for word in _WORD.findall(name)
            if len(word) >= _SHORTEST_NAME and not word.isdigit()
        }
        odd = [i for i in self._ids if _TOKEN.fullmatch(i) is None]  # with blanks and the like
        self._odd = sorted(odd, key=len, reverse=True)

    def scrub(self, text: str) -> str:
        """Return a text without secrets, people and file names."""
        text = redacted(text)
        for look in _KEYS:
            text = look.sub(rf"\g<1>{HIDDEN}", text)
        for look in _FILES:
            text = look.sub(FILE, text)
        for user_id in self._odd:
            text = re.sub(re.escape(user_id), self._ids[user_id], text, flags=re.IGNORECASE)
        for look in _PHONES:
            text = look.sub(PHONE, text)
        return _TOKEN.sub(self._replaced, text)

    def scrub_document(self, document: object) -> object:
        """Return a document of JSON with every text in it scrubbed; names of fields stay."""
        if isinstance(document, Mapping):
            return {name: self.scrub_document(value) for name, value in document.items()}
        if isinstance(document, list | tuple):
            return [self.scrub_document(value) for value in document]
        return self.scrub(document) if isinstance(document, str) else document

    def _replaced(self, found: re.Match[str]) -> str:
        token = found[0]
        core = token.strip(".-+")  # the end of a sentence is no part of an id
        known = self._ids.get(token.casefold()) or self._ids.get(core.casefold())
        if known is not None:
            return known
        token = _MAIL.sub(MAIL, token)
        return _WORD.sub(lambda word: NAME if word[0].casefold() in self._names else word[0], token)

    def _pseudonym(self, user_id: str) -> str:
        digest = hmac.new(self._salt, user_id.encode(), hashlib.sha256).hexdigest()
        return f"athlete-{digest[:8]}"


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
    """Return the settings in effect, without secrets and without the station's name for people."""
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


_README = """\
Spotter support bundle, created {at} ({utc}).  Times in the files are UTC.

doctor.json    what spotter doctor found
settings.json  the settings in effect; secrets are hidden
versions.json  Spotter, Python, the system and the packages
counts.json    how many captures and clips are in each state, and how delivery stands
events.jsonl   latest events of each capture (c) and clip (e)
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
    web = settings.web
    for secret in (web.pin, web.metrics_token):
        hide_always(None if secret is None else secret.get_secret_value())
    for path in (web.pin_file, web.page_pin_file, web.metrics_token_file):
        hide_always(_content(path))
    read_secrets(settings, os.environ)  # which hides them, too
    user_ids = set() if settings.station.user_id is None else {settings.station.user_id}
    names: set[str] = set()
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


_WITHIN_S = 20


def journal_lines(*matches: str, unit: str | None = None, most: int = 2000) -> list[str]:
    """Return what the journal holds, oldest first; nothing where there is none to read.

    Args:
        matches: fields, as in SPOTTER_CLIP=k3x9q2m4pd; any of them.
        unit: all lines of this unit.
        most: no more than so many, the last ones.
    """
    command = shutil.which("journalctl")
    if command is None:
        return []
    wanted: list[str] = [] if unit is None else [f"--unit={unit}"]
    for number, match in enumerate(matches):
        wanted += ["+", match] if number else [match]
    return _ask([command, "--no-pager", "--output=short-iso", f"--lines={most}", *wanted])


def _ask(words: Sequence[str]) -> list[str]:
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_WITHIN_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.splitlines() if not line.startswith("-- ")]
