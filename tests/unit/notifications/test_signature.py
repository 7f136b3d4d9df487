"""The headers of a webhook are those of Standard Webhooks."""

import base64

import pytest

from agent.notifications.webhook import signed_headers, signing_key


def test_the_specifications_own_example_is_signed_as_its_libraries_sign_it() -> None:
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        key=signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        now_s=1_614_265_330.9,
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("size", [24, 64])
def test_a_secret_is_its_base64_with_its_prefix_or_without(size: int) -> None:
    coded = base64.b64encode(bytes(size)).decode()

    assert signing_key(f"whsec_{coded}") == signing_key(coded) == bytes(size)


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_secret_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        signing_key("whsec_" + base64.b64encode(bytes(size)).decode())


@pytest.mark.parametrize("secret", ["whsec_", "the secret of the file", "whsec_äöü", "whsec_AAA"])
def test_what_is_no_base64_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="the secret") as refused:
        signing_key(secret)

    assert secret not in str(refused.value).replace("whsec_ and", "")
