"""Whatever is asked, the page answers in order: no failure of its own, and nothing of the box."""

import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.web.app import ROUTES
from agent.web.routing import Endpoint, PostEndpoint, WebContext
from tests.factories import ready_entry
from tests.served_page import ServedPage

SECRET_PLACES = [
    *("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"),
    *("/clip/..%2f..%2foutbox.db", "/clip/../outbox.db", "/picture/..%2f..%2fpage-secret.jpg"),
    *("/clip/k3x9q2m4pd%00.mp4", "/page-secret", "/outbox.db", "/picture/%2e%2e%2foutbox.db.jpg"),
    *("/static/page.js", "/templates/start.html", "/page.js/x", "/clip/C:%5Cwindows", "/%ff%fe"),
]
VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            *(
                "",
                "0",
                "-1",
                "1",
                "5",
                "-5",
                "1e9",
                "nan",
                "inf",
                "yes",
                "no",
                "on",
                "30",
                "9" * 30,
            ),
            *("running", "weightlifting", "snatch", "Drop Jump", "someUserId123", "guest:1"),
            *(
                "guest:99999999999999999999",
                "k3x9q2m4pd",
                "' OR 1=1 --",
                "<script>",
                "\x00",
                "\ud7ff",
            ),
            "x" * 3000,
        ]
    ),
    st.integers().map(str),
    st.floats().map(str),
)


@pytest.fixture(scope="module")
def coach(page: ServedPage) -> Iterator[httpx.Client]:
    ready_entry(page.outbox, 1)
    with page.client(page.session()) as client:
        yield client


def in_order(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (answer.request.url, answer.request.content)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Traceback" not in answer.text


def path_of(place: Endpoint[WebContext], values: list[str]) -> str:
    given_values = iter(values)

    def fill(_found: re.Match[str]) -> str:
        return re.sub(r"[^\w.~%-]", "_", next(given_values, "1")) or "_"

    return re.sub(r"\{[^}]+\}", fill, place.path)


_ASKED = ("q", "v", "days", "number")
DOING: list[Endpoint[WebContext]] = [place for place in ROUTES if isinstance(place, PostEndpoint)]
SEEING = [place for place in ROUTES if place.method == "GET" and not place.path.endswith("/live")]


@pytest.mark.parametrize("place", DOING, ids=lambda p: p.path)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_form_brings_the_page_down(
    coach: httpx.Client, place: Endpoint[WebContext], data: st.DataObject
) -> None:
    assert isinstance(place, PostEndpoint)
    if place.path in {"/leave", "/login"}:
        return  # would end the session, or use up the guesses
    known = [*place.form.model_fields, "extra"]
    fields = data.draw(
        st.dictionaries(st.sampled_from(known), st.one_of(VALUES, st.lists(VALUES, max_size=3)))
    )
    path = path_of(place, [data.draw(st.sampled_from(["1", "7", "9" * 25, "k3x9q2m4pd", "x"]))])
    in_order(coach.post(path, data=fields))


@pytest.mark.parametrize("place", SEEING, ids=lambda p: p.path)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=VALUES, query=VALUES, kept=VALUES)
def test_no_path_query_or_header_brings_the_page_down(
    coach: httpx.Client, place: Endpoint[WebContext], value: str, query: str, kept: str
) -> None:
    printable = "".join(sign for sign in kept if " " < sign < "\x7f")
    headers = {"range": f"bytes={printable}", "if-range": "x", "accept": "text/html"}
    in_order(
        coach.get(path_of(place, [value]), params=dict.fromkeys(_ASKED, query), headers=headers)
    )


@pytest.mark.parametrize("path", SECRET_PLACES)
def test_no_path_leads_out_of_the_page(page: ServedPage, coach: httpx.Client, path: str) -> None:
    answer = coach.get(httpx.URL(page.origin).copy_with(raw_path=path.encode()))

    in_order(answer)
    assert answer.status_code in {400, 404}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a=1" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a%d=1" % n for n in range(1000)), "application/x-www-form-urlencoded", 400),
        (b"key=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b'{"key": "x"}', "application/json", 415),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
        (b"", "application/x-www-form-urlencoded", 422),
    ],
)
def test_bodies_are_bounded_and_forms_alone(
    coach: httpx.Client, body: bytes, kind: str, status: int
) -> None:
    answer = coach.post("/assign", content=body, headers={"content-type": kind})

    in_order(answer)
    assert answer.status_code == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_other_methods_are_refused(coach: httpx.Client, method: str) -> None:
    answer = coach.request(method, "/assign")

    in_order(answer)
    assert answer.status_code == 405


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
)
def test_what_is_no_request_for_this_page_gets_nothing_of_it(page: ServedPage, sent: bytes) -> None:
    host, _, port = page.settings.web.listen.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        answer = connection.recv(65536)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 303 ")) or answer == b""
