"""Row 12 of the faults a station meets: 413 while the body is under way."""

import hashlib
import socket
import threading
from dataclasses import replace

import pytest

from agent.api.client import ApiKey
from agent.api.transfer import ClipBody
from agent.errors import RefusedError
from agent.outbox.models import ClipFile
from agent.sandbox.server import Sandbox
from agent.stage import ignore_wake
from agent.station import clip_actions
from tests.integration.delivery.conftest import LARGE, World, way_to
from tests.station import KEY


@pytest.mark.parametrize("fault", ["413:early", "413:early,body=html", "413"])
def test_too_large_is_understood_while_the_body_is_under_way(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    world.add(1)
    world.run()
    sandbox.add_fault(fault)
    world.add(2, size_bytes=LARGE)

    world.run()

    entry = world.entry(2)
    assert (entry.state, entry.reason) == ("dead", "http_413")
    assert "the clip has 20.0 MB" in str(entry.detail) and "0.2 MB" in str(entry.detail)
    world.check_fresh_clip_flows()
    clip_actions.retry(world.outbox, world.entry(2), now_s=world.clock_s)
    world.run(60)
    world.check_delivered_once(sandbox, 3)


def test_a_station_that_allows_it_sends_a_smaller_rendition_and_none_smaller_still(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1)
    world.run()
    world.smaller_if_too_large = True
    world.start()
    sandbox.add_fault("413*2")
    entry = world.add(2)
    clip = ClipFile(
        stored_name=entry.stored_name,
        sha256=entry.clip_sha256,
        size_bytes=entry.clip_bytes,
        seconds=entry.clip_seconds,
        cut_method="copy",
    )
    assert world.outbox.files.mend(entry, clip, now_s=world.clock_s) is not None

    world.run()

    entry = world.entry(2)
    assert (entry.state, entry.reason) == ("held", "too_large")
    path = world.folder.clips / entry.stored_name
    path.write_bytes(b"half of it")
    half = hashlib.sha256(b"half of it").hexdigest()
    smaller = replace(clip, sha256=half, size_bytes=10)
    assert world.outbox.files.make_smaller(entry, smaller, now_s=world.clock_s) is not None
    world.run()
    entry = world.entry(2)
    assert (entry.state, entry.reason) == ("dead", "http_413")
    assert entry.remarks == ("smaller_rendition",)


@pytest.mark.parametrize("lingers", [True, False])
def test_too_large_said_to_the_head_alone_is_understood_however_the_server_closes(
    world: World, lingers: bool
) -> None:
    entry = world.add(size_bytes=LARGE)
    path = world.folder.clips / entry.stored_name
    told = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(told)
            if lingers:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 20):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = threading.Thread(target=answer, args=(listener,))
        server.start()
        with (
            way_to(world, base_url) as there,
            ClipBody(path, on_last_part=ignore_wake) as body,
            pytest.raises(RefusedError) as refused,
        ):
            key = ApiKey(token=KEY, header="API-KEY")
            there.client.upload("/x/", fields={}, file_name="a.mp4", body=body, key=key)
        server.join()

    assert refused.value.status == 413
