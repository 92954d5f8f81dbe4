"""One request of a provider: is it genuine, and what does it tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from drip.core.reports import Report
from drip.core.settings import InboundSettings
from drip.inbound import sns
from drip.inbound.proofs import PROOFS, Call, same
from drip.inbound.providers import read_events


class NotProven(Exception):
    """The request does not prove who it is from; its text says what is missing, and nothing of any key."""


class NotJson(ValueError):
    """The body is not what providers send."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a request tells."""

    reports: tuple[Report, ...] = ()
    ignored: int = 0
    """Events that say nothing about people to be mailed no more."""
    confirm: str | None = None
    """The URL to be asked for, so that a subscription of SNS begins."""


def hear(
    provider: str, call: Call, token: str | None, settings: InboundSettings, *, fetch: sns.Fetch = sns.fetch_over_https
) -> Heard:
    """Check a request and read it.

    Args:
        token: of its URL; None without one.

    Raises:
        NotProven: it is not proven to be from the provider.
        NotJson: it can't be read.
        Unavailable: Amazon's certificate can't be had now.
    """
    key = settings.providers.get(provider)
    if settings.token is None and key is None:
        raise NotProven("neither inbound.token nor a key of this provider is in drip.yaml")
    if settings.token is not None and not same(token or "", settings.token):
        raise NotProven("the token in the URL is missing or wrong")
    if provider == "ses":
        return _amazons(call, key, fetch)
    if key is not None and not PROOFS[provider](call, key):
        raise NotProven(f"the signature or login of {provider} is missing or wrong")
    return _heard(provider, _json(call.body))


def _amazons(call: Call, topic: str | None, fetch: sns.Fetch) -> Heard:
    """SNS signs for whoever has an account there, so that the topic must be ours where it is known.

    With raw message delivery it signs nothing; without a topic in drip.yaml the token is proof enough.
    """
    message = _json(call.body)
    if not isinstance(message, dict) or not message.keys() & {"Signature", "SigningCertURL"}:
        if topic is not None:
            raise NotProven("it is not signed by SNS: raw message delivery must be off")
        return _heard("ses", message)
    if topic is not None and not same(str(message.get("TopicArn", "")), topic):
        raise NotProven("the topic is not the one in drip.yaml")
    if not sns.is_genuine(message, call.at, fetch):
        raise NotProven("the signature of SNS is wrong")
    if message.get("Type") == "SubscriptionConfirmation":
        url = str(message.get("SubscribeURL", ""))
        return Heard(confirm=url) if sns.is_amazons(url) else Heard(ignored=1)
    if message.get("Type") != "Notification":
        return Heard(ignored=1)
    try:
        event = _json(str(message.get("Message", "")).encode("utf-8", "surrogatepass"))
    except NotJson:
        return Heard(ignored=1)  # "Successfully validated SNS topic for Amazon SES event publishing."
    return _heard("ses", event)


def _heard(provider: str, told: Any) -> Heard:
    try:
        reports, ignored = read_events(provider, told)
    except RecursionError as error:  # what could just be read can not be written again
        raise NotJson("the body is nested too deeply") from error
    return Heard(tuple(reports), ignored)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotJson("the body is not JSON") from error
