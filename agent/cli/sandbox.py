"""spotter sandbox."""

from pathlib import Path

import click

from agent.cli.common import config_option
from agent.errors import BusyError


class _WithFaults(click.Command):
    """A command whose help ends with the list of faults."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from agent.sandbox.faults import PLACES, fault_lines

        formatter.write_paragraph()
        formatter.write_text(
            "A FAULT is WHAT[:option=value,...][@WHERE][*COUNT]: WHERE is one of "
            f"{', '.join(PLACES)}; COUNT is a number or always, once if absent; the option "
            "after=N lets N requests pass first.  WHAT is one of:"
        )
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_dl(fault_lines())
        super().format_epilog(ctx, formatter)


@click.command(cls=_WithFaults)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0 takes any free one.",
)
@click.option("--key", default="sandbox-key", show_default=True, help="The key it accepts.")
@click.option("--role", type=click.Choice(["admin", "user"]), default="admin", show_default=True)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Play a fault, such as 503, 429:retry-after=5, lost-answer, cut:at=50@upload*2.",
)
@click.option("--tls", is_flag=True, help="Speak TLS, with an authority of its own.")
@click.option(
    "--processing",
    "processing",
    default="5",
    show_default=True,
    metavar="SECONDS",
    help="Until a session's analysed video is there; of 2-90, each session draws its own.",
)
@click.option("--seed", default=0, show_default=True, help="Of what is drawn by chance.")
@click.option(
    "--link-seconds",
    "link_s",
    default=3600.0,
    show_default=True,
    help="How long a link to a video opens it.",
)
@click.option(
    "--keep",
    "keep_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the received videos here.",
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
    config: Path | None,  # noqa: ARG001  # every command takes it; the sandbox has its own options
) -> None:
    """Run a local stand-in for the API.

    It is strict about the contract, and keeps books of every session and request.
    """
    from agent.sandbox.command import serve
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
            f"port {port}: {error.strerror}", hint="spotter sandbox --port 0 takes a free one"
        ) from None
    serve(server, click.echo)
