"""Checks of the API connection and of notification receivers."""

import os
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from agent.api.client import WAIT_S, ask_whose_key
from agent.api.responses import ApiResponse, lane_fault, read_account
from agent.api.tls import certificate_ends_at, tls_context
from agent.clock import Instant, LocalTime
from agent.daemon.systemd import unit_of
from agent.doctor.check import CheckResult, StationUnderTest, broken, fine, warning
from agent.errors import AgentError, ApiUnavailableError, NotifyError, plain_words
from agent.facility.broker import HubConnection, StoredMessage
from agent.facility.joining import access_of
from agent.facility.keys import FacilityKey
from agent.facility.membership import (
    STATES,
    Membership,
    membership_path,
    read_membership,
    read_station_key,
)
from agent.notifications.stage import receiver_of
from agent.notifications.webhook import command_for_secret, signing_key
from agent.outbox.consistency import opened_as_it_is
from agent.outbox.notification_cursors import ChannelState, RefusedNotice
from agent.secret_files import key_expires_at, key_expires_soon
from agent.settings import read_api_key
from agent.settings.load import how_to_edit
from agent.settings.model import (
    NO_KEY,
    channels_of,
    is_loopback,
    read_mqtt_password,
    read_webhook_secret,
    why_no_key,
    why_no_mqtt_password,
    why_no_webhook_secret,
)
from agent.stage import StageName
from agent.text import counted, printable, read_json

_DAY_S = 86400.0
_SOON_DAYS = 21
_CLOCK_OFF_S = 120.0
_SET_CLOCK = "sudo timedatectl set-ntp true; where that fails: sudo apt install systemd-timesyncd"
_AFTER = {
    "network": "check cable, Wi-Fi and DNS: getent hosts {host}",
    "tls": "timedatectl; then api.base_url and api.ca_file",
    "key": "{edit}; {then}",
    "domain": "a key that is bound to a domain needs api.origin; else ask the vendor",
    "not_our_api": "sign in to the network's portal, or correct api.base_url",
}


def check_api(station: StationUnderTest) -> list[CheckResult]:
    """Ask the API whose key this is, and judge the answer."""
    api = station.settings.api
    token = read_api_key(api, station.environ)
    why = NO_KEY if token is not None else why_no_key(api, station.environ)
    malformed = None if why == NO_KEY else why
    places = [place for place in (api.key_file, api.page_key_file) if place is not None]
    closed = [place for place in places if _is_closed(place)]
    key_file = closed[0] if closed else api.key_file
    findings = [check_key(token, key_file, malformed), *judge_expiry(token, station.now)]
    answer = None
    if token is not None:
        try:
            answer = ask_status(station, token)
            findings.append(judge_answer(station, answer))
        except ApiUnavailableError as fault:
            findings.append(_refused(station, fault))
    # Whatever the API says: a wrong clock is often why TLS fails.
    findings.append(judge_clock(station.now, None if answer is None else answer.date))
    return findings if answer is None else [*findings, *_certificate(station)]


def check_key(token: str | None, key_file: Path, malformed: str | None = None) -> CheckResult:
    """See that there is a key, and that not everybody can read it."""
    if token is None and _is_closed(key_file):
        return _unreadable("API key", key_file)
    if token is None:
        why = malformed or f"{key_file} is empty or missing"
        remedy = f"{how_to_edit(key_file)}: the key, in one line"
        return broken("API key", f"{why}; uploads are paused", remedy)
    return next(iter(_open_file("API key", key_file)), fine("API key", "present"))


def judge_expiry(token: str | None, now: Instant) -> list[CheckResult]:
    """Report when a key expires, where it says so itself; the API alone knows."""
    at = None if token is None else key_expires_at(token)
    if at is None:
        return []
    here = LocalTime(now.utc_s)
    remedy = "ask the account's super admin for a new key and put it into the key file"
    if at <= now.utc_s and now.trusted:
        return [broken("API key expiry", f"expired {here.moment(at)}", remedy)]
    if key_expires_soon(at, now_s=now.utc_s):
        return [warning("API key expiry", f"expires {here.moment(at)}", remedy)]
    return [fine("API key expiry", f"valid until {here.day(at)}")]


