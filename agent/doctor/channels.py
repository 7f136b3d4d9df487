"""Those who are told what happens: whether they can be reached, and what they refused."""

import os
import socket
import sqlite3
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from agent.api.tls import tls_context
from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.errors import AgentError, plain_words
from agent.local_time import LocalTime
from agent.notices.receivers import receiver_of
from agent.notices.signature import command_for_secret, signing_key
from agent.outbox.channels import ChannelState, RefusedNotice
from agent.outbox.repair.audit import opened_as_it_is
from agent.plurals import counted
from agent.settings.notifying import channels_of, read_mqtt_password, read_webhook_secret
from agent.settings.tables import is_loopback

_WAIT_S = 5.0
_TRY = "then try it: spotter notify test"


def check_channels(patient: Patient) -> list[Finding]:
    """Look at every channel that is on; nothing is sent."""
    settings = patient.settings
    names = channels_of(settings.webhook, settings.mqtt)
    findings = []
    if "webhook" in names:
        findings += [*_webhook_secret(patient), _webhook_way(patient)]
    if "mqtt" in names:
        findings += [*_mqtt_password(patient), _mqtt_way(patient)]
    return [*findings, *_standing(patient, names)]


def judge_channel(
    state: ChannelState,
    refused: int,
    last: RefusedNotice | None,
    *,
    runs: bool,
    here: LocalTime,
) -> list[Finding]:
    """Judge what is on record about a channel."""
    findings = []
    if runs and state.failing_since is not None:
        findings.append(
            warning(
                state.name,
                f"failing since {here.moment(state.failing_since)}: {state.last_error}",
                "notices wait, and go by themselves once it is mended: spotter status",
            )
        )
    if last is not None:
        findings.append(
            warning(
                state.name,
                f"refused {counted(refused, 'notice')} while it took others; the last: "
                f"{last.notice} ({last.why})",
                "mend the receiver; what it refused is not sent again",
            )
        )
    return findings


def _webhook_secret(patient: Patient) -> list[Finding]:
    webhook = patient.settings.webhook
    secret, file = read_webhook_secret(webhook, patient.environ), webhook.secret_file
    if secret is None and file.exists() and not os.access(file, os.R_OK):
        return [_unreadable("webhook secret", file)]
    if secret is None:
        make = f"{command_for_secret(file)}; sudo chown root:spotter {file}"
        return [broken("webhook secret", f"there is none in {file}: notices wait", make)]
    try:
        signing_key(secret)
    except ValueError as error:
        return [broken("webhook secret", f"{error}: notices wait", command_for_secret(file))]
    return _open_file("webhook secret", file)


def _mqtt_password(patient: Patient) -> list[Finding]:
    mqtt = patient.settings.mqtt
    file = mqtt.password_file
    findings = []
    if mqtt.user is not None and not (mqtt.tls or is_loopback(mqtt.host)):
        told = "the password goes over the network without TLS"
        findings.append(warning("mqtt", told, "mqtt.tls = true"))
    if file is None or read_mqtt_password(mqtt, patient.environ) is not None:
        return findings + ([] if file is None else _open_file("mqtt password", file))
    if file.exists() and not os.access(file, os.R_OK):
        return [*findings, _unreadable("mqtt password", file)]
    return [*findings, broken("mqtt password", f"there is none in {file}", f"sudoedit {file}")]


def _webhook_way(patient: Patient) -> Finding:
    webhook = patient.settings.webhook
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
        told = f"{webhook.place} answers; user ids go over the network without TLS"
        return warning("webhook", told, "an https address, and allow_http = false")
    return fine("webhook", f"{webhook.place} answers")


def _reach(host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Connect and leave.

    Raises:
        OSError: it cannot be reached, or its certificate is not right.
    """
    with socket.create_connection((host, port), timeout=_WAIT_S) as plain:
        if context is not None:
            with context.wrap_socket(plain, server_hostname=host):
                pass


def _mqtt_way(patient: Patient) -> Finding:
    host, port = patient.settings.mqtt.address
    receiver = receiver_of("mqtt", patient.settings, check=lambda: None, role="doctor")
    try:
        receiver.keep_up()
    except AgentError as fault:
        return broken("mqtt", f"{host}:{port}: {fault}", f"mqtt.host, mqtt.user; {_TRY}")
    finally:
        receiver.close()
    return fine("mqtt", f"{host}:{port} lets us in")


def _standing(patient: Patient, names: list[str]) -> list[Finding]:
    try:
        with opened_as_it_is(patient.folder.root) as outbox:
            if outbox is None:
                return []
            return [
                finding
                for state in outbox.channels.all()
                if state.name in names
                for finding in judge_channel(
                    state,
                    *outbox.channels.refused(state.name),
                    runs=patient.runs,
                    here=LocalTime(patient.now.utc_s),
                )
            ]
    except (sqlite3.Error, AgentError):
        return []  # said by the check of the outbox


def _unreadable(name: str, file: Path) -> Finding:
    return warning(name, f"this user may not read {file}: not looked at", "sudo spotter doctor")


def _open_file(name: str, file: Path) -> list[Finding]:
    try:
        is_open = bool(file.stat().st_mode & 0o007)
    except OSError:
        is_open = False
    if not is_open:
        return []
    return [warning(name, f"every user of this box can read {file}", f"sudo chmod o= {file}")]
