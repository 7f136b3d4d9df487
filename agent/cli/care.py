"""The commands `doctor`, `support`, `notify`, `backup` and `restore`."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from agent.backup import (
    STATION_BACKUP,
    BackupContent,
    Progress,
    restore_backup,
    settings_of_backup,
    write_backup,
)
from agent.cli.common import config_option, print_json, refusals_of, settings_of, standard_options
from agent.cli.formatting import size_words
from agent.clock import read_clock
from agent.daemon.systemd import SYSTEMD, unit_of
from agent.disk.state_folder import rewriting
from agent.doctor.check import CheckResult, Rounds, Severity, worst
from agent.doctor.runner import rounds
from agent.errors import ConfigError, NotifyError, RequestError
from agent.notifications.message import Notice, reverted_notice, trial_notice
from agent.notifications.stage import receiver_of
from agent.notifications.webhook import command_for_secret
from agent.settings import Settings, find_config, load_settings
from agent.settings.model import channels_of, read_webhook_secret, why_no_webhook_secret
from agent.stage import ignore_wake
from agent.support_bundle import journal_lines, write_archive
from agent.text import counted

_SIGNS = {"fine": "OK  ", "warning": "WARN", "broken": "FAIL"}
_COLOURS = {"fine": "green", "warning": "yellow", "broken": "red"}
_WRONG_SETTINGS = 78


@click.command()
@standard_options
def doctor(config: Path | None, as_json: bool) -> None:
    """Check the whole station, and say how to fix problems.

    Exit codes: 0 no failure (there may be warnings), 1 at least one FAIL, 78 invalid settings.
    A daemon that is not running is a FAIL if its unit is enabled or if something is waiting for
    it, otherwise a WARN.
    """
    path = find_config(config, os.environ)
    report_findings(rounds(path, explicit=config, now=read_clock()), as_json=as_json)


def report_findings(looks: Rounds, *, as_json: bool) -> None:
    """Run every check and print the findings; exit with 1 or 78 if anything is broken."""
    findings: list[CheckResult] = []
    for found in _carried_out(looks, shows=not as_json and sys.stdout.isatty()):
        findings += found
        if not as_json:
            for finding in found:
                _print(finding)
    state = worst(findings)
    if as_json:
        print_json({"worst": state, "checks": [*map(asdict, findings)]})
    else:
        _print_end(findings)
    if state is Severity.BROKEN:
        wrong = any(f.state is Severity.BROKEN and f.name == "settings" for f in findings)
        sys.exit(_WRONG_SETTINGS if wrong else 1)


def _carried_out(
    looks: Rounds, *, shows: bool, on_stderr: bool = False
) -> Iterator[list[CheckResult]]:
    """Yield the findings of each check; it may be shown on a line that the findings take over."""
    for name, look in looks:
        if shows:
            click.echo(f"\r\x1b[Kchecking: {name}", nl=False, err=on_stderr)
        found = look()
        if shows:
            click.echo("\r\x1b[K", nl=False, err=on_stderr)
        yield found


def _print(finding: CheckResult) -> None:
    sign = click.style(_SIGNS[finding.state], fg=_COLOURS[finding.state])
    click.echo(f"{sign} {finding.name:20} {finding.finding}")
    if finding.remedy:
        click.echo(f"{'':25} -> {finding.remedy}")


def _print_end(findings: list[CheckResult]) -> None:
    counts = {state: sum(f.state == state for f in findings) for state in _SIGNS}
    warnings = counted(counts["warning"], "warning")
    text = f"{counts['broken']} failed, {warnings}, {counts['fine']} OK"
    click.echo(f"\n{text}")
    first = next((f for f in findings if str(f.state) == "broken"), None)
    if first is not None:
        click.echo(f"Fix this first, {first.name}: {first.remedy}")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write.  [default: spotter-support-DATE.tar.gz in this folder]",
)
@config_option
def support(out: Path | None, config: Path | None) -> None:
    """Create a support bundle.

    It contains the report of spotter doctor, settings, versions, counts and recent events, but
    no keys, PINs, names, file names or pictures; athletes appear under pseudonyms.
    """

    now = read_clock()
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(now.utc_s))
    target = out or Path(f"spotter-support-{moment}.tar.gz")
    if not os.access(target.parent, os.W_OK):  # before the doctor takes its time
        why = "Permission denied" if target.parent.exists() else "No such file or directory"
        raise RequestError(f"{target}: {why}", hint="choose another file: --out FILE")
    path = find_config(config, os.environ)
    looks = rounds(path, explicit=config, now=now)
    carried_out = _carried_out(looks, shows=sys.stderr.isatty(), on_stderr=True)
    findings = [asdict(finding) for found in carried_out for finding in found]
    settings, journal = _settings(config), journal_lines(unit=unit_of(path))
    with refusals_of(target, hint="choose another file: --out FILE"):
        names = write_archive(target, settings, findings=findings, journal=journal, now=now)
    click.echo(f"{target}: {', '.join(names)}")
    if settings is None:
        click.echo(
            "Settings and counts are missing: see doctor.json (permissions: sudo spotter support)"
        )
    if not journal and SYSTEMD.is_dir():
        click.echo("The service's log is missing, this user may not read it: sudo spotter support")
    click.echo(f"Review it before you send it: tar -xOzf {target} | less")


def _settings(config: Path | None) -> Settings | None:
    try:
        return load_settings(config)
    except ConfigError:
        return None  # the archive's first finding


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

    settings = settings_of(config)
    if not channels_of(settings.webhook, settings.mqtt):
        raise ConfigError(
            "no notification receiver is configured", hint="set webhook.url or mqtt.host"
        )
    _send_to_all(trial_notice(station=settings.station.id, at=read_clock().utc_s), settings)


@notify.command("reverted")
@click.argument("version")
@click.argument("failed")
@click.option("--reason", required=True, metavar="TEXT", help="Why FAILED does not work here.")
@config_option
def reverted(version: str, failed: str, reason: str, config: Path | None) -> None:
    """Notify that an update to FAILED was reverted to VERSION.

    spotter-update calls it.  Every configured receiver gets the event station.update_reverted once;
    without a receiver nothing is sent.
    """
    settings = settings_of(config)
    told = reverted_notice(
        version, failed, reason, station=settings.station.id, at=read_clock().utc_s
    )
    _send_to_all(told, settings)


def _send_to_all(notice: Notice, settings: Settings) -> None:
    names = channels_of(settings.webhook, settings.mqtt)
    faults = []
    for name in names:
        try:
            _send(name, notice, settings)
        except NotifyError as fault:
            faults.append(fault)
            click.echo(f"{name}: {fault}", err=True)
        else:
            click.echo(f"{name}: sent to {_place(name, settings)}")
    if faults:
        raise NotifyError(
            f"{len(faults)} of {len(names)} receivers did not accept the notification"
        )


def _send(name: str, notice: Notice, settings: Settings) -> None:
    """Send the notice.

    Raises:
        ConfigError: there is no secret to sign with.
        NotifyError: it was not taken.
    """

    webhook = settings.webhook
    if name == "webhook" and read_webhook_secret(webhook, os.environ) is None:
        why = why_no_webhook_secret(webhook, os.environ)
        raise ConfigError(
            why or f"webhook secret file {webhook.secret_file} is missing or empty",
            hint=command_for_secret(webhook.secret_file),
        )
    receiver = receiver_of(name, settings, check=ignore_wake, role="test")
    try:
        receiver.keep_up()
        receiver.send(notice)
    finally:
        receiver.close()


def _place(name: str, settings: Settings) -> str:
    if name == "webhook":
        return settings.webhook.place
    host, port = settings.mqtt.address
    return f"{host}:{port}"


_archive = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_archive
@click.option("--without-videos", is_flag=True, help="Only records and settings.")
@standard_options
def backup(file: Path, without_videos: bool, config: Path | None, as_json: bool) -> None:
    """Back up the station to FILE, a tar archive.

    The station may keep running; the archive is consistent.  It holds the records, the settings,
    and recordings, clips and results, but neither the API key nor the key of the page's
    certificate.  It contains videos and names of people: protect it like the box itself.
    """
    settings = settings_of(config)
    content = write_backup(
        file,
        settings.paths.state,
        find_config(config, os.environ),
        station=settings.station.id,
        videos=not without_videos,
        now=read_clock(),
        progress=shown_progress("written"),
    )
    if as_json:
        print_json(backup_summary(content))
        return
    click.echo(f"{file}: {counted(len(content.files), 'file')}, {size_words(content.size_bytes)}")
    if without_videos and content.unsent:
        waiting = counted(content.unsent, "clip")
        click.echo(f"  {waiting} not delivered yet: without videos, not in this backup", err=True)


@click.command()
@_archive
@click.option("--settings-only", is_flag=True, help="Restore only the settings.")
@standard_options
def restore(file: Path, settings_only: bool, config: Path | None, as_json: bool) -> None:
    """Restore a station from FILE, a backup of spotter backup.

    Existing settings stay; without any, those of the backup are restored. The state folder must
    not hold records, and no daemon may run on it.  Afterwards every clip is looked up at the API
    before it is sent: what the old box sent since the backup is not sent again.
    """
    found = settings_of_backup(file)
    path = find_config(config, os.environ)
    content = None
    with placed_settings(path, found) as is_new:
        settings = settings_of(path)
        if not settings_only:
            progress = shown_progress("restored")
            content = restore_backup(file, settings.paths.state, progress=progress)
    if as_json:
        restored = None if content is None else backup_summary(content)
        print_json({"settings": str(path), "settings_restored": is_new, "state": restored})
        return
    if is_new:
        click.echo(f"settings restored: {path}")
    elif path.read_bytes() != found:
        entry = STATION_BACKUP.settings_entry
        click.echo(f"settings kept: {path} (those of the backup: tar -xOf {file} {entry})")
    if content is not None:
        click.echo(
            f"{settings.paths.state} restored: {counted(len(content.files), 'file')} of station "
            f"{content.station}, {content.made_at}"
        )
        click.echo("Do not start the old box again as this station.")
    click.echo("Next: the API key, if it is missing, then spotter doctor")


@contextmanager
def placed_settings(path: Path, found: bytes) -> Iterator[bool]:
    """Give the settings of a backup their place, and take them back where it is not restored.

    Yields False where there are others, which stay.

    Raises:
        RequestError: they cannot be written.
    """
    is_new = not path.exists()
    if is_new:
        with refusals_of(path, hint="use sudo"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with rewriting(path, 0o640) as written:
                written.write(found)
    try:
        yield is_new
    except BaseException:
        if is_new:
            path.unlink(missing_ok=True)
        raise


def backup_summary(content: BackupContent) -> dict[str, object]:
    """Return what an archive holds, ready for JSON."""
    return {
        "station": content.station,
        "made_at": content.made_at,
        "version": content.version,
        "videos": content.has_videos,
        "unsent": content.unsent,
        "files": len(content.files),
        "bytes": content.size_bytes,
    }


def shown_progress(what: str) -> Progress:
    """Return what shows progress in a terminal, and nothing elsewhere."""

    def show(done: int, size: int) -> None:
        if sys.stderr.isatty():
            end = "\r\x1b[K" if done >= size else ""
            click.echo(
                f"\r\x1b[K{what}: {size_words(done)} of {size_words(size)}{end}", nl=False, err=True
            )

    return show
