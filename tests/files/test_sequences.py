"""Sequence files that are fine: what they are read as, and what is warned about."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from drip.core.address import Address
from drip.core.definition import definition_from_json, definition_to_json
from drip.core.delivery import Reason
from drip.core.expectations import DEFAULT_START, Ending, ExpectedStep, SampleSubscriber, SequenceTest
from drip.core.sequence import (
    INHERIT,
    Definition,
    DelayFrom,
    Layout,
    Resubscribe,
    SendWindow,
    Sequence,
    SequenceStatus,
    Step,
    Template,
    Variable,
)
from drip.errors import Severity
from tests.files.projects import BODY, X, load, place, problems, step, write

ONBOARDING = """\
name: Onboarding - Bienvenida
status: active
from: Ana <hola@example.com>
reply_to: soporte@example.com
delay_from: start
timezone: Europe/Madrid
send_window: {days: mon-fri, hours: "09:00-18:00"}
stale_after: 3d
resubscribe: after_completion
stop_when: plan == 'pro'
variables:
  name: {default: ""}
  plan: {required: true, example: free}
  no: {default: {on: [010, 0o10, 0x1F, 1e3, ~, yes, true, 10:30, 2026-03-27, "1"]}}
layout: default
steps:
  - id: welcome
    delay: 0
    subject: "Bienvenido a bordo, {{ name }} {{ no }}"
    template: bienvenida
  - id: how-is-it-going
    delay: 3d
    from: Otra <otra@example.com>
    subject: ¿Cómo va todo?
    body: |
      Hola {{ name }},

      ¿Te ayudamos con **algo**?
  - id: upgrade
    delay: 1w 2d
    at: 10:30
    when: plan == 'free'
    send_window: null
    subject: Tu plan
    html: <p>…</p>
    text: …
    headers: {X-Campaign: upgrade, feedback-id: "a:b"}
  - id: no-subject
    delay: P1DT12H
    send_window: {days: [sat, fri-sat], hours: 22:00-06:00}
    template: pagina
tests:
  - name: a free user gets all
    subscribe: {at: 2026-03-27T09:30+01:00, timezone: UTC, name: A, email: b@example.com, variables: {plan: free}}
    expect:
      - {step: welcome, on: 2026-03-27}
      - {step: how-is-it-going, after: 3d, subject: ¿Cómo va todo?, at: "09:30"}
      - {step: upgrade, skipped: when}
      - {step: no-subject, skipped: true}
      - completed
  - {name: least, expect: []}
