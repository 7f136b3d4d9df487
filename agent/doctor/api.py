"""The way to the API: key, role, certificate, and what its clock says of ours."""

import os
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from agent.api import jwt
from agent.api.answers import Answer, lane_fault
from agent.api.certificate import certificate_ends_at
from agent.api.client import KEY_HEADERS, STATUS_PATH, ApiClient, ApiKey
from agent.api.deadline import Timeouts
from agent.api.payloads import read_account
from agent.clock import Instant
from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.errors import LaneError
from agent.local_time import LocalTime
from agent.plurals import counted
from agent.settings import read_api_key
from agent.settings.key import malformed_key
from agent.unit import unit_of

_DAY_S = 86400.0
_SOON_DAYS = 21
_CLOCK_OFF_S = 120.0
_WAIT_S = 10.0
_SET_CLOCK = "sudo timedatectl set-ntp true; where that fails: sudo apt install systemd-timesyncd"
_AFTER = {
    "network": "check cable, Wi-Fi and DNS: getent hosts {host}",
    "tls": "timedatectl; then api.base_url and api.ca_file",
    "key": "sudoedit {key_file}; {then}",
    "domain": "a key that is bound to a domain needs api.origin; else ask the vendor",
    "not_our_api": "sign in to the network's portal, or correct api.base_url",
}


def check_api(patient: Patient) -> list[Finding]:
    """Ask the API whose key this is, and look at what comes along."""
    api = patient.settings.api
    token = read_api_key(api, patient.environ)
    malformed = malformed_key(api, patient.environ) if token is None else None
    findings = [check_key(token, api.key_file, malformed), *judge_expiry(token, patient.now)]
    answer = None
    if token is not None:
        try:
            answer = ask_status(patient, token)
            findings.append(judge_answer(patient, answer))
        except LaneError as fault:
            findings.append(_refused(patient, fault))
    # Whatever the API says: a wrong clock is often why TLS fails.
    findings.append(judge_clock(patient.now, None if answer is None else answer.date))
    return findings if answer is None else [*findings, *_certificate(patient)]


def check_key(token: str | None, key_file: Path, malformed: str | None = None) -> Finding:
    """See that there is a key, and that not everybody can read it."""
    if token is None and key_file.exists() and not os.access(key_file, os.R_OK):
        return warning(
            "API key", f"this user may not read {key_file}: not looked at", "sudo spotter doctor"
        )
    if token is None and malformed is not None:
        return broken(
            "API key",
            f"what stands in {key_file} is no key: {malformed}; clips wait",
            f"sudoedit {key_file}; the key alone, in one line",
        )
    if token is None:
        return broken(
            "API key",
            f"there is none in {key_file}: clips wait",
            f"sudoedit {key_file}; the key alone, in one line",
        )
    try:
        is_open = bool(key_file.stat().st_mode & 0o007)
    except OSError:
        is_open = False
    if is_open:
        return warning(
            "API key", f"every user of this box can read {key_file}", f"sudo chmod o= {key_file}"
        )
    return fine("API key", "there is one")


def judge_expiry(token: str | None, now: Instant) -> list[Finding]:
    """Tell when a key expires, where it says so itself; the API alone knows."""
    at = None if token is None else jwt.expires_at(token)
    if at is None:
        return []
    here = LocalTime(now.utc_s)
    remedy = "the account's super admin makes a new one; put it into the key file"
    if at <= now.utc_s and now.trusted:
        return [broken("API key's end", f"it expired {here.moment(at)}", remedy)]
    if jwt.expires_soon(at, now_s=now.utc_s):
        return [warning("API key's end", f"it expires {here.moment(at)}", remedy)]
    return [fine("API key's end", f"it holds until {here.day(at)}")]


def judge_answer(patient: Patient, answer: Answer) -> Finding:
    """Judge what organization-status says: whose key it is, and what it may do."""
    try:
        if answer.status == 403 and answer.error_words() and patient.settings.api.role != "admin":
            return _own_account(patient, answer)
        if answer.status != 200:
            raise lane_fault(answer, now_s=patient.now.utc_s)
        account = read_account(answer)
    except LaneError as fault:
        return _refused(patient, fault)
    if not account.has_api_access:
        return warning(
            "API",
            f"answers; the account's plan is {account.payment_type}: only Pro and Enterprise have "
            "access to the API",
            "ask whoever holds the account to extend its plan",
        )
    whose = f"{'an' if account.role[:1] in 'aeiou' else 'a'} {account.role}'s"
    if account.acts_for_others:
        return fine("API", f"answers; the key is {whose} and acts for all athletes")
    if patient.settings.station.unassigned == "upload":
        return warning(
            "API",
            f"answers; the key is {whose}: clips of others than its owner are held",
            "use an admin's key for a station with several athletes",
        )
    return warning(
        "API",
        f"answers; the key is {whose} and cannot act for others: only clips of {account.uid} go",
        "use an admin's key for a station with several athletes",
    )


