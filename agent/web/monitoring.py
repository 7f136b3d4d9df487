"""Routes for monitoring: metrics and health.

`/healthz` says whether the daemon makes progress: if not, a restart may help.  `/readyz` says
whether the station does its work: if not, a person must do something.  Anybody may ask both; why,
and all the numbers, are for this box itself or for who has the token.
"""

import asyncio
import hmac
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.errors import AgentError
from agent.outbox.pauses import Pause
from agent.secret_files import fault_of, text_of
from agent.settings.model import WebSettings, is_key, is_loopback
from agent.stage import StageName
from agent.station.camera import camera_words
from agent.station.status import NEEDS_PERSON
from agent.web.metrics import Metrics
from agent.web.routing import GetEndpoint, RequestContext, RequiredAccess, WebContext

_ANSWER_WITHIN_S = 5.0
_MOST_TOKEN_BYTES = 4096
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")  # a proxy's word: not from this box

log = structlog.get_logger(stage=StageName.PAGE)


async def metrics(page: WebContext, context: RequestContext) -> Response:
    """Return every measure in Prometheus' text format."""
    if not may_see(page.settings.web, context.request):
        raise HTTPException(401, "bearer token required")
    measures = _measures(page)
    stuck = page.signs.stuck()
    now = page.now()
    text = await page.database.read(lambda: measures.text(now=now, stuck=stuck))
    return Response(text, media_type=_TEXT)


async def healthz(page: WebContext, context: RequestContext) -> Response:
    """Say whether the daemon makes progress."""
    reasons = _no_progress(page)
    if not reasons and await _pauses(page) is None:
        reasons = ["the database does not answer"]
    return _answer(page, context, reasons)


async def readyz(page: WebContext, context: RequestContext) -> Response:
    """Say whether captures are ingested and clips may be uploaded; a lost network is ignored."""
    reasons = _no_progress(page)
    if not page.settings.paths.capture.is_dir():
        reasons.append("the capture folder is missing")
    pauses = await _pauses(page)
    if pauses is None:
        return _answer(page, context, [*reasons, "the database does not answer"])
    reasons += [f"{pause.part} paused: {pause.reason}" for pause in pauses]
    lane = await page.database.read(lambda: page.outbox.lanes.get(page.host))
    if lane.paused_reason in NEEDS_PERSON:
        reasons.append(f"uploads paused: {lane.paused_reason}")
    camera = await page.database.read(lambda: page.camera.look(page.now()))
    if camera.is_faulty:
        reasons.append(f"the camera is {camera_words(camera, now_s=page.now().utc_s)}")
    return _answer(page, context, reasons)


def _no_progress(page: WebContext) -> list[str]:
    """Return why parts of the daemon make no progress: they are stuck, or the disk refuses."""
    stuck = [f"stalled: {name}" for name in page.signs.stuck()]
    refusals = sorted(page.signs.refusals().items())
    return [*stuck, *(f"disk access failed: {name}: {words}" for name, words in refusals)]


def may_see(settings: WebSettings, request: Request) -> bool:
    """Tell whether a request has the token; where there is none, whether this box itself asks."""
    token = read_token(settings)
    if token is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), token.encode())
    if settings.metrics_token_file is not None:
        return False  # the one that was meant is not there
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    return request.client is not None and is_loopback(request.client.host) and not is_forwarded


def read_token(settings: WebSettings) -> str | None:
    """Return the token, read again every time; None where there is none."""
    if settings.metrics_token is not None:
        return settings.metrics_token.get_secret_value().strip() or None
    return None if settings.metrics_token_file is None else _content(settings.metrics_token_file)


def why_no_token(settings: WebSettings) -> str:
    """Return why `read_token` finds none in `metrics_token_file`, in words for a person."""
    file = settings.metrics_token_file
    assert file is not None  # else none is meant
    fault = fault_of(file, name="token", form="ASCII characters without spaces", accepts=is_key)
    return fault or f"no token in {file}"


def _content(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            text = text_of(file.read(_MOST_TOKEN_BYTES))
    except OSError:
        return None
    return text if text and is_key(text) else None


def _measures(page: WebContext) -> Metrics:
    """Return what measures, made when it is first asked for: its library takes memory."""
    if page.measures is None:
        page.measures = Metrics(page.settings, page.outbox, page.camera, host=page.host)
    return page.measures


async def _pauses(page: WebContext) -> list[Pause] | None:
    """Return the pauses of components; None where the outbox does not answer in time."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            return await page.database.read(page.outbox.pauses.all)
    except (sqlite3.Error, AgentError, OSError, TimeoutError) as error:
        log.error("outbox query failed", error=str(error))
        return None


def _answer(page: WebContext, context: RequestContext, reasons: Sequence[str]) -> Response:
    document: dict[str, object] = {"ok": not reasons}
    if may_see(page.settings.web, context.request):
        document["reasons"] = list(reasons)
    return JSONResponse(document, 503 if reasons else 200)


MONITORING_ROUTES = (
    GetEndpoint(path="/metrics", access=RequiredAccess.ANYBODY, answer=metrics),
    GetEndpoint(path="/healthz", access=RequiredAccess.ANYBODY, answer=healthz),
    GetEndpoint(path="/readyz", access=RequiredAccess.ANYBODY, answer=readyz),
)