def judge_answer(station: StationUnderTest, answer: ApiResponse) -> CheckResult:
    """Judge what organization-status says: whose key it is, and what it may do."""
    try:
        if answer.status == 403 and answer.error_words() and station.settings.api.role != "admin":
            return _own_account(station, answer)
        if answer.status != 200:
            raise lane_fault(answer, now_s=station.now.utc_s)
        account = read_account(answer)
    except ApiUnavailableError as fault:
        return _refused(station, fault)
    if not account.has_api_access:
        return warning(
            "API",
            f"answers; the account's plan is {account.payment_type}: only Pro and Enterprise have "
            "access to the API",
            "ask the account's owner to extend its plan",
        )
    target = f"{'an' if account.role[:1] in 'aeiou' else 'a'} {account.role}'s"
    if account.acts_for_others:
        return fine("API", f"answers; the key is {target} and acts for all athletes")
    if station.settings.station.unassigned == "upload":
        return warning(
            "API",
            f"answers; the key is {target}: clips of others than its owner are held",
            "use an admin's key for a station with several athletes",
        )
    return warning(
        "API",
        f"answers; the key is {target} and cannot act for others: only clips of {account.uid} go",
        "use an admin's key for a station with several athletes",
    )


def _own_account(station: StationUnderTest, answer: ApiResponse) -> CheckResult:
    """Judge a key that may not ask for the account: its owner's own, or bound to a domain."""
    api = station.settings.api
    owner = api.owner_id or "its owner (api.owner_id names them)"
    bound = "" if api.origin else "; or it is bound to a domain, which api.origin must say"
    return warning(
        "API",
        f"answers; the key is not an admin's and cannot act for others ({answer.error_words()}): "
        f"only clips of {owner} go{bound}",
        "use an admin's key for a station with several athletes",
    )


