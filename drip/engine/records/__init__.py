"""What the store gives to the engine and takes from it, as frozen values."""

from __future__ import annotations

from drip.engine.records.claims import Accepted, Advance, Claim, Delivery, Marked, Sending, Worker
from drip.engine.records.events import Event
from drip.engine.records.people import Contact, NewSubscription, Person, Place, Reschedule, Standing, Suppression
from drip.engine.records.reports import Inbox, Posted, ReportCounts, StoredReport
from drip.engine.records.sequences import StoredSequence, StoredStep, StoredTemplate
from drip.engine.records.webhooks import Backlog, Endpoint, Key, Post, WebhookDelivery

__all__ = [
    "Accepted",
    "Advance",
    "Backlog",
    "Claim",
    "Contact",
    "Delivery",
    "Endpoint",
    "Event",
    "Inbox",
    "Key",
    "Marked",
    "NewSubscription",
    "Person",
    "Place",
    "Post",
    "Posted",
    "ReportCounts",
    "Reschedule",
    "Sending",
    "Standing",
    "StoredReport",
    "StoredSequence",
    "StoredStep",
    "StoredTemplate",
    "Suppression",
    "WebhookDelivery",
    "Worker",
]
