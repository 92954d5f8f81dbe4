"""What a message costs: `python -m tests.benchmarks.bench_render` prints a table. Nothing here is asserted.

Absolute times are this machine's; the ratios are what should not get worse.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime

from drip.core.sequence import Source, Step, Template
from drip.render.message import Message
from drip.render.mime import write_message
from tests.render.examples import NOW, compiled, recipient

PARAGRAPH = "Hola {{ name }}, te damos la bienvenida a Mi Empresa: todo está listo para que empieces hoy mismo.\n\n"
BODY = (
    "# Hola {{ name }}\n\n" + PARAGRAPH * 8 + "{% for item in items %}\n- {{ item }}\n{% endfor %}\n\n"
    "{% if plan == 'pro' %}\nTienes el plan **pro**.\n{% endif %}\n\n[Empezar]({{ link | url }})\n"
)
VARIABLES = {"items": ["uno", "dos", "tres"], "plan": "pro", "link": "https://app.miempresa.com/start?a=1&b=2"}


def fastest(action: Callable[[], object], seconds: float = 1.0) -> float:
    """Microseconds of the fastest of many runs; the least disturbed one."""
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begin)
    return best * 1e6


def by_the_library(message: Message) -> bytes:
    """The same message by `email`, as one would write it."""
    email = EmailMessage()
    email["From"] = f"{message.sender.name} <{message.sender.email}>"
    email["To"] = f"{message.to.name} <{message.to.email}>"
    email["Subject"] = message.subject
    email["Date"] = format_datetime(message.date)
    email["Message-ID"] = message.message_id
    for name, value in message.headers:
        email[name] = value
    email.set_content(message.text, cte="quoted-printable")
    email.add_alternative(message.html or "", subtype="html", cte="quoted-printable")
    return email.as_bytes()


def main() -> None:
    """Print the table."""
    step = Step("welcome", timedelta(0), subject="¡Bienvenido, {{ name }}!", body=BODY)
    ready = compiled(step)
    template = Template("t", markdown=BODY, source=Source.API)
    guarded = compiled(replace(step, body=None, template="t"), {"t": template})
    person = recipient(VARIABLES)
    message = ready.render(person, NOW)
    sizes = f"text {len(message.text):,}, HTML {len(message.html or ''):,} characters"
    ours = fastest(lambda: write_message(message))
    rows = [
        (f"write_message ({sizes})", ours),
        ("EmailMessage.as_bytes(), the same", fastest(lambda: by_the_library(message))),
        ("render, a file's template", fastest(lambda: ready.render(person, NOW))),
        ("render, a template from the API", fastest(lambda: guarded.render(person, NOW))),
        ("render and write", fastest(lambda: write_message(ready.render(person, NOW)))),
        ("compile_step", fastest(lambda: compiled(step))),
    ]
    for name, microseconds in rows:
        print(f"{name:58} {microseconds:10,.0f} µs {microseconds / ours:8.1f} ×")


if __name__ == "__main__":
    main()
