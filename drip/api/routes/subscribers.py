"""People in a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from drip.api import answers
from drip.api.context import PAGED, Api, Limit, Offset, api_of, created, errors, key_of, ok, page
from drip.api.desk import Together
from drip.api.models import BatchIn, SubscriberIn, SubscriberPatch
from drip.api.paths import PERSON
from drip.api.quick import QuickRoute
from drip.core.subscription import Subscription, SubscriptionStatus
from drip.engine.objects import JsonObject, subscription_object
from drip.engine.people import cancel, find_subscription, pause, resume, set_variables
from drip.engine.subscribe import Answer, Answered, find_sequence, subscribe_many, subscribe_with
from drip.engine.subscribe import Request as Wanted
from drip.errors import FieldInvalid, Refused

router = APIRouter(route_class=QuickRoute, prefix="/v1/bulk/sequences/{sequence_id}/subscribers", tags=["subscribers"])


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What became of one request, with the subscription as it is then."""

    answered: Answered
    now: Subscription | None
    """None when refused."""


@router.get("", response_model=list[answers.Subscription], responses={200: dict(PAGED), **errors(404)})
async def list_subscribers(
    request: Request,
    sequence_id: str,
    status: SubscriptionStatus | None = None,
    q: Annotated[str | None, Query(max_length=254, description="A part of the address or the name.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """The people of a sequence, newest first."""
    api = api_of(request)

    def work() -> tuple[list[JsonObject], int]:
        row_id = find_sequence(api.store, sequence_id).id
        overview = api.store.overview
        found = overview.subscribers(sequence_id=row_id, status=status, search=q, limit=limit, offset=offset)
        total = overview.count_subscribers(sequence_id=row_id, status=status, search=q)
        return [subscription_object(one) for one in found], total

    items, total = await api.desk.read(work)
    return page(request, items, total, limit, offset)


@router.post(
    "",
    status_code=201,
    response_model=answers.Subscription,
    responses={200: {"model": answers.Subscription, "description": "Already there"}, **errors(404, 409, 413)},
)
async def make_subscriber(request: Request, sequence_id: str, body: SubscriberIn) -> Response:
    """Subscribe a person. One who is active, paused or failed is given back as they are."""
    api, key_id = api_of(request), key_of(request)
    wanted = _wanted(body)

    def work(people: Sequence[Wanted]) -> list[Subscribed]:
        return _subscribe(api, sequence_id, key_id, people)

    subscribed = await api.desk.write_together(Together((sequence_id, key_id), wanted, work))
    answered = subscribed.answered
    if answered.answer is Answer.REFUSED:
        if answered.code == "invalid_field":
            raise FieldInvalid("variables", answered.message)
        raise Refused(answered.code or "refused", answered.message)
    assert subscribed.now is not None
    return (created if answered.answer is Answer.CREATED else ok)(subscription_object(subscribed.now))


@router.post("/batch", response_model=answers.BatchAnswer, responses=errors(404, 413))
async def make_subscribers(request: Request, sequence_id: str, body: BatchIn) -> Response:
    """Subscribe up to 1000 people at once; one who is refused stops no other."""
    api, key_id = api_of(request), key_of(request)
    people, codes = list[Wanted](), dict[int, str]()
    for index, item in enumerate(body.subscribers):
        try:
            people.append(_wanted(item.check()))
        except ValidationError:
            codes[index] = "invalid_field"
    answered = await api.desk.write(
        lambda: subscribe_many(api.store, api.settings, sequence_id, people, api.clock(), key_id=key_id)
    )
    asked = [index for index in range(len(body.subscribers)) if index not in codes]
    codes |= {
        index: one.code or "refused" for index, one in zip(asked, answered, strict=True) if one.answer is Answer.REFUSED
    }
    counts = {kind: sum(one.answer is kind for one in answered) for kind in Answer}
    refused = [{"index": at, "email": body.subscribers[at].email, "code": code} for at, code in sorted(codes.items())]
    return ok({"created": counts[Answer.CREATED], "existing": counts[Answer.EXISTING], "refused": refused})


@router.get(PERSON, response_model=answers.Subscription, responses=errors(404))
async def get_subscriber(request: Request, sequence_id: str, email: str) -> Response:
    """One person."""
    api = api_of(request)
    return ok(await api.desk.read(lambda: _shown(api, sequence_id, email)))


@router.patch(PERSON, response_model=answers.Subscription, responses=errors(404, 413))
async def change_subscriber(request: Request, sequence_id: str, email: str, body: SubscriberPatch) -> Response:
    """Merge into the variables of a subscription; null removes one."""
    api = api_of(request)
    return await _changed(
        api,
        sequence_id,
        email,
        lambda: set_variables(api.store, api.settings, sequence_id, email, body.variables, api.clock()),
    )


@router.delete(PERSON, response_model=answers.Subscription, responses=errors(404, 409))
async def cancel_subscriber(request: Request, sequence_id: str, email: str) -> Response:
    """Cancel a subscription; it stays to be seen, with `cancel_reason` `manual`."""
    api, who = api_of(request), (sequence_id, email)
    return await _changed(api, *who, lambda: cancel(api.store, *who, api.clock()))


@router.post(f"{PERSON}/pause", response_model=answers.Subscription, responses=errors(404, 409))
async def pause_subscriber(request: Request, sequence_id: str, email: str) -> Response:
    """Stop a person's clock."""
    api, who = api_of(request), (sequence_id, email)
    return await _changed(api, *who, lambda: pause(api.store, *who, api.clock()))


@router.post(f"{PERSON}/resume", response_model=answers.Subscription, responses=errors(404, 409))
async def resume_subscriber(request: Request, sequence_id: str, email: str) -> Response:
    """Let a person's clock go on; the rest of the wait goes on from now."""
    api = api_of(request)
    return await _changed(
        api, sequence_id, email, lambda: resume(api.store, api.settings, sequence_id, email, api.clock())
    )


async def _changed(api: Api, slug: str, email: str, change: Callable[[], object]) -> Response:
    """Change a person's subscription; how it is then."""

    def work() -> JsonObject:
        change()
        return _shown(api, slug, email)

    return ok(await api.desk.write(work))


def _subscribe(api: Api, slug: str, key_id: str, people: Sequence[Wanted]) -> list[Subscribed]:
    answers = subscribe_with(api.store, api.settings, slug, people, api.clock(), key_id=key_id)
    there = [one.subscription_id for one, made in answers if made is None and one.subscription_id is not None]
    found = api.store.overview.subscriptions(there) if there else {}
    return [
        Subscribed(answered, made() if made else found.get(answered.subscription_id or 0)) for answered, made in answers
    ]


def _wanted(body: SubscriberIn) -> Wanted:
    return Wanted(body.email, body.name or "", body.variables or {}, body.started_at)


def _shown(api: Api, slug: str, email: str) -> JsonObject:
    row_id = find_subscription(api.store, slug, email).person.id
    return subscription_object(api.store.overview.subscriptions([row_id])[row_id])
