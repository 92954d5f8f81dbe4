"""What the pages say, in English and Spanish, and which of the two a browser asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")


@dataclass(frozen=True, slots=True)
class Words:
    """One language. `{sender}` and `{email}` stand for who writes and who is written to."""

    language: str
    ask: str
    asked: str
    leave_series: str
    series_note: str
    leave_all: str
    all_note: str
    left_all: str
    left_all_now: str
    left_series: str
    left_series_now: str
    undo: str
    undo_note: str
    back: str
    back_now: str
    missing: str
    missing_now: str


ENGLISH = Words(
    language="en",
    ask="Unsubscribe",
    asked="Which emails should {email} no longer get?",
    leave_series="Leave this series",
    series_note="Other email from {sender} may still come.",
    leave_all="Unsubscribe from everything",
    all_note="{sender} will not write to you again.",
    left_all="You are unsubscribed",
    left_all_now="{sender} will not write to {email} again.",
    left_series="You have left this series",
    left_series_now="{email} gets no more of this series from {sender}.",
    undo="Undo",
    undo_note="Was it a slip? Everything goes on as before.",
    back="It is undone",
    back_now="{email} gets email from {sender} as before.",
    missing="This page does not exist",
    missing_now="The link may have been cut off. Open it again from the email, or reply to the email and say so.",
)

SPANISH = Words(
    language="es",
    ask="Darse de baja",
    asked="¿Qué correos no quieres recibir más en {email}?",
    leave_series="Dejar esta serie",
    series_note="Podrían llegarte otros correos de {sender}.",
    leave_all="Darme de baja de todo",
    all_note="{sender} no te volverá a escribir.",
    left_all="Te has dado de baja",
    left_all_now="{sender} no volverá a escribir a {email}.",
    left_series="Has dejado esta serie",
    left_series_now="En {email} no recibirás más correos de esta serie de {sender}.",
    undo="Deshacer",
    undo_note="¿Ha sido un error? Todo sigue como antes.",
    back="Está deshecho",
    back_now="En {email} recibirás los correos de {sender} como antes.",
    missing="Esta página no existe",
    missing_now="Puede que el enlace esté incompleto. Ábrelo de nuevo desde el correo, o respóndelo y dínoslo.",
)


def words_for(accept_language: str) -> Words:
    """The language that is wanted most of those there are (RFC 9110, section 12.5.4); English when none is."""
    best, weight = ENGLISH, 0.0
    for part in accept_language[:1000].split(","):
        found = _RANGE.fullmatch(part)
        if found is None:
            continue
        wanted = float(found[2] or 1)
        words = {"es": SPANISH, "en": ENGLISH}.get(found[1].lower())
        if words is not None and wanted > weight:
            best, weight = words, wanted
    return best
