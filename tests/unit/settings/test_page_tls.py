"""The page speaks TLS in a network, unless the settings say otherwise in so many words."""

import pytest

from agent.card_reader import own_page
from agent.settings.model import WebSettings
from agent.station.network import page_address


@pytest.mark.parametrize(
    ("listen", "tls", "certificate"),
    [
        ("127.0.0.1:8377", "auto", None),
        ("[::1]:8377", "auto", None),
        ("localhost:8377", "auto", None),
        ("0.0.0.0:8377", "auto", "own"),
        ("192.168.1.7:8377", "auto", "own"),
        ("[::]:8377", "auto", "own"),
        ("127.0.0.1:8377", "own", "own"),
        ("0.0.0.0:8377", "off", None),
    ],
)
def test_links_and_readers_have_the_scheme_that_the_page_speaks(
    listen: str, tls: str, certificate: str | None
) -> None:
    settings = WebSettings.model_validate({"listen": listen, "tls": tls, "pin": "482913"})

    assert settings.certificate == certificate
    scheme = "https://" if certificate else "http://"
    assert page_address(settings).startswith(scheme) and own_page(settings).startswith(scheme)


def test_a_station_in_the_network_has_tls_by_default() -> None:
    assert WebSettings.model_validate({"listen": "0.0.0.0:8377", "pin": "482913"}).certificate
