"""A request is for this page and from this page, or it is refused."""

import pytest

from agent.web.auth import Hosts, RequestOrigin, comes_from_here

ALONE = Hosts.of("127.0.0.1", own_name="box", more=())
ON_NETWORK = Hosts.of("192.168.1.2", own_name="Box", more=("rack.gym.example",))


@pytest.mark.parametrize("host", ["127.0.0.1:8377", "localhost:8377", "[::1]:8377", "localhost"])
def test_a_page_of_this_box_alone_is_called_by_loopback_names(host: str) -> None:
    assert ALONE.knows(host) and ON_NETWORK.knows(host)


@pytest.mark.parametrize(
    "host", ["192.168.1.5:8377", "box:8377", "BOX.local:8377", "rack.gym.example", "[fe80::1]:80"]
)
def test_a_page_on_the_network_is_called_by_its_names_and_addresses(host: str) -> None:
    assert ON_NETWORK.knows(host)
    assert not ALONE.knows(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8377", "a b"),
        *("user@127.0.0.1", "127.0.0.1:8377/x", "127.0.0.1:", "[::1", "127.0.0.1:8377, x", "\x00"),
    ],
)
def test_every_other_name_is_refused(host: str) -> None:
    assert not ALONE.knows(host) and not ON_NETWORK.knows(host)


def call(method: str = "POST", **said: str | bool | None) -> RequestOrigin:
    plain = {"host": "box:8377", "origin": None, "site": None, "mode": None}
    return RequestOrigin(method=method, **{**plain, **said})  # type: ignore[arg-type]  # as each is


def test_a_change_comes_from_this_page() -> None:
    assert comes_from_here(call(origin="http://box:8377"))
    assert comes_from_here(call(origin="https://BOX:8377"))  # TLS may end before this box


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://box:8378", "http://box", "file://box:8377", "http://["],
)
def test_a_change_from_elsewhere_is_refused(origin: str) -> None:
    assert not comes_from_here(call(origin=origin))
    assert not comes_from_here(call(origin=origin, site="same-origin"))
    assert not comes_from_here(call("GET", origin=origin))


def test_a_change_that_does_not_say_where_it_comes_from_is_refused() -> None:
    assert not comes_from_here(call())
    assert not comes_from_here(call(site="same-origin"))
    assert not comes_from_here(call(site="same-site"))
    assert not comes_from_here(call(site="none"))


def test_a_program_with_a_token_of_its_own_says_no_origin_and_a_browser_with_one_does() -> None:
    assert comes_from_here(call(has_bearer=True))
    assert not comes_from_here(call(has_bearer=True, origin="http://evil.example"))


def test_a_page_may_be_typed_scanned_and_linked_to_but_not_embedded() -> None:
    assert comes_from_here(call("GET"))
    assert comes_from_here(call("GET", site="none", mode="navigate"))
    assert comes_from_here(call("GET", site="cross-site", mode="navigate"))
    assert not comes_from_here(call("GET", site="cross-site", mode="no-cors"))
    assert not comes_from_here(call("GET", site="same-site", mode="cors"))