def _own_account(patient: Patient, answer: Answer) -> Finding:
    """Judge a key that may not ask for the account: its owner's own, or bound to a domain."""
    api = patient.settings.api
    owner = api.owner_id or "its owner (api.owner_id names them)"
    bound = "" if api.origin else "; or it is bound to a domain, which api.origin must say"
    return warning(
        "API",
        f"answers; the key is no admin's and cannot act for others ({answer.error_words()}): "
        f"only clips of {owner} go{bound}",
        "use an admin's key for a station with several athletes",
    )


def judge_clock(now: Instant, date: str | None) -> Finding:
    """Compare the clock with the API's."""
    if not now.trusted:
        return warning(
            "clock",
            "nothing has set it since this box started; times of takes may be wrong",
            f"{_SET_CLOCK}; a box without network needs a battery clock",
        )
    offset_s = _offset_s(now, date)
    if offset_s is not None and abs(offset_s) > _CLOCK_OFF_S:
        way = "ahead of" if offset_s > 0 else "behind"
        return broken(
            "clock",
            f"{abs(offset_s):.0f} s {way} the API's",
            _SET_CLOCK,
        )
    told = "set" if offset_s is None else "set, and agrees with the API's"
    return fine("clock", f"{told}; it is {LocalTime(now.utc_s).full(now.utc_s)}")


def judge_certificate(host: str, ends_at: float, *, now_s: float) -> Finding:
    """Judge how long the API's certificate still holds."""
    days = (ends_at - now_s) / _DAY_S
    until = LocalTime(now_s).day(ends_at)
    if days < _SOON_DAYS:
        return warning(
            "certificate",
            f"{host}'s ends on {until}, in {counted(round(days), 'day')}",
            "tell whoever runs that host",
        )
    return fine("certificate", f"{host}'s holds until {until}")


def ask_status(patient: Patient, token: str) -> Answer:
    """Return the answer to the first form of the key that the host takes, else the last one.

    Raises:
        LaneError: nobody answered.
    """
    api = patient.settings.api
    headers = KEY_HEADERS if api.key_header == "auto" else (api.key_header,)
    keys = [ApiKey(token=token, header=header) for header in headers]
    with ApiClient(
        api.base_url,
        now=lambda: patient.now,
        timeouts=Timeouts(connect_s=min(api.connect_timeout_s, _WAIT_S), answer_s=_WAIT_S),
        ca_file=api.ca_file,
        origin=api.origin,
    ) as client:
        for key in keys:
            answer = client.ask("GET", STATUS_PATH, key)
            if answer.status != 401:
                break
        if answer.status == 403 and not client.opens_anything(key):
            told = f"the API refuses the key everywhere: {answer.error_words()}"
            raise LaneError(told, reason="domain", status=403)
    return answer


def _certificate(patient: Patient) -> list[Finding]:
    address = urlsplit(patient.settings.api.base_url)
    if address.scheme != "https" or address.hostname is None:
        return []
    host, port = address.hostname, address.port or 443
    try:
        ends_at = certificate_ends_at(
            host, port, ca_file=patient.settings.api.ca_file, wait_s=_WAIT_S
        )
    except OSError as error:  # it answered a moment ago
        return [warning("certificate", f"cannot be looked at: {error}")]
    return [judge_certificate(host, ends_at, now_s=patient.now.utc_s)]


def _refused(patient: Patient, fault: LaneError) -> Finding:
    api = patient.settings.api
    remedy = _AFTER.get(fault.reason, "spotter status says what it waits for")
    host = urlsplit(api.base_url).hostname
    then = _after_a_new_key(patient)
    return broken("API", str(fault), remedy.format(host=host, key_file=api.key_file, then=then))


def _after_a_new_key(patient: Patient) -> str:
    """Say how a new key comes to the daemon, which has one of root's alone as a credential."""
    try:
        is_roots = not patient.settings.api.key_file.stat().st_mode & 0o077
    except OSError:
        is_roots = False
    unit = unit_of(patient.config)
    return f"sudo systemctl restart {unit}" if is_roots else "it is read without a restart"


def _offset_s(now: Instant, date: str | None) -> float | None:
    try:
        return None if date is None else now.utc_s - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
