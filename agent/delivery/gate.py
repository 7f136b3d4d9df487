"""Whether the lane to the API is open: it pauses as a whole, probes alone, and heals alone.

Network, key, certificate and the server's own wish to be left alone pause the lane; nothing of
that is counted against a clip.  A paused lane asks for the account and nothing else, one
question at a time.  No upload is begun before this host has answered for this very key.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog

from agent.api.client import KEY_HEADERS, ApiClient, ApiKey
from agent.api.payloads import Account
from agent.clock import Now
from agent.errors import LaneError
from agent.outbox.backoff import Backoff
from agent.outbox.lanes import LaneState
from agent.outbox.states import EntryState, Reason
from agent.outbox.store import Outbox

_PROBES = Backoff(base_s=2.0, longest_s=60.0)
_LOOK_AT_KEY_S = 15.0  # how often a paused lane looks whether the key was changed
# Pauses that a good answer about the account says nothing against: uploads alone fail.
_UPLOADS_FAIL = frozenset({"server_asks_to_wait", "many_clips_fail", "not_our_api"})
# What a key could not do, another one may be able to: nobody needs to release these by hand.
_KEYS_FAULT = frozenset(
    {Reason.KEY_CANNOT_SEND, Reason.REFUSED_FOR_ATHLETE, Reason.ACTIVITY_NOT_IN_PLAN}
)

ReadKey = Callable[[], str | None]

log = structlog.get_logger(stage="delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """An open lane: the key and what may be done with it."""

    key: ApiKey
    uid: str
    acts_for_others: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """What the operator laid down about the key; `auto` is found out."""

    header: Literal["auto", "Authorization", "API-KEY"] = "auto"
    role: Literal["auto", "admin", "user"] = "auto"


class Gate:
    """Opens and closes the lane to one host."""

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        *,
        host: str,
        settings: KeySettings,
        read_key: ReadKey,
        now: Now,
        setbacks: Backoff | None = None,
    ) -> None:
        """Stand before one host.

        Args:
            outbox: where the lane's state is kept.
            client: the way to the host.
            host: its name in the outbox.
            settings: what the operator laid down about the key.
            read_key: reads the key anew, or None where there is none.
            now: the station's clock.
            setbacks: how long to leave uploads alone that fail though the account is fine.
        """
        self._delays = setbacks or Backoff()
        self._outbox = outbox
        self._client = client
        self._host = host
        self._settings = settings
        self._read_key = read_key
        self._now = now
        self._passage: Passage | None = None
        self._key_seen = ""  # a digest: which key the lane's state speaks of
        self._key_is_new = False  # it was changed while this process ran
        self._setbacks = 0  # pauses since the last delivery, though the account was fine

    def pass_through(self) -> Passage | None:
        """Return the passage of an open lane, asking the host first where that is due."""
        token = self._read_key()
        digest = hashlib.sha256((token or "").encode()).hexdigest()
        changed = digest != self._key_seen
        self._key_is_new |= changed and self._key_seen != ""
        self._key_seen = digest
        state = self._outbox.lanes.get(self._host)
        if token is None:
            if changed or self._probe_is_due(state):
                self.pause(LaneError("there is no API key", reason="no_key"))
            return None
        if changed:
            self._passage = None
        elif state.paused_reason is None and self._passage is not None:
            return self._passage
        elif not self._probe_is_due(state):
            return None
        return self._ask(token, state)

    def pause(self, fault: LaneError) -> None:
        """Close the lane until a probe succeeds."""
        now_s = self._now().utc_s
        before = self._outbox.lanes.get(self._host)
        probes = before.probes + 1 if before.paused_reason is not None else 1
        if before.paused_reason is None and fault.reason in _UPLOADS_FAIL:
            self._setbacks += 1
            delay_s = self._delays.delay_s(self._setbacks, retry_after_s=fault.retry_after_s)
        elif fault.retry_after_s is not None:
            delay_s = self._delays.delay_s(probes, retry_after_s=fault.retry_after_s)
        else:
            delay_s = _PROBES.delay_s(probes)
        if before.paused_reason != fault.reason:
            log.warning("lane paused", reason=fault.reason, detail=str(fault))
        self._passage = None
        self._outbox.lanes.update(
            self._host,
            {
                "paused_reason": fault.reason,
                "paused_detail": str(fault),
                "paused_at": before.paused_at if before.paused_reason else now_s,
                "next_probe_at": now_s + delay_s,
                "probes": probes,
                "last_error": str(fault),
                "last_error_at": now_s,
            },
        )

    def wait_s(self) -> float:
        """Return the seconds until a paused lane may be asked again."""
        state = self._outbox.lanes.get(self._host)
        if state.paused_reason is None or state.next_probe_at is None:
            return 0.0
        return min(max(state.next_probe_at - self._now().utc_s, 0.0), _LOOK_AT_KEY_S)

    def forget_role(self) -> None:
        """Let the account be asked for again before the next upload."""
        self._passage = None

    def note_delivered(self) -> None:
        """Record that uploads work: the next pause is a short one again."""
        self._setbacks = 0

    def note_altered_title(self) -> None:
        """Record that this host changes titles: absence can never be proven by them again."""
        log.warning("the API changed a title: unknown outcomes will need a person")
        self._outbox.lanes.update(self._host, {"titles_altered": 1})

    def keeps_titles(self) -> bool:
        """Tell whether this host has left every title as it was sent."""
        return not self._outbox.lanes.get(self._host).titles_altered

    def _probe_is_due(self, state: LaneState) -> bool:
        """Tell whether to ask now; a probe further off than any pause is due: the clock jumped."""
        if state.paused_reason is None or state.next_probe_at is None:
            return True
        wait_s = state.next_probe_at - self._now().utc_s
        return wait_s <= 0 or wait_s > Backoff().longest_s

    def _ask(self, token: str, state: LaneState) -> Passage | None:
        try:
            key, account = self._find_header(token, state.key_header)
        except LaneError as fault:
            self.pause(fault)
            return None
        acts_for_others = {"auto": account.acts_for_others, "admin": True, "user": False}
        self._passage = Passage(
            key=key, uid=account.uid, acts_for_others=acts_for_others[self._settings.role]
        )
        if state.paused_reason is not None:
            log.info("lane open again", was=state.paused_reason)
            self._outbox.entries.forget_failures()
        self._revive(self._passage)
        self._outbox.lanes.update(
            self._host,
            {
                "paused_reason": None,
                "paused_detail": None,
                "paused_at": None,
                "next_probe_at": None,
                "probes": 0,
                "key_header": key.header,
                "role": account.role,
                "uid": account.uid,
                "answered_at": self._now().utc_s,
            },
        )
        return self._passage

    def _revive(self, passage: Passage) -> None:
        """Let go on what was held for what its key could not do, and this one may."""
        reasons = _KEYS_FAULT if self._key_is_new else frozenset({Reason.KEY_CANNOT_SEND})
        self._key_is_new = False
        if not passage.acts_for_others:
            reasons -= {Reason.KEY_CANNOT_SEND}
        now_s = self._now().utc_s
        for entry in self._outbox.outcomes.held_because(reasons):
            log.info("goes on with this key", entry=entry.name, was=entry.reason)
            self._outbox.entries.move(
                entry, EntryState.READY, now_s=now_s, changes={"due_at": now_s, "failures": 0}
            )

    def _find_header(self, token: str, remembered: str | None) -> tuple[ApiKey, Account]:
        """Return the key in the form that this host accepts, and whose it is."""
        forms = sorted(KEY_HEADERS, key=lambda form: form != remembered)
        if self._settings.header != "auto":
            forms = [self._settings.header]
        for form in forms[:-1]:
            key = ApiKey(token=token, header=form)
            try:
                return key, self._client.organization_status(key)
            except LaneError as fault:
                if fault.status not in {401, 403}:
                    raise
        key = ApiKey(token=token, header=forms[-1])
        return key, self._client.organization_status(key)
