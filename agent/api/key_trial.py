"""Tries a key: asks the API whose it is, before anything is sent with it."""

from agent.api.client import KEY_HEADERS, STATUS_PATH, ApiClient, ApiKey
from agent.api.responses import ApiResponse
from agent.api.transfer import Timeouts
from agent.clock import Now
from agent.errors import ApiUnavailableError
from agent.settings.model import ApiSettings

WAIT_S = 10.0


def ask_whose_key(api: ApiSettings, token: str, *, now: Now) -> ApiResponse:
    """Return the answer to the first form of the key that the host takes, else the last one.

    Raises:
        ApiUnavailableError: nobody answered, or the host rejects the key everywhere.
    """
    headers = KEY_HEADERS if api.key_header == "auto" else (api.key_header,)
    keys = [ApiKey(token=token, header=header) for header in headers]
    with ApiClient(
        api.base_url,
        now=now,
        timeouts=Timeouts(connect_s=min(api.connect_timeout_s, WAIT_S), answer_s=WAIT_S),
        ca_file=api.ca_file,
        origin=api.origin,
    ) as client:
        for key in keys:
            answer = client.ask("GET", STATUS_PATH, key)
            if answer.status != 401:
                break
        if answer.status == 403 and not client.opens_anything(key):
            told = f"the API rejects the key everywhere: {answer.error_words()}"
            raise ApiUnavailableError(told, reason="domain", status=403)
    return answer
