"""What email providers tell of bounces, complaints and opt-outs. No key: each proves itself by its own scheme.

Whatever is genuine is answered with 200, also what is not understood: a provider would tell it again and again, and
switch the webhook off in the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from drip.api import answers
from drip.api.context import api_of, errors, ok
from drip.api.errors import ApiError
from drip.core.settings import PROVIDERS
from drip.engine.reports import take_in
from drip.errors import NotFound
from drip.inbound import sns
from drip.inbound.calls import NotJson, NotProven, hear
from drip.inbound.proofs import Call
from drip.inbound.taking import outcome
from drip.project import system_clock

logger = logging.getLogger("drip.api")
router = APIRouter(prefix="/v1/inbound", tags=["inbound"])

Provider = Annotated[str, Path(description="ses, postmark, mailgun, sendgrid, brevo or resend.")]
Token = Annotated[str | None, Query(description="`inbound.token` of drip.yaml.")]
_BODY = {"requestBody": {"content": {"application/json": {"schema": {}}}, "required": True}}


@router.post("/{provider}", response_model=answers.TakenIn, responses=errors(404, 413), openapi_extra=_BODY)
async def take_in_reports(request: Request, provider: Provider, token: Token = None) -> Response:
    """Take in what a provider tells. The same event twice changes nothing."""
    api = api_of(request)
    if provider not in PROVIDERS:
        raise NotFound("provider", provider[:60], PROVIDERS)
    headers = {name.lower(): value for name, value in request.headers.items()}
    call = Call(headers, await request.body(), system_clock())
    try:
        heard = await asyncio.to_thread(hear, provider, call, token, api.settings.inbound, fetch=sns.fetch_over_https)
    except NotProven as error:
        logger.warning("%s: %s", request.url.path, error)
        raise ApiError(401, "inbound_not_proven", str(error)) from error
    except NotJson as error:
        raise ApiError(400, "invalid_json", str(error)) from error
    if heard.confirm is not None:
        await asyncio.to_thread(sns.fetch_over_https, heard.confirm)
        logger.info("%s: the subscription of the topic is confirmed", request.url.path)

    def work() -> Counter[str]:
        counts = Counter[str]()
        for report in heard.reports:
            counts.update(outcome(taken) for taken in take_in(api.store, api.settings, report, api.clock()))
        return counts

    counts = await api.desk.write(work) if heard.reports else Counter[str]()
    request.app.state.metrics.told(provider, {**counts, "ignored": heard.ignored})
    return ok(_answer(counts, heard.ignored))


def _answer(counts: Counter[str], ignored: int) -> dict[str, Any]:
    names = ("hard", "soft", "complaint", "unsubscribe", "unproven", "duplicate")
    return {**{name: counts[name] for name in names}, "ignored": ignored}
