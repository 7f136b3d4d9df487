"""Asking the sandbox everything that the agent's client can ask, in good and in bad ways."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.api.client import ApiClient, ApiKey
from agent.api.contract import path_of, query_of, rendering_flags
from agent.api.documents import export_path, fetch_users, link_path, session_path
from agent.api.transfer import ClipBody
from agent.clock import read_clock
from agent.delivery.upload import upload_form
from agent.errors import UploadError
from agent.exercises import EXERCISES
from agent.outbox.models import Entry
from agent.sandbox.server import Sandbox
from tests.contract.playing import Exchanged, listening_to
from tests.factories import an_entry
from tests.station import ATHLETE, KEY

ADMIN = ApiKey(token=KEY, header="API-KEY")


def entries() -> list[Entry]:
    """Clips of every movement, with everything that can be told of them and with nothing."""
    plain = replace(an_entry(), user_id=ATHLETE)
    return [
        replace(
            plain,
            activity=activity,
            exercise=exercise,
            barbell_mass_kg=62.5 if activity == "weightlifting" and told else None,
            incline_deg=1.5 if activity != "weightlifting" and told else None,
        )
        for activity, exercises in EXERCISES.items()
        for exercise in exercises or (None,)
        for told in (True, False)
    ]


def ask_everything(sandbox: Sandbox) -> list[Exchanged]:
    """Return every exchange of a client that asks all there is."""
    with (
        tempfile.TemporaryDirectory() as folder,
        listening_to(sandbox.base_url) as (address, exchanged),
        ApiClient(address, now=read_clock, origin="https://gym.example") as client,
    ):
        video = Path(folder, "clip.mp4")
        video.write_bytes(b"v" * 1000)
        _ask(client, sandbox, lambda: ClipBody(video, on_last_part=lambda: None))
        return list(exchanged)


def _ask(client: ApiClient, sandbox: Sandbox, video: Callable[[], ClipBody]) -> None:
    client.ask("GET", path_of("sessions"), ADMIN)  # there are none yet
    client.find_sessions(ADMIN, "nothing")
    client.organization_status(ADMIN)
    fetch_users(lambda path: client.ask("GET", path, ADMIN), now_s=0.0)
    client.ask("GET", path_of("users"), ADMIN)
    client.ask("GET", path_of("user", user_uid=ATHLETE), ADMIN)
    client.ask("GET", path_of("user", user_uid="nobody"), ADMIN)
    made = []
    for entry in entries():
        for on_behalf in (True, False):
            form = upload_form(entry, on_behalf=on_behalf)
            with video() as body:
                told = client.upload(
                    form.path, fields=form.fields, file_name=form.file_name, body=body, key=ADMIN
                )
            made.append((entry, told.session_id))
    for progress_s in (-3600.0, 3600.0):  # while it is analysed, and afterwards
        sandbox.clock = partial(_shifted, progress_s)
        for entry, session_id in made:
            for place in (session_path, export_path, link_path):
                client.ask("GET", place(entry.activity, session_id), ADMIN)
            flags = rendering_flags(entry.activity)
            client.ask("POST", path_of("render", session_id=session_id), ADMIN, document=flags)
        client.documents(ADMIN, lambda _id, _told: None)
    client.find_sessions(ADMIN, entries()[0].clip_code)
    client.ask("GET", query_of("find_sessions", activity="Vertical Jump", limit="3"), ADMIN)
    _, first = made[0]
    client.change_session(first, ADMIN, {"created_at": "2026-11-24 09:30:00"})
    client.delete_session(first, ADMIN)
    client.delete_session(first, ADMIN)
    _ask_badly(client, sandbox, video, made[1])


def _shifted(shift_s: float) -> float:
    return read_clock().utc_s + shift_s


def _ask_badly(
    client: ApiClient, sandbox: Sandbox, video: Callable[[], ClipBody], one: tuple[Entry, str]
) -> None:
    """Ask what is refused: with a wrong key, a lesser one, and at the limit of the plan."""
    entry, session_id = one
    sandbox.add_key("lesser", role="user", uid="somebody")
    keys = [ApiKey(token="wrong", header="API-KEY"), ApiKey(token="lesser", header="API-KEY")]
    paths = [
        path_of("organization_status"),
        path_of("sessions"),
        query_of("find_sessions", title="x"),
        path_of("users"),
        query_of("find_users", limit="2"),
        session_path(entry.activity, session_id),
        export_path(entry.activity, session_id),
        link_path(entry.activity, session_id),
    ]
    form = upload_form(entry, on_behalf=True)
    for key in keys:
        for path in paths:
            client.ask("GET", path, key)
        client.change_session(session_id, key, {"title": "x"})
        client.delete_session(session_id, key)
    sandbox.plan_limit = 0
    for key in (*keys, ADMIN):
        with video() as body:
            try:
                client.upload(
                    form.path, fields=form.fields, file_name=form.file_name, body=body, key=key
                )
            except UploadError:
                continue
            raise AssertionError("it was not refused")
    client.ask("GET", query_of("find_sessions", start_date="2026-11-24"), ADMIN)
    client.change_session(session_id, ADMIN, {"created_at": "yesterday"})
