"""spotter sandbox."""

from pathlib import Path

import click

from agent.cli.common import config_option
from agent.errors import BusyError

EXAMPLES = (
    ("spotter sandbox", "no faults"),
    ("spotter sandbox --fault 503", "the first upload fails with 503"),
    ("spotter sandbox --fault lost-answer*3", "three responses are lost"),
    ("spotter sandbox --fault 401@any*always", "every request is rejected (401)"),
)
_FORM = """\
WHAT[:OPTION,...][@PLACE][*COUNT].  It happens once, COUNT times or always, where its group
says or at PLACE: {places}.  Every fault accepts after=N: the first N requests pass.
"""


class _WithFaults(click.Command):
    """A command whose help begins with examples and ends with the faults."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        with formatter.section("Examples"):
            formatter.write_dl(EXAMPLES, col_max=40)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from agent.sandbox.kinds import GROUPS, PLACES, STATUS, STATUS_OPTIONS

        with formatter.section("A FAULT"):
            formatter.write_text(_FORM.format(places=", ".join(PLACES)))
        with formatter.section("A status code as the response, to an upload or at a PLACE"):
            options = [(f"STATUS:{option}", words) for option, words in STATUS_OPTIONS.items()]
            formatter.write_dl([("STATUS", STATUS.words), *options])
        for group in GROUPS:
            with formatter.section(group.title):
                formatter.write_dl([(k.form(name), k.words) for name, k in group.kinds.items()])
        super().format_epilog(ctx, formatter)


@click.command(cls=_WithFaults)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0: any free port.",
)
@click.option("--key", default="sandbox-key", show_default=True, help="The accepted API key.")
@click.option(
    "--role",
    type=click.Choice(["admin", "subadmin", "user"]),
    default="admin",
    show_default=True,
    help="Role of the key's owner; a user's key acts for its owner only.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Inject a fault from the list below; may be repeated.",
)
@click.option("--tls", is_flag=True, help="Use TLS, with its own certificate authority.")
@click.option(
    "--processing",
    "processing",
    default="5",
    show_default=True,
    metavar="SECONDS",
    help="Time until a session is analysed; 2-90: random per session.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@click.option(
    "--link-seconds",
    "link_s",
    default=3600.0,
    show_default=True,
    help="How long a video link is valid.",
)
@click.option(
    "--plan-limit",
    type=click.IntRange(0),
    metavar="N",
    help="Session limit of the plan; further uploads get 404.",
)
@click.option("--per-user", is_flag=True, help="The session limit applies per athlete.")
@click.option(
    "--allowed-domain",
    metavar="D",
    help="The domain the key is bound to; requests need it as Origin.",
)
@click.option(
    "--athletes",
    type=click.IntRange(1, 20_000),
    metavar="N",
    help="Number of athletes, with names in many scripts.",
)
@click.option(
    "--sessions",
    "old_sessions",
    type=click.IntRange(0, 1_000_000),
    default=0,
    metavar="N",
    help="Number of old sessions in the account.",
)
@click.option(
    "--keep",
    "keep_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Store received videos in this folder.",
)
@config_option
def sandbox(
    port: int,
    key: str,
    role: str,
    faults: tuple[str, ...],
    tls: bool,
    processing: str,
    seed: int,
    link_s: float,
    keep_dir: Path | None,
    plan_limit: int | None,
    per_user: bool,
    allowed_domain: str | None,
    athletes: int | None,
    old_sessions: int,
    config: Path | None,  # noqa: ARG001  # every command takes it; the sandbox has its own options
) -> None:
    """Run a local sandbox of the API.

    It validates requests against the API contract and records every session and request.
    """
    from agent.sandbox.command import serve
    from agent.sandbox.people import roster
    from agent.sandbox.processing import parse_span
    from agent.sandbox.server import Sandbox

    try:
        server = Sandbox(
            port=port,
            key=key,
            role=role,
            faults=faults,
            processing_s=parse_span(processing),
            seed=seed,
            keep_dir=keep_dir,
            tls=tls,
            link_s=link_s,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise BusyError(
            f"port {port}: {error.strerror}", hint="use a free port: spotter sandbox --port 0"
        ) from None
    if per_user and plan_limit is None:
        raise click.UsageError("--per-user needs --plan-limit")
    server.plan_limit, server.limit_is_per_user = plan_limit, per_user
    server.allowed_domain, server.old_sessions = allowed_domain, old_sessions
    if athletes is not None:
        server.athletes = roster(athletes)
    serve(server, click.echo)
