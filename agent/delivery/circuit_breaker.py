"""Pauses all uploads on errors of the connection or key, probes, and resumes by probing.

Network, key, certificate and the server's own request to be left alone pause the lane; nothing of
that is counted against a clip.  A paused lane asks for the account and nothing else, one
question at a time.  No upload is begun before this host has answered for this very key.

The pause for a plan whose sessions are used up is another one: the host answers, look-ups and
results continue, and one small clip an hour tries whether there is room again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import structlog

from agent.api.client import KEY_HEADERS, ApiClient, ApiKey
from agent.api.responses import Account
from agent.clock import Now
from agent.errors import ApiUnavailableError
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import LIMITS_IN_ROW, PLAN_LIMIT, TRIAL_AFTER_S, LaneState
from agent.outbox.states import EntryState, Reason
from agent.retry import Backoff
from agent.secret_files import key_expires_at, key_owner_ids
from agent.settings.model import NO_KEY
from agent.stage import StageName

_PROBES = Backoff(base_s=2.0, longest_s=60.0)
_ASK_AGAIN_S = 3600.0  # whether a key may still do no more than send its owner's own clips
_LOOK_AT_KEY_S = 15.0  # how often a paused lane checks whether the key was changed
# Pauses that a good answer about the account says nothing against: uploads alone fail.
_UPLOADS_FAIL = frozenset({"server_asks_to_wait", "many_clips_fail", "not_our_api"})
# What a key could not do, another one may be able to: nobody needs to release these by hand.
_KEYS_FAULT = frozenset(
    {Reason.KEY_CANNOT_SEND, Reason.REFUSED_FOR_ATHLETE, Reason.ACTIVITY_NOT_IN_PLAN}
)

ReadKey = Callable[[], str | None]

log = structlog.get_logger(stage=StageName.DELIVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAccess:
    """An open lane: the key and what may be done with it."""

    key: ApiKey
    uid: str  # of the key's owner; empty: the API does not give it to this key
    acts_for_others: bool
    owner_ids: frozenset[str] = frozenset()  # every name under which the owner's clips may stand
    has_list: bool = True  # whether this key may see the sessions of the account
    is_limited: bool = False  # the plan's sessions are used up: no more than a trial
    trial_is_due: bool = False

    def is_owners(self, user_id: str | None) -> bool:
        """Tell whether an athlete is the key's owner."""
        return user_id is not None and user_id in self.owner_ids | {self.uid} - {""}

    def is_same_account(self, other: "ApiAccess | None") -> bool:
        """Tell whether another access leads to the same account and allows the same."""
        return other is not None and (self.key, self.uid, self.acts_for_others) == (
            other.key,
            other.uid,
            other.acts_for_others,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPolicy:
    """What the operator laid down about the key; `auto` is found out."""

    header: Literal["auto", "Authorization", "API-KEY"] = "auto"
    role: Literal["auto", "admin", "user"] = "auto"
    owner_id: str | None = None  # of the key, where the API does not give it
    why_no_key: Callable[[], str] = lambda: NO_KEY
    setbacks: Backoff = field(default_factory=Backoff)  # uploads fail, the account is fine


class CircuitBreaker:
    """Opens and closes the lane to one host."""

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        *,
        host: str,
        settings: KeyPolicy,
        read_key: ReadKey,
        now: Now,
    ) -> None:
        """Stand before one host.

        Args:
            outbox: where the lane's state is kept.
            client: the way to the host.
            host: its name in the outbox.
            settings: what the operator laid down about the key.
            read_key: reads the key again, or None where there is none.
            now: the station's clock.
        """
        self._delays = settings.setbacks
        self._outbox = outbox
        self._client = client
        self._host = host
        self._settings = settings
        self._read_key = read_key
        self._now = now
        self._access: ApiAccess | None = None
        self._key_seen = ""  # a digest: which key the lane's state speaks of
        self._asked_at = 0.0  # Unix time, when the account was last asked for
        self._setbacks = 0  # pauses since the last delivery, though the account was fine

    def acquire(self) -> ApiAccess | None:
        """Return the access of an open lane, asking the host first where that is due."""
        token = self._read_key()
        digest = hashlib.sha256((token or "").encode()).hexdigest()
        changed = digest != self._key_seen
        self._key_seen = digest
        state = self._outbox.lanes.get(self._host)
        if token is None:
            if changed or self._probe_is_due(state):
                self.pause(ApiUnavailableError(self._settings.why_no_key(), reason="no_key"))
            return None
        if changed:
            self._access = None
        elif self._access is not None and state.answers and not self._role_is_old():
            return self._with_limit(self._access, state)
        elif not state.answers and not self._probe_is_due(state):
            return None
        access = self._ask(token, state)
        return None if access is None else self._with_limit(access, self._lane)

    @property
    def _lane(self) -> LaneState:
        return self._outbox.lanes.get(self._host)

    def _with_limit(self, access: ApiAccess, state: LaneState) -> ApiAccess:
        if state.paused_reason != PLAN_LIMIT:
            return access
        return replace(access, is_limited=True, trial_is_due=self._probe_is_due(state))

    def _role_is_old(self) -> bool:
        """Tell whether it is time to see whether a lesser key has become a better one."""
        access = self._access
        if access is None or access.has_list or self._settings.role != "auto":
            return False
        return abs(self._now().utc_s - self._asked_at) > _ASK_AGAIN_S

    def pause(self, fault: ApiUnavailableError) -> None:
        """Close the lane until a probe succeeds."""
        now_s = self._now().utc_s
        before = self._outbox.lanes.get(self._host)
        probes = before.probes + 1 if before.paused_reason is not None else 1
        if fault.reason == PLAN_LIMIT:
            delay_s = TRIAL_AFTER_S
        elif before.paused_reason is None and fault.reason in _UPLOADS_FAIL:
            self._setbacks += 1
            delay_s = self._delays.delay_s(self._setbacks, retry_after_s=fault.retry_after_s)
        elif fault.retry_after_s is not None:
            delay_s = self._delays.delay_s(probes, retry_after_s=fault.retry_after_s)
        else:
            delay_s = _PROBES.delay_s(probes)
        is_news = before.paused_reason != fault.reason
        if is_news or (fault.reason == "no_key" and before.paused_detail != str(fault)):
            log.warning("uploads paused", reason=fault.reason, detail=str(fault))
        if fault.reason != PLAN_LIMIT:
            self._access = None
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
        state = self._lane
        if state.paused_reason is None or state.next_probe_at is None:
            return 0.0
        return min(max(state.next_probe_at - self._now().utc_s, 0.0), _LOOK_AT_KEY_S)

    def forget_role(self) -> None:
        """Let the account be asked for again before the next upload."""
        self._access = None

    def note_delivered(self) -> None:
        """Record that uploads work: the next pause is a short one again."""
        self._setbacks = 0
        if self._lane.paused_reason == PLAN_LIMIT:
            log.info("uploads resumed", after=PLAN_LIMIT)
            self._outbox.lanes.update(self._host, _OPEN)

    def pause_for_limit(self, words: str, *, account: str) -> None:
        """Send no more than one clip an hour: the sessions of the plan are used up."""
        text = f"the plan's session limit is reached: {words}"
        self.pause(ApiUnavailableError(text, reason=PLAN_LIMIT))
        next_at = self._outbox.limits.next_try_at(account)
        if next_at is not None:
            self._outbox.lanes.update(self._host, {"next_probe_at": next_at})

    def begin_trial(self) -> None:
        """Record beforehand that one clip tries a limit: the next may do so in an hour."""
        if self._lane.paused_reason == PLAN_LIMIT:
            next_at = self._now().utc_s + TRIAL_AFTER_S
            self._outbox.lanes.update(self._host, {"next_probe_at": next_at})

    def note_altered_title(self) -> None:
        """Record that this host changes titles: absence can never be proven by them again."""
        log.warning("session title altered")
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

    def _ask(self, token: str, state: LaneState) -> ApiAccess | None:
        self._asked_at = self._now().utc_s
        key_is_new = state.key_digest not in {None, self._key_seen}
        try:
            key, account = self._find_header(token, state.key_header)
        except ApiUnavailableError as fault:
            self.pause(fault)
            return None
        known_uid = None if key_is_new or state.key_digest is None else state.uid
        self._access = self._access_of(key, account, known_uid=known_uid)
        if key_is_new:
            self._outbox.limits.forget()
        stays_limited = state.paused_reason == PLAN_LIMIT and not key_is_new
        if state.paused_reason is not None and not stays_limited:
            log.info("uploads resumed", after=state.paused_reason)
            self._outbox.entries.forget_failures()
        self._revive(self._access, key_is_new=key_is_new)
        self._outbox.lanes.update(
            self._host,
            {
                **({} if stays_limited else _OPEN),
                "key_header": key.header,
                "role": "user" if account is None else account.role,
                "uid": self._access.uid or None,
                "plan": None if account is None else account.payment_type,
                "session_number": None if account is None else account.session_number,
                "answered_at": self._now().utc_s,
                "key_digest": self._key_seen,
                "key_expires_at": key_expires_at(token),
            },
        )
        if state.paused_reason not in {None, PLAN_LIMIT} and not key_is_new:
            self._remember_limit(self._access.uid)
        return self._access

    def _remember_limit(self, account: str) -> None:
        """After another pause: what was used up before it is so still."""
        limited = self._outbox.limits.limited(account)
        if limited is not None and self._outbox.limits.in_row(account) >= LIMITS_IN_ROW:
            self.pause_for_limit(limited.detail, account=account)

    def _access_of(
        self, key: ApiKey, account: Account | None, *, known_uid: str | None
    ) -> ApiAccess:
        """Return what may be done with a key.

        Args:
            key: in the form that the host takes.
            account: what the API said of it; None: it is not an admin's.
            known_uid: whose key it is, where the host once gave it.
        """
        role, owner_id = self._settings.role, self._settings.owner_id
        named = frozenset() if owner_id is None else frozenset({owner_id})
        if account is None:
            return ApiAccess(
                key=key,
                uid=known_uid or "",
                acts_for_others=False,
                owner_ids=named | key_owner_ids(key.token),
                has_list=False,
            )
        acts_for_others = {"auto": account.acts_for_others, "admin": True, "user": False}
        return ApiAccess(
            key=key,
            uid=account.uid,
            acts_for_others=acts_for_others[role],
            owner_ids=named if role == "user" else frozenset(),
        )

    def _revive(self, access: ApiAccess, *, key_is_new: bool) -> None:
        """Release what was held because its key lacked a right that this key has."""
        reasons = _KEYS_FAULT if key_is_new else frozenset({Reason.KEY_CANNOT_SEND})
        now_s = self._now().utc_s
        for entry in self._outbox.outcomes.held_because(reasons):
            if entry.reason == Reason.KEY_CANNOT_SEND and not (
                access.acts_for_others or access.is_owners(entry.user_id)
            ):
                continue
            log.info("entry released", entry=entry.name, after=entry.reason)
            self._outbox.entries.move(
                entry, EntryState.READY, now_s=now_s, changes={"due_at": now_s, "failures": 0}
            )

    def _find_header(self, token: str, remembered: str | None) -> tuple[ApiKey, Account | None]:
        """Return the key in the form that this host accepts, and whose it is.

        The account is that of an admin's key; of any other key that is accepted it is None.
        """
        forms = sorted(KEY_HEADERS, key=lambda form: form != remembered)
        if self._settings.header != "auto":
            forms = [self._settings.header]
        faults: list[tuple[ApiKey, ApiUnavailableError]] = []
        for form in forms:
            key = ApiKey(token=token, header=form)
            try:
                return key, self._client.organization_status(key)
            except ApiUnavailableError as fault:
                faults.append((key, fault))
                if fault.status not in {401, 403}:
                    break
        may_be_own = self._settings.role != "admin"
        for key, refused in faults:
            if may_be_own and refused.status == 403 and self._client.opens_anything(key):
                return key, None
        last = faults[-1][1]
        if last.status == 403:
            text = f"{last}; a key that is bound to a domain needs api.origin"
            raise ApiUnavailableError(text, reason=last.reason, status=403)
        raise last


_OPEN: dict[str, object] = {
    "paused_reason": None,
    "paused_detail": None,
    "paused_at": None,
    "next_probe_at": None,
    "probes": 0,
}