"""
BIENVENIDA = "---\nsubject: Hola\nlayout: otra\n---\n# Hola {{ name }}\n{% include 'pie.md' %}\n"
FILES = {
    "sequences/onboarding.yaml": ONBOARDING,
    "sequences/templates/bienvenida.md": BIENVENIDA,
    "sequences/templates/pie.md": "Adiós\n",
    "sequences/templates/pagina.html": "---\nsubject: Página\n---\n<p>Hola</p>\n",
    "sequences/templates/pagina.txt": "Hola\n",
    "sequences/templates/sin-uso.md": "Hola\n",
    "sequences/templates/layouts/default.html": "<main>{{ content }}</main>",
    "sequences/templates/layouts/otra.html": "<div>{{ content }}</div>",
}


def test_a_file_with_every_key(tmp_path: Path) -> None:
    files = load(write(tmp_path, FILES))
    assert files.problems == ()
    nested = {"on": [10, 8, 31, 1000.0, None, "yes", True, "10:30", "2026-03-27", "1"]}
    sequence = Sequence(
        id="onboarding",
        name="Onboarding - Bienvenida",
        status=SequenceStatus.ACTIVE,
        sender=Address("hola@example.com", "Ana"),
        reply_to=Address("soporte@example.com"),
        delay_from=DelayFrom.START,
        timezone="Europe/Madrid",
        send_window=SendWindow(frozenset(range(5)), time(9), time(18)),
        stale_after=timedelta(days=3),
        resubscribe=Resubscribe.AFTER_COMPLETION,
        stop_when="plan == 'pro'",
        variables={
            "name": Variable(default=""),
            "plan": Variable(required=True, example="free"),
            "no": Variable(default=nested),
        },
        layout="default",
        steps=(
            Step("welcome", timedelta(0), "Bienvenido a bordo, {{ name }} {{ no }}", template="bienvenida"),
            Step(
                "how-is-it-going",
                timedelta(days=3),
                "¿Cómo va todo?",
                body="Hola {{ name }},\n\n¿Te ayudamos con **algo**?\n",
                sender=Address("otra@example.com", "Otra"),
            ),
            Step(
                "upgrade",
                timedelta(days=9),
                "Tu plan",
                html="<p>…</p>",
                text="…",
                at=time(10, 30),
                when="plan == 'free'",
                send_window=None,
                headers=(("X-Campaign", "upgrade"), ("feedback-id", "a:b")),
            ),
            Step(
                "no-subject",
                timedelta(days=1, hours=12),
                template="pagina",
                send_window=SendWindow(frozenset({4, 5}), time(22), time(6)),
            ),
        ),
    )
    bienvenida = Template(
        "bienvenida", subject="Hola", layout="otra", markdown="# Hola {{ name }}\n{% include 'pie.md' %}\n"
    )
    templates = {
        "bienvenida": bienvenida,
        "pagina": Template("pagina", subject="Página", html="<p>Hola</p>\n", text="Hola\n"),
        "pie": Template("pie", markdown="Adiós\n"),
    }
    layouts = {
        "default": Layout("default", "<main>{{ content }}</main>"),
        "otra": Layout("otra", "<div>{{ content }}</div>"),
    }
    assert files.definitions == (Definition(sequence, templates, layouts),)
    assert files.paths == {"onboarding": "sequences/onboarding.yaml"}
    assert files.templates == {**templates, "sin-uso": Template("sin-uso", markdown="Hola\n")}
    assert files.layouts == layouts
    text = definition_to_json(files.definitions[0])
    assert definition_from_json(text, SequenceStatus.ACTIVE) == files.definitions[0]


def test_its_tests_are_read(tmp_path: Path) -> None:
    first, second = load(write(tmp_path, FILES)).tests["onboarding"]
    assert first == SequenceTest(
        name="a free user gets all",
        subscriber=SampleSubscriber(
            at=datetime(2026, 3, 27, 8, 30, tzinfo=UTC),
            email="b@example.com",
            name="A",
            timezone="UTC",
            variables={"plan": "free"},
        ),
        steps=(
            ExpectedStep("welcome", on=date(2026, 3, 27)),
            ExpectedStep("how-is-it-going", after=timedelta(days=3), subject="¿Cómo va todo?", at=time(9, 30)),
            ExpectedStep("upgrade", skipped=Reason.WHEN),
            ExpectedStep("no-subject", skipped=True),
        ),
        ending=Ending.COMPLETED,
        line=ONBOARDING[: ONBOARDING.index("name: a free")].count("\n") + 1,
    )
    assert (second.subscriber.at, second.steps, second.ending) == (DEFAULT_START, (), None)


def test_the_least_file(tmp_path: Path) -> None:
    (definition,) = load(write(tmp_path, {X: BODY})).definitions
    assert definition == Definition(Sequence("x", "x", steps=(Step("a", timedelta(0), "Hi", body="Hello"),)))


def test_null_is_left_out_but_where_it_means_something(tmp_path: Path) -> None:
    content = "name:\nstatus: ~\nstale_after: null\nsend_window:\nvariables:\n" + step(
        "subject: s", "body: b", "at:", "when:", "send_window: null", "headers:"
    )
    files = load(write(tmp_path, {X: content}))
    assert files.problems == ()
    sequence = files.definitions[0].sequence
    assert sequence.stale_after is None
    assert sequence.send_window is None
    assert sequence.steps[0].send_window is None
    assert load(write(tmp_path, {X: BODY})).definitions[0].sequence.stale_after == INHERIT


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("sat,sun", {5, 6}),
        ("fri-mon", {4, 5, 6, 0}),
        ("Mon", {0}),
        ("monday - wednesday, sun", {0, 1, 2, 6}),
        ("[tue, thu]", {1, 3}),
        ("[mon-tue, sun]", {0, 1, 6}),
        ("sun-sat", {0, 1, 2, 3, 4, 5, 6}),
    ],
)
def test_days_are_read_as_people_write_them(tmp_path: Path, written: str, days: set[int]) -> None:
    quoted = written if written.startswith("[") else f'"{written}"'
    (definition,) = load(write(tmp_path, {X: f"send_window: {{days: {quoted}}}\n" + BODY})).definitions
    assert definition.sequence.send_window == SendWindow(frozenset(days))


@pytest.mark.parametrize(
    ("written", "opens", "closes"),
    [
        ("09:00-18:00", time(9), time(18)),
        ("9:30-18:15", time(9, 30), time(18, 15)),
        ("22:00 - 06:00", time(22), time(6)),
        ("00:00-24:00", time(0), None),
        ("12:00-00:00", time(12), None),
    ],
)
def test_hours_are_read_as_people_write_them(tmp_path: Path, written: str, opens: time, closes: time | None) -> None:
    (definition,) = load(write(tmp_path, {X: f'send_window: {{hours: "{written}"}}\n' + BODY})).definitions
    assert definition.sequence.send_window == SendWindow(frozenset(range(7)), opens, closes)


WARNINGS = [
    ("undeclared", "variables: {name: {}}\n" + step("subject: s {{ nam }}", "body: b {{ name }}"),
     "5:17", "the variable 'nam' is not declared (did you mean 'name'?)"),
    ("undeclared in a block", "variables: {a: {}}\n" + step("subject: '{{ a }}'", "body: |", "  one", "  {{ b }}"),
     "8:8", "the variable 'b' is not declared"),
    ("undeclared in when", "variables: {a: {}}\n" + step("subject: '{{ a }}'", "body: b", "when: b > 1"),
     "7:9", "the variable 'b' is not declared"),
    ("undeclared in stop_when", "stop_when: b\nvariables: {a: {}}\n" + step("subject: '{{ a }}'", "body: b"),
     "1:12", "the variable 'b' is not declared"),
    ("undeclared in a header",
     "variables: {a: {}}\n" + step("subject: '{{ a }}'", "body: b", "headers: {X-A: '{{ b }}'}"),
     "7:18", "the variable 'b' is not declared"),
    ("never used", "variables: {a: {}}\n" + BODY, "1:13", "variables.a: nothing uses it"),
    ("required with a default",
     "variables: {a: {required: true, default: 1}}\n" + step("subject: s", "body: '{{ a }}'"),
     "1:42", "it is never used: the variable is required"),
    ("declared what drip fills in", "variables: {email: {}}\n" + BODY, "1:13", "drip fills this in itself"),
    ("no id", "steps:\n- {delay: 0, subject: s, body: b}\n", "2:3", "the step has no id; it is step-1"),
    ("id without value", "steps:\n- {id: , delay: 0, subject: s, body: b}\n", "2:4", "the step has no id; it is"),
    ("no steps", "steps: []\n", "1:8", "nobody would get anything"),
    ("long subject", step("subject: " + "x" * 79, "body: b"), "4:12", "the subject has 79 characters"),
    ("large body", step("subject: s", "html: |", "  <p>" + "x" * 104_500 + "</p>"), "6:5", "the body has 102 KB"),
    ("only an image", step("subject: s", "html: <img src='https://a.b/c.png'>"), "5:9", "the HTML has no words"),
    ("an image and its alt", step("subject: s", "html: <img src='https://a.b/c.png' alt='Spring sale'>"), "5:9",
     "it has images and hardly any words"),
    ("images and a button", step("subject: s", "body: |", "  Hi!", "", "  ![Sale](https://a.b/c.png)", "  [Buy](https://a.b)"),
     "8:5", "it has images and hardly any words"),
    ("capitals", step("subject: LAST CHANCE TODAY", "body: b"), "4:12", "all in capitals"),
    ("capitals around a variable", step("subject: 'BUY {{ name }} NOW AND HERE'", "body: b"),
     "4:13", "all in capitals"),
    ("two exclamation marks", step("subject: 'Now!! Or never'", "body: b"), "4:16", "too many exclamation marks"),
    ("three exclamation marks", step("subject: 'A! B! C!'", "body: b"), "4:14", "too many exclamation marks"),
    ("a shortened link", step("subject: s", "body: |", "  a", "  [x](https://bit.ly/3x)"),
     "7:9", "goes through bit.ly"),
    ("a shortened link in html", step("subject: s", "html: <p>a <a href='https://www.tinyurl.com/x'>b</a></p>"),
     "5:23", "goes through tinyurl.com"),
    ("a shortened link in text", step("subject: s", "text: see https://t.co/x"), "5:13", "goes through t.co"),
    ("link without https", step("subject: s", "body: |", "  hello", "  [x](http://a.b)"), "7:9", "not encrypted"),
    ("a sender of another domain", "from: a@other.org\n" + BODY, "1:7", "the domain other.org is not authorised"),
    ("a step's sender", step("subject: s", "body: b", "from: a@other.org"), "6:9", "other.org is not authorised"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "where", "fragment"), [c[1:] for c in WARNINGS], ids=[c[0] for c in WARNINGS])
def test_a_warning_stops_nothing(tmp_path: Path, content: str, where: str, fragment: str) -> None:
    files = load(write(tmp_path, {X: content}))
    (problem,) = files.problems
    assert problem.severity is Severity.WARNING
    assert place(problem) == f"{X}:{where}"
    assert fragment in str(problem)
    assert len(files.definitions) == 1


QUIET = [
    ("nothing is declared", step("subject: '{{ a }}'", "body: '{{ b }}'", "when: c")),
    ("what is in scope", "variables: {a: {}}\n" + step(
        "subject: '{{ a }} {{ name }} {{ email }}'", "body: '{{ unsubscribe_url }} {{ step }} {{ postal_address }}'")),
    ("timezone is read by the schedule", "variables: {timezone: {}}\n" + BODY),
    ("set within", "variables: {a: {}}\n" + step("subject: '{{ a }}'", "body: '{% set b = 1 %}{{ b }}'")),
    ("a subject that a variable makes long", step("subject: '" + "{{ name }} " * 30 + "'", "body: b")),
    ("an image with words", step(
        "subject: s", "html: <p>One two three four five six seven eight nine ten.<img src='https://a.b/c.png'></p>")),
    ("an image beside a variable", step("subject: s", "html: <p>{{ text }}</p><img src='https://a.b/c.png' alt='x'>")),
    ("an abbreviation", step("subject: NASA, FAQ", "body: b")),
    ("one exclamation mark, and Spanish has two", step("subject: '¡Hola, {{ name }}!'", "body: b")),
    ("a host that ends like a shortener", step("subject: s", "body: 'https://orbit.ly/x and https://t.co.uk/'")),
    ("html that is a variable", step("subject: s", "html: <p>{{ text }}</p>")),
    ("102 KB", step("subject: s", "html: |", "  <p>" + "x" * 100_000 + "</p>")),
]  # fmt: skip


@pytest.mark.parametrize("content", [case[1] for case in QUIET], ids=[case[0] for case in QUIET])
def test_nothing_to_say(tmp_path: Path, content: str) -> None:
    assert [str(problem) for problem in load(write(tmp_path, {X: content})).problems] == []


LINK = '<p><a href="{{ unsubscribe_url }}">Bye</a></p>'
MAIL = {"sequences/templates/t.md": "Hi.\n", X: step("subject: s", "template: t")}
NO_FOOTER = "no postal address (write {{ postal_address }} beside the link; many laws want it)"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({X: step("subject: s", "html: '" + LINK + "'")}, "sequences/x.yaml:5:25: warning: steps[0].html"),
        ({"sequences/templates/t.md": LINK}, "sequences/x.yaml:5:13: warning: steps[0].template"),
        ({"sequences/templates/layouts/default.html": "{{ content }}" + LINK}, "sequences/x.yaml:1:1: warning: layout"),
    ],
)
def test_a_link_of_its_own_without_an_address_is_told(tmp_path: Path, files: dict[str, str], where: str) -> None:
    (problem,) = problems(write(tmp_path, {**MAIL, **files}))
    assert str(problem).startswith(where)
    assert NO_FOOTER in str(problem)


@pytest.mark.parametrize("address", ["{{ postal_address }}", "1 Example\n  Street"])
@pytest.mark.parametrize("place", ["sequences/templates/t.md", "sequences/templates/layouts/default.html"])
def test_the_address_may_be_anywhere_in_the_mail(tmp_path: Path, place: str, address: str) -> None:
    files = {**MAIL, "sequences/templates/t.md": LINK, "sequences/templates/layouts/default.html": "{{ content }}\n"}
    assert problems(write(tmp_path, {**files, place: files[place] + address})) == ()


def test_files_that_servers_need_and_are_not_there_are_said(tmp_path: Path) -> None:
    smtp = "smtp: {host: smtp.example.com, user: x, oauth2_file: token.json, ca_file: ca.pem}\n"
    imap = "inbound: {imap: {host: i.example.com, user: x, password: 'y', ca_file: keys/ca.pem}}\n"
    settings = "from: a@example.com\nbase_url: https://m.example.com\npostal_address: Here 1\n"
    folder = write(tmp_path, {"drip.yaml": settings + smtp + imap, "token.json": "{}", X: BODY})
    assert [(one.severity.value, one.where, one.message) for one in problems(folder)] == [
        ("warning", "inbound.imap.ca_file", f"there is no file {tmp_path / 'keys' / 'ca.pem'}"),
        ("warning", "smtp.ca_file", f"there is no file {tmp_path / 'ca.pem'}"),
    ]


def test_no_base_url_and_no_postal_address_are_said_once(tmp_path: Path) -> None:
    files = {"drip.yaml": "from: a@example.com\n", X: BODY, "sequences/y.yaml": BODY}
    assert [str(problem) for problem in problems(write(tmp_path, files))] == [
        "drip.yaml:1:1: warning: base_url: it is missing (write base_url: https://mail.example.com; "
        "without it no mail has an unsubscribe link)",
        "drip.yaml:1:1: warning: postal_address: it is missing (write postal_address: with your street and city; "
        "many laws want it in the footer)",
    ]
