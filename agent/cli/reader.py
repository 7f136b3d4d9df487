"""The command `reader`; apart from the others, for it alone speaks HTTP."""

import os
from pathlib import Path

import click

from agent.buttons import parse_buttons
from agent.card_reader import CardSender, own_page, pass_on
from agent.cli.common import config_option
from agent.errors import ConfigError
from agent.logs import configure_logs
from agent.settings import load_settings
from agent.settings.model import read_tap_token, why_no_tap_token


@click.command()
@click.option(
    "--device",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    metavar="FILE",
    required=True,
    help="The reader, such as /dev/input/by-id/usb-READER-event-kbd.",
)
@click.option("--url", metavar="URL", help="Page of the station.  [default: on this box]")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Certificate of a page on another box.",
)
@config_option
def reader(device: Path, url: str | None, ca: Path | None, config: Path | None) -> None:
    """Check athletes in with a USB reader, or use a pedal.

    Sends each card that the reader reads to the page, and what the keys of web.button_keys mean,
    with the token of web.tap_token_file.  Runs in the foreground, as a separate process; nothing
    that the reader types reaches a console.
    """
    configure_logs()
    settings = load_settings(config).web
    token = read_tap_token(settings, os.environ)
    if token is None:
        is_set = settings.tap_token_file is not None
        raise ConfigError(
            why_no_tap_token(settings, os.environ) if is_set else "no token for card readers",
            hint="set web.tap_token_file, 16 characters or more",
        )
    if url is None and not settings.listen:
        raise ConfigError("the coach's page is turned off", hint="set web.listen, or give --url")
    sender = CardSender((url or own_page(settings)).rstrip("/"), token, ca_file=ca)
    pass_on(device, sender, parse_buttons(settings.button_keys))
