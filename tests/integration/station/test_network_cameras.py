"""Cameras are found by their answers to one question in the network."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from agent.station.network import NetworkCamera, camera_of, find_cameras

_ANSWER = (
    "<SOAP-ENV:Envelope><wsa:RelatesTo>uuid:{id}</wsa:RelatesTo><d:ProbeMatches><d:ProbeMatch>"
    "<d:Types>tdn:NetworkVideoTransmitter</d:Types><d:Scopes>{scopes}</d:Scopes>"
    "<d:XAddrs>http://10.9.9.9/onvif/device_service</d:XAddrs></d:ProbeMatch></d:ProbeMatches>"
    "</SOAP-ENV:Envelope>"
)
_SCOPES = "onvif://www.onvif.org/name/Gym%20camera onvif://www.onvif.org/hardware/DS-2CD"


@contextmanager
def answering(*answers: str) -> Iterator[tuple[str, int]]:
    """Let somebody answer one question, as cameras do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        link.settimeout(30)

        def answer() -> None:
            question, asker = link.recvfrom(65536)
            asked = re.search(rb"uuid:([0-9a-f-]+)", question)
            assert asked is not None and b"Probe" in question
            for one in answers:
                link.sendto(one.replace("{id}", asked[1].decode()).encode(), asker)

        thread = threading.Thread(target=answer)
        thread.start()
        yield link.getsockname()
        thread.join()


def test_a_camera_is_shown_where_its_answer_came_from_and_by_its_own_name() -> None:
    strange = "<html>{id}</html>"
    with answering(strange, _ANSWER.replace("{scopes}", _SCOPES)) as everybody:
        found = find_cameras(within_s=2.0, everybody=everybody)
    assert found == [NetworkCamera(host="127.0.0.1", name="Gym camera DS-2CD")]


def test_an_answer_to_another_question_is_passed_over_and_signs_are_shown_as_they_can_be() -> None:
    nasty = _ANSWER.replace("{scopes}", "onvif://www.onvif.org/name/%1b%5b2J%00x")
    assert camera_of(nasty.replace("{id}", "other").encode(), "10.0.0.7", "mine") is None
    camera = camera_of(nasty.replace("{id}", "mine").encode(), "10.0.0.7", "mine")
    assert camera is not None and camera.name.isprintable()
    nameless = _ANSWER.replace("{scopes}", "").replace("{id}", "mine")
    assert camera_of(nameless.encode(), "10.0.0.7", "mine") == NetworkCamera(
        host="10.0.0.7", name="10.0.0.7"
    )


def test_without_answers_there_are_no_cameras() -> None:
    with answering() as everybody:
        assert find_cameras(within_s=0.2, everybody=everybody) == []
