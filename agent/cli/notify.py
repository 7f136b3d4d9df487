"""spotter notify."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option, settings_of

if TYPE_CHECKING:
    from agent.settings import Settings


@click.group()
def notify() -> None:
    """Test the notifications (webhook, MQTT)."""


@notify.command("test")
@config_option
def test_channels(config: Path | None) -> None:
    """Send a test notification to every configured receiver.

    The event is called station.test.  Exit codes: 69 a receiver is unreachable or rejects it,
    78 nothing is configured or a secret is missing.
    """
    from agent.errors import ConfigError, NotifyError
    from agent.settings.notifying import channels_of

    settings = settings_of(config)
    names = channels_of(settings.webhook, settings.mqtt)
    if not names:
        raise ConfigError(
            "no notification receiver is configured", hint="set webhook.url or mqtt.host"
        )
    faults = []
    for name in names:
        try:
            _send(name, settings)
        except NotifyError as fault:
            faults.append(fault)
            click.echo(f"{name}: {fault}", err=True)
        else:
            click.echo(f"{name}: sent to {_place(name, settings)}")
    if faults:
        raise NotifyError(
            f"{len(faults)} of {len(names)} receivers did not accept the notification"
        )


def _send(name: str, settings: "Settings") -> None:
    """Send the notice.

    Raises:
        ConfigError: there is no secret to sign with.
        NotifyError: it was not taken.
    """
    import os

    from agent.clock import read_clock
    from agent.errors import ConfigError
    from agent.notices.notice import trial_notice
    from agent.notices.receivers import receiver_of
    from agent.notices.signature import command_for_secret
    from agent.settings.notifying import read_webhook_secret
    from agent.stage import ignore_wake

    webhook = settings.webhook
    if name == "webhook" and read_webhook_secret(webhook, os.environ) is None:
        raise ConfigError(
            f"webhook secret file {webhook.secret_file} is missing or empty",
            hint=command_for_secret(webhook.secret_file),
        )
    receiver = receiver_of(name, settings, check=ignore_wake, role="test")
    try:
        receiver.keep_up()
        receiver.send(trial_notice(station=settings.station.id, at=read_clock().utc_s))
    finally:
        receiver.close()


def _place(name: str, settings: "Settings") -> str:
    if name == "webhook":
        return settings.webhook.place
    host, port = settings.mqtt.address
    return f"{host}:{port}"
