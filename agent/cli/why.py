"""spotter why."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option, json_option, opened_outbox, print_json, settings_of
from agent.errors import RequestError

if TYPE_CHECKING:
    from agent.outbox.capture import Capture
    from agent.outbox.entry import Entry
    from agent.outbox.store import Outbox
    from agent.settings import Settings


@click.command()
@click.argument("wanted", metavar="FILE_OR_CODE")
@config_option
@json_option
def why(wanted: str, config: Path | None, as_json: bool) -> None:
    """Say where a take is now and what it waits for.

    FILE_OR_CODE is a file (its name or path), a clip code, a session id, a user_id, c12 or e7.
    """
    from agent.cli.lying import still_outside
    from agent.outbox.file_name import printable
    from agent.settings import find_config
    from agent.station.finding import find_all
    from agent.unit import start_command

    settings = settings_of(config)
    start = start_command(find_config(config, os.environ))
    with opened_outbox(settings) as outbox:
        try:
            found = find_all(outbox, wanted)
        except RequestError:
            told = still_outside(settings, outbox, wanted, start=start)
            if told is None:
                raise
            documents = [_told(None, printable(Path(wanted).name), None, told)]
        else:
            documents = [_document(settings, outbox, subject, start=start) for subject in found]
    if as_json:
        print_json(documents)
        return
    for document in documents:
        click.echo(f"{document['name']} {document['told']}")


def _document(
    settings: "Settings", outbox: "Outbox", subject: "Capture | Entry", *, start: str
) -> dict[str, object]:
    from agent.clock import read_clock
    from agent.outbox.capture import Capture
    from agent.outbox.disk.owner import OwnerLock
    from agent.station.of_settings import api_host, state_folder
    from agent.station.whereabouts import Surroundings, whereabouts
    from agent.timetable import parse_timetable

    if isinstance(subject, Capture):
        called, ahead = subject.file_name, outbox.listing.captures_ahead_of(subject.id)
    else:
        called, ahead = subject.clip_code, outbox.listing.clips_ahead_of(subject.due_at)
    is_clip = not isinstance(subject, Capture)
    waits = {pause.part: pause.detail for pause in outbox.pauses.all()}
    first, now_s = outbox.outcomes.settled_first(), read_clock().utc_s
    around = Surroundings(
        now_s=now_s,
        follow_up=outbox.follow_ups.of_entry(subject.id) if is_clip else None,
        lane=outbox.lanes.get(api_host(settings)),
        runs=OwnerLock(state_folder(settings)).is_taken(),
        start=start,
        ahead=ahead,
        waits=waits.get("analysis"),
        opens_at=parse_timetable(settings.delivery.schedule).closed_until(now_s),
        first=None if first is None else first.name,
    )
    name = f"{subject.name} ({called})"
    told = whereabouts(subject, around) + _sent_anew(outbox, subject)
    return _told(subject.name, name, subject.state, told)


def _sent_anew(outbox: "Outbox", subject: "Capture | Entry") -> str:
    """Return how far a clip is on its way to the right athlete; nothing where it is on none."""
    from agent.outbox.capture import Capture
    from agent.outbox.resends import OPEN
    from agent.outbox.views.story import sent_anew_words

    resend = None if isinstance(subject, Capture) else outbox.resends.of_entry(subject.id)
    return "" if resend is None or resend.state not in OPEN else f"; {sent_anew_words(resend)}"


def _told(id_: str | None, name: str, state: str | None, told: str) -> dict[str, object]:
    return {"id": id_, "name": name, "state": state, "told": told}