def judge_clock(now: Instant, date: str | None) -> CheckResult:
    """Compare the clock with the API's."""
    if not now.trusted:
        return warning(
            "clock",
            "clock not synchronised since boot (NTP); recording times may be wrong",
            f"{_SET_CLOCK}; a box without a network needs a battery-backed clock",
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


def judge_certificate(host: str, ends_at: float, *, now_s: float) -> CheckResult:
    """Judge how long the API's certificate still holds."""
    days = (ends_at - now_s) / _DAY_S
    until = LocalTime(now_s).day(ends_at)
    if days < _SOON_DAYS:
        return warning(
            "certificate",
            f"{host}: expires on {until}, in {counted(round(days), 'day')}",
            "tell the administrator of that host",
        )
    return fine("certificate", f"{host}: valid until {until}")


def ask_status(station: StationUnderTest, token: str) -> ApiResponse:
    """Return the answer to the first form of the key that the host takes, else the last one.

    Raises:
        ApiUnavailableError: nobody answered.
    """
    return ask_whose_key(station.settings.api, token, now=lambda: station.now)


def _certificate(station: StationUnderTest) -> list[CheckResult]:
    address = urlsplit(station.settings.api.base_url)
    if address.scheme != "https" or address.hostname is None:
        return []
    host, port = address.hostname, address.port or 443
    try:
        ends_at = certificate_ends_at(
            host, port, ca_file=station.settings.api.ca_file, wait_s=WAIT_S
        )
    except OSError as error:  # it answered a moment ago
        return [warning("certificate", f"cannot be checked: {error}")]
    return [judge_certificate(host, ends_at, now_s=station.now.utc_s)]


def _refused(station: StationUnderTest, fault: ApiUnavailableError) -> CheckResult:
    api = station.settings.api
    remedy = _AFTER.get(fault.reason, "spotter status says what it waits for")
    host = urlsplit(api.base_url).hostname
    then = _after_a_new_key(station)
    return broken(
        "API", str(fault), remedy.format(host=host, edit=how_to_edit(api.key_file), then=then)
    )


def _after_a_new_key(station: StationUnderTest) -> str:
    """Say how a new key comes to the daemon, which has one of root's alone as a credential."""
    try:
        key = station.settings.api.key_file.stat()
        is_roots = not key.st_uid and not key.st_mode & 0o077
    except OSError:
        is_roots = False
    unit = unit_of(station.config)
    return f"sudo systemctl restart {unit}" if is_roots else "it is read without a restart"


def _offset_s(now: Instant, date: str | None) -> float | None:
    try:
        return None if date is None else now.utc_s - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


_RECEIVER_WAIT_S = 5.0
_HUB_REMEDY = "spotter hub run on the hub; refused: spotter leave, then join by a new invitation"
_HUB_CLOCK_OFF_S = 60.0  # beyond it a clock that nothing has set carries out no turns
_TRY = "then try it: spotter notify test"


def check_channels(station: StationUnderTest) -> list[CheckResult]:
    """Check every channel that is on; nothing is sent."""
    settings = station.settings
    names = channels_of(settings.webhook, settings.mqtt)
    findings = []
    if "webhook" in names:
        findings += [*_webhook_secret(station), _webhook_way(station)]
    if "mqtt" in names:
        findings += [*_mqtt_password(station), _mqtt_way(station)]
    if membership_path(station.folder).exists():
        names = [*names, StageName.HUB]
        findings += _hub_way(station)
    return [*findings, *_standing(station, names)]


def judge_channel(
    state: ChannelState,
    refused: int,
    last: RefusedNotice | None,
    *,
    runs: bool,
    here: LocalTime,
) -> Iterator[CheckResult]:
    """Judge what is on record about a channel."""
    if runs and state.failing_since is not None:
        yield warning(
            state.name,
            f"failing since {here.moment(state.failing_since)}: {state.last_error}",
            "fix the receiver; waiting events are then sent automatically (spotter status)",
        )
    if last is not None:
        yield warning(
            state.name,
            f"rejected {counted(refused, 'event')} but accepted others; last: "
            f"{last.notice} ({last.why})",
            "fix the receiver; rejected events are not sent again",
        )


def _webhook_secret(station: StationUnderTest) -> list[CheckResult]:
    webhook = station.settings.webhook
    secret, file = read_webhook_secret(webhook, station.environ), webhook.secret_file
    if secret is None and _is_closed(file):
        return [_unreadable("webhook secret", file)]
    if secret is None:
        make = f"{command_for_secret(file)}; sudo chown root:spotter {file}"
        why = why_no_webhook_secret(webhook, station.environ) or f"{file} is empty or missing"
        return [broken("webhook secret", f"{why}; events are waiting", make)]
    try:
        signing_key(secret)
    except ValueError as error:
        return [broken("webhook secret", f"{error}; events are waiting", command_for_secret(file))]
    return _open_file("webhook secret", file)


def _mqtt_password(station: StationUnderTest) -> list[CheckResult]:
    mqtt = station.settings.mqtt
    file = mqtt.password_file
    findings = []
    if mqtt.user is not None and not (mqtt.tls or is_loopback(mqtt.host)):
        told = "the password is sent without TLS"
        findings.append(warning("mqtt", told, "set mqtt.tls = true"))
    if file is None or read_mqtt_password(mqtt, station.environ) is not None:
        return findings + ([] if file is None else _open_file("mqtt password", file))
    if _is_closed(file):
        return [*findings, _unreadable("mqtt password", file)]
    why = why_no_mqtt_password(mqtt, station.environ) or f"{file} is empty or missing"
    return [*findings, broken("mqtt password", why, how_to_edit(file))]


def _webhook_way(station: StationUnderTest) -> CheckResult:
    webhook = station.settings.webhook
    parts = urlsplit("" if webhook.url is None else webhook.url.get_secret_value())
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    try:
        context = tls_context(webhook.ca_file) if is_tls else None
        _reach(host, parts.port or (443 if is_tls else 80), context)
    except OSError as error:
        return broken(
            "webhook",
            f"{webhook.place} cannot be reached: {plain_words(error)}",
            f"webhook.url; {_TRY}",
        )
    if not is_tls and not is_loopback(host):
        told = f"{webhook.place} answers; user ids are sent without TLS"
        return warning("webhook", told, "an https address, and allow_http = false")
    return fine("webhook", f"{webhook.place} answers")


def _reach(host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Connect and leave.

    Raises:
        OSError: it cannot be reached, or its certificate is not right.
    """
    with socket.create_connection((host, port), timeout=_RECEIVER_WAIT_S) as plain:
        if context is not None:
            with context.wrap_socket(plain, server_hostname=host):
                pass


def _mqtt_way(station: StationUnderTest) -> CheckResult:
    host, port = station.settings.mqtt.address
    receiver = receiver_of("mqtt", station.settings, check=lambda: None, role="doctor")
    try:
        receiver.keep_up()
    except AgentError as fault:
        return broken("mqtt", f"{host}:{port}: {fault}", f"mqtt.host, mqtt.user; {_TRY}")
    finally:
        receiver.close()
    return fine("mqtt", f"{host}:{port} accepts the login")


def _hub_way(station: StationUnderTest) -> list[CheckResult]:
    try:
        member = read_membership(station.folder)
        seed = read_station_key(station.folder)
        assert member is not None  # seen a moment ago
        connection = HubConnection(access_of(member, FacilityKey(seed)))
        try:
            connection.open()
            seen = (
                judge_last_state(_last_state(connection, member), station) if station.runs else []
            )
        finally:
            connection.close()
    except NotifyError as fault:
        return [warning("hub", f"{fault}; the station works without it", _HUB_REMEDY)]
    except AgentError as fault:
        return [broken("hub", str(fault), fault.hint or "spotter leave")]
    told = f"{member.address} accepts the station as {member.site}/{member.station}"
    return [_judge_name(member.station, station.settings.station.id) or fine("hub", told), *seen]


def _judge_name(known: str, own: str) -> CheckResult | None:
    """Judge a station that was renamed; None where the hub knows it by its own id."""
    if known == own:
        return None
    told = f"station.id is {own}, and the hub knows and plans this station as {known}"
    return warning("hub", told, f"spotter leave; on the hub: spotter hub invite {own}; then join")


def _last_state(connection: HubConnection, member: Membership) -> StoredMessage | None:
    with suppress(NotifyError):  # its store is being opened
        return connection.stored(member.subjects.last(f"KV_{STATES}", member.subjects.state))
    return None


def judge_last_state(last: StoredMessage | None, station: StationUnderTest) -> list[CheckResult]:
    """Judge the last state that the hub has of a station whose daemon runs.

    Args:
        last: as the hub has stored it; None: it has none.
        station: the station.
    """
    if last is None:
        return [warning("hub", "it has no state of this station yet", "spotter status")]
    findings = []
    try:
        stored_at = datetime.fromisoformat(last.headers["Nats-Time-Stamp"]).timestamp()
        plan = read_json(last.body)["plan"]
        state, detail = str(plan["state"]), printable(str(plan["detail"]), 200)
    except (ValueError, TypeError, KeyError):
        return [warning("hub", "its last state of this station cannot be read", "spotter status")]
    off_s = station.now.utc_s - stored_at
    if abs(off_s) > _HUB_CLOCK_OFF_S:
        told = f"by this clock its last state of this station is of {off_s:.0f} s ago"
        findings.append(warning("hub clock", told, "timedatectl, here and at the hub"))
    if state == "refused":
        told = f"the plan of the hub is refused: {detail}"
        findings.append(warning("hub plan", told, "on the hub: spotter hub assign"))
    return findings


def _standing(station: StationUnderTest, names: list[str]) -> list[CheckResult]:
    try:
        with opened_as_it_is(station.folder.root) as outbox:
            if outbox is None:
                return []
            return [
                finding
                for state in outbox.channels.all()
                if state.name in names
                for finding in judge_channel(
                    state,
                    *outbox.channels.refused(state.name),
                    runs=station.runs,
                    here=LocalTime(station.now.utc_s),
                )
            ]
    except (sqlite3.Error, AgentError):
        return []  # said by the check of the outbox


def _is_closed(file: Path) -> bool:
    """Tell whether this user may not read a file, be it for its folder."""
    try:
        return file.exists() and not os.access(file, os.R_OK)
    except PermissionError:
        return True


def _unreadable(name: str, file: Path) -> CheckResult:
    return warning(name, f"not checked: this user may not read {file}", "sudo spotter doctor")


def _open_file(name: str, file: Path) -> list[CheckResult]:
    try:
        is_open = bool(file.stat().st_mode & 0o007)
    except OSError:
        is_open = False
    if not is_open:
        return []
    return [warning(name, f"every user of this box can read {file}", f"sudo chmod o= {file}")]
