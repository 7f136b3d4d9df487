"""The man page spotter(1), made of the commands' own help texts; the Debian package holds it."""

import datetime as dt
import os
import sys
from collections.abc import Iterator

import click

from agent import __version__
from agent.cli import spotter

_WIDTH = 78


def manual(*, day: dt.date) -> str:
    """Return the man page, in roff: each command's help as the terminal shows it.

    Args:
        day: the date in its footer.
    """
    lines = [
        f'.TH SPOTTER 1 "{day.isoformat()}" "Spotter {__version__}" "User commands"',
        ".SH NAME",
        "spotter \\- agent beside a gym station: one clip of every take, delivered to an API",
        ".SH SYNOPSIS",
        ".B spotter",
        ".I COMMAND",
        "[\\fIOPTION\\fR]...",
        ".SH DESCRIPTION",
        *_verbatim(spotter.get_help(_context(spotter, "spotter", None))),
        ".SH COMMANDS",
    ]
    for title, text in _helps(spotter, "spotter", None):
        lines += [f'.SS "{title}"', *_verbatim(text)]
    lines += [
        ".SH FILES",
        ".I /etc/spotter/station.toml",
        "the station's settings",
        ".br",
        ".I /etc/spotter/api-key",
        "the API key",
        ".br",
        ".I /var/lib/spotter",
        "recordings, clips and the outbox",
        ".SH SEE ALSO",
        "The guides in /usr/share/spotter\\-agent/docs.",
    ]
    return "\n".join(lines) + "\n"


def _helps(
    group: click.Group, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    context = _context(group, name, parent)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None  # its group lists it
        if command.hidden:
            continue
        yield f"{name} {word}", command.get_help(_context(command, word, context))
        if isinstance(command, click.Group):
            for title, text in _helps(command, word, context):
                yield f"{name} {title}", text


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return command.context_class(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH
    )


def _verbatim(text: str) -> list[str]:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return [".nf", *(f"\\&{line}" for line in escaped.splitlines()), ".fi"]


if __name__ == "__main__":
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = float(epoch) if epoch else dt.datetime.now(dt.UTC).timestamp()
    sys.stdout.write(manual(day=dt.datetime.fromtimestamp(moment, dt.UTC).date()))
