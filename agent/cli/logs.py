"""spotter logs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
    config_option,
    json_option,
    local_time,
    opened_outbox,
    print_json,
    settings_of,
)

if TYPE_CHECKING:
    from agent.outbox.capture import Capture
    from agent.outbox.entry import Entry
    from agent.outbox.store import Outbox

_RECENT = 50


@click.command()
@click.argument("code", required=False)
@config_option
@json_option
def logs(code: str | None, config: Path | None, as_json: bool) -> None:
    """Show the event log (of one clip).

    From the outbox and, where available, the systemd journal.  CODE is a clip code, file,
    session id, c12 or e7.  Without CODE: the latest events of the station.
    """
    from agent.station.finding import find_all

    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        if code is None:
            documents = [_latest(outbox)]
        else:
            documents = [_story(outbox, subject) for subject in find_all(outbox, code)]
    if as_json:
        print_json(documents)
        return
    for document in documents:
        _print(document)


def _story(outbox: "Outbox", subject: "Capture | Entry") -> dict[str, object]:
    from agent.outbox.capture import Capture
    from agent.outbox.views.story import story
    from agent.support.journal import journal_lines

    if isinstance(subject, Capture):
        matches = [f"SPOTTER_CAPTURE={subject.name}"]
    else:
        captures = outbox.entries.captures_of(subject.id)
        matches = [
            f"SPOTTER_CLIP={subject.clip_code}",
            f"SPOTTER_ENTRY={subject.name}",
            *(f"SPOTTER_CAPTURE=c{number}" for number in captures),
        ]
    return {
        "of": subject.name,
        "story": story(outbox, subject)["story"],
        "journal": journal_lines(*matches),
    }


def _latest(outbox: "Outbox") -> dict[str, object]:
    from agent.clock import iso_utc
    from agent.outbox.events import EventKind
    from agent.outbox.views.life import event_words

    lines = []
    for name, event in outbox.events.recent(most=_RECENT):
        if event.what is EventKind.ATTEMPT:
            continue  # what came of it follows
        told = event_words(event, of_capture=name.startswith("c"))
        lines.append({"at": iso_utc(event.at), "what": f"{name} {told}"})
    return {"of": "everything", "story": lines, "journal": []}


def _print(document: dict[str, object]) -> None:
    story, journal = document["story"], document["journal"]
    assert isinstance(story, list) and isinstance(journal, list)  # made above
    if not story and not journal:
        click.echo("no events yet")
        return
    here = local_time()
    click.echo(f"{document['of']} (times in {here.zone}):")
    for line in story:
        click.echo(f"  {here.moment_or(line['at'])}  {line['what']}")
    for line in journal:
        click.echo(f"  {line}")
