"""drip.yaml: a table of bad ones, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from drip.errors import FilesInvalid
from tests.files.projects import FROM, SECRET, place, settings

SMTP = FROM + "transport: smtp\n"


HOOK = f"{{url: 'https://a.b', secret: {SECRET}}}"


BAD = [
    ("empty", "", "drip.yaml:1:1", "the file is empty"),
    ("no from", "timezone: UTC\n", "drip.yaml:1:1", "from: it is missing"),
    ("from without value", "from:\n", "drip.yaml:1:1", "from: it has no value"),
    ("unknown key", FROM + "databse: x\n", "drip.yaml:2:1", "did you mean 'database'?"),
    ("unknown nested key", SMTP + "smtp: {host: h, securty: tls}\n", "drip.yaml:3:17", "did you mean 'security'?"),
    ("dkim without anything", SMTP + "smtp: {host: h, dkim: {}}\n", "drip.yaml:3:23", "selector: it is missing"),
    ("dkim without its file", SMTP + "smtp: {host: h, dkim: {domain: a.b, selector: s, key_file: k.pem}}\n",
     "drip.yaml:3:60", "k.pem: there is no such file (make one: openssl genrsa -out dkim.pem 2048)"),
    ("dkim with a file that is no key",
     SMTP + "smtp: {host: h, dkim: {domain: a.b, selector: s, key_file: drip.yaml}}\n",
     "drip.yaml:3:60", "drip.yaml: it holds no private key in PEM"),
    ("dkim with a selector that is none",
     SMTP + "smtp: {host: h, dkim: {domain: a.b, selector: s_, key_file: k.pem}}\n",
     "drip.yaml:3:47", "'s_' is not a selector"),
    ("no such database", FROM + "database: mysql://root:hunter2@h/d\n", "drip.yaml:2:11", "it is not a database"),
    ("a database in memory", FROM + "database: 'sqlite:///:memory:'\n", "drip.yaml:2:11", "it is not a database"),
    ("sqlite with two slashes", FROM + "database: sqlite://drip.db\n", "drip.yaml:2:11", "write sqlite:///drip.db"),
    ("postgres without a name", FROM + "database: postgresql://host\n", "drip.yaml:2:11", "postgresql://user"),
    ("domain of from not authorised", FROM + "authorized_domains: [a.org]\n", "drip.yaml:2:21", "example.com, is not"),
    ("domain that is none", FROM + "authorized_domains: [example.com, 'a b']\n", "drip.yaml:2:35", "not a domain"),
    ("domains that are text", FROM + "authorized_domains: example.com\n", "drip.yaml:2:21", "wanted a list of domains"),
    ("no such zone", FROM + "timezone: Madrid\n", "drip.yaml:2:11", "there is no time zone 'Madrid'"),
    ("base_url is http", FROM + "base_url: http://mail.example.com\n", "drip.yaml:2:11", "is not https"),
    ("base_url without scheme", FROM + "base_url: mail.example.com\n", "drip.yaml:2:11", "not an http or https URL"),
    ("base_url with a login", FROM + "base_url: https://a:b@example.com\n", "drip.yaml:2:11", "it has a login"),
    ("base_url with a query", FROM + "base_url: https://example.com?a=b\n", "drip.yaml:2:11", "a query"),
    ("bad undefined", FROM + "undefined: strict\n", "drip.yaml:2:12", "wanted empty or error"),
    ("short feedback_id", FROM + "feedback_id: abc\n", "drip.yaml:2:14", "5 to 15 characters"),
    ("long feedback_id", FROM + "feedback_id: abcdefghijklmnop\n", "drip.yaml:2:14", "5 to 15 characters"),
    ("feedback_id with a colon", FROM + "feedback_id: abc:def\n", "drip.yaml:2:14", "without space or colon"),
    ("bad scope", FROM + "unsubscribe_scope: one\n", "drip.yaml:2:20", "wanted all or sequence"),
    ("bad transport", FROM + "transport: stmp\n", "drip.yaml:2:12", "did you mean 'smtp'?"),
    ("smtp without a server", SMTP, "drip.yaml:1:1", "the transport `smtp` needs a server"),
    ("smtp without a host", SMTP + "smtp: {port: 25}\n", "drip.yaml:3:7", "smtp.host: it is missing"),
    ("host with a port", SMTP + "smtp: {host: 'a:25'}\n", "drip.yaml:3:14", "the port has its own key"),
    ("host is a URL", SMTP + "smtp: {host: 'smtp://a'}\n", "drip.yaml:3:14", "is not a host"),
    ("port 0", SMTP + "smtp: {host: a, port: 0}\n", "drip.yaml:3:23", "from 1 to 65535"),
    ("port is text", SMTP + "smtp: {host: a, port: '25'}\n", "drip.yaml:3:23", "found the text '25', wanted a whole"),
    ("port is a fraction", SMTP + "smtp: {host: a, port: 2.5}\n", "drip.yaml:3:23", "wanted a whole number"),
    ("port is octal", SMTP + "smtp: {host: a, port: 0o777777}\n", "drip.yaml:3:23", "from 1 to 65535"),
    ("port of 25 digits", SMTP + f"smtp: {{host: a, port: {'1' * 25}}}\n", "drip.yaml:3:23", "too large"),
    ("201 connections", SMTP + "smtp: {host: a, connections: 201}\n", "drip.yaml:3:30", "from 1 to 200"),
    ("no connections", SMTP + "smtp: {host: a, connections: 0}\n", "drip.yaml:3:30", "from 1 to 200"),
    ("timeout 0", SMTP + "smtp: {host: a, timeout: 0s}\n", "drip.yaml:3:26", "longer than 0"),
    ("timeout without unit", SMTP + "smtp: {host: a, timeout: 30}\n", "drip.yaml:3:26", "has no unit"),
    ("plain to another host", SMTP + "smtp: {host: a.b, security: none}\n", "drip.yaml:3:29", "in the clear"),
    ("password in the clear", SMTP + "smtp: {host: localhost, security: none, user: u, password: p}\n",
     "drip.yaml:3:60", "a password never goes over a plain connection"),
    ("password in the clear, allowed", SMTP + "smtp: {host: a.b, security: none, allow_plaintext: true,\n"
     " user: u, password: p}\n", "drip.yaml:4:21", "a password never goes over a plain connection"),
    ("user in the clear", SMTP + "smtp: {host: localhost, security: none, user: u}\n",
     "drip.yaml:3:47", "a password never goes over a plain connection"),
    ("user without password", SMTP + "smtp: {host: a, user: u}\n", "drip.yaml:3:23", "a user, but no password"),
    ("user with an empty password", SMTP + "smtp: {host: a, user: u, password: '${P:-}'}\n",
     "drip.yaml:3:23", "a user, but no password"),
    ("password without user", SMTP + "smtp: {host: a, password: p}\n", "drip.yaml:3:27", "but no user"),
    ("password and oauth2", SMTP + "smtp: {host: a, user: u, password: p, oauth2_file: f}\n",
     "drip.yaml:3:52", "keep one of them"),
    ("password is a number", SMTP + "smtp: {host: a, user: u, password: 123456}\n",
     "drip.yaml:3:36", "wanted text in quotes"),
    ("token too long", SMTP + f"smtp: {{host: a, envelope_from: '{'b' * 28}{{token}}@b.example'}}\n", "drip.yaml:3:32",
     "gets too long: 64 octets may stand before the @, a token is 37"),
    ("token twice", SMTP + "smtp: {host: a, envelope_from: 'b{token}{token}@b.example'}\n", "drip.yaml:3:32", "too l"),
    ("a domain twice", FROM + "limits: {per_domain: {A.example: 1/s, a.example: 2/s}}\n", "drip.yaml:2:39",
     "a.example is there twice"),
    ("bad envelope_from", SMTP + "smtp: {host: a, envelope_from: '{token}'}\n", "drip.yaml:3:32", "not an address"),
    ("rate without unit", FROM + "limits: {rate: 14}\n", "drip.yaml:2:16", "'14' is not a rate (write it as 14/s"),
    ("rate per week", FROM + "limits: {rate: 14/w}\n", "drip.yaml:2:16", "is not a rate"),
    ("rate 0", FROM + "limits: {rate: 0/s}\n", "drip.yaml:2:16", "is not a rate"),
    ("per_day 0", FROM + "limits: {per_day: 0}\n", "drip.yaml:2:19", "from 1 to"),
    ("half a ramp", FROM + "limits: {ramp: {start: 50}}\n", "drip.yaml:2:16", "limits.ramp.factor: it is missing"),
    ("ramp that falls", FROM + "limits: {ramp: {start: 50, factor: 0.5, until: 60}}\n", "drip.yaml:2:36", "from 1 to"),
    ("ramp to less", FROM + "limits: {ramp: {start: 50, factor: 2, until: 9}}\n", "drip.yaml:2:46", "less than"),
    ("rate of no domain", FROM + "limits: {per_domain: {'a b': 1/s}}\n", "drip.yaml:2:23", "not a domain"),
    ("rate of a domain", FROM + "limits: {per_domain: {a.org: fast}}\n", "drip.yaml:2:23", "is not a rate"),
    ("rate of a domain without unit", FROM + "limits: {per_domain: {a.org: 20}}\n",
     "drip.yaml:2:23", "'20' is not a rate (write it as 14/s"),
    ("rate of a domain is a list", FROM + "limits: {per_domain: {a.org: [1/s]}}\n", "drip.yaml:2:23", "found a list"),
    ("no attempts", FROM + "retry: {attempts: 0}\n", "drip.yaml:2:19", "from 1 to 100"),
    ("max before first", FROM + "retry: {first: 2h, max: 1h}\n", "drip.yaml:2:25", "shorter than `first`"),
    ("factor not finite", FROM + "retry: {factor: 1e999}\n", "drip.yaml:2:17", "too large"),
    ("bad on_unknown", FROM + "on_unknown: resent\n", "drip.yaml:2:13", "did you mean 'resend'?"),
    ("stale_after 0", FROM + "stale_after: 0\n", "drip.yaml:2:14", "longer than 0"),
    ("webhooks are a mapping", FROM + "webhooks: {url: x}\n", "drip.yaml:2:11", "wanted a list of webhooks"),
    ("webhook without secret", FROM + "webhooks: [{url: 'https://a.b'}]\n", "drip.yaml:2:12", "secret: it is missing"),
    ("webhook without url", FROM + f"webhooks: [{{secret: {SECRET}}}]\n", "drip.yaml:2:12", "url: it is missing"),
    ("webhook listed twice", FROM + f"webhooks: [{HOOK}, {HOOK}]\n", f"drip.yaml:2:{len(HOOK) + 14}", "listed before"),
    ("webhook to ftp", FROM + f"webhooks: [{{url: 'ftp://a', secret: {SECRET}}}]\n", "drip.yaml:2:18", "http or https"),
    ("weak secret", FROM + "webhooks: [{url: 'https://a', secret: hunter2}]\n", "drip.yaml:2:39", "whsec_"),
    ("three secrets", FROM + f"webhooks: [{{url: 'https://a', secret: [{SECRET}, {SECRET}, {SECRET}]}}]\n",
     "drip.yaml:2:39", "or two while rotating"),
    ("no events", FROM + f"webhooks: [{{url: 'https://a', secret: {SECRET}, events: []}}]\n",
     "drip.yaml:2:87", "leave `events` out"),
    ("unknown event", FROM + f"webhooks: [{{url: 'https://a', secret: {SECRET}, events: [sequence.complete]}}]\n",
     "drip.yaml:2:88", "did you mean 'sequence.completed'?"),
    ("unknown inbound key", FROM + "inbound: {mail: x}\n", "drip.yaml:2:11", "there is no such key"),
    ("imap without host", FROM + "inbound: {imap: {user: a, password: b}}\n", "drip.yaml:2:17", "host: it is missing"),
    ("a short token", FROM + "inbound: {token: abc}\n", "drip.yaml:2:18", "16 letters and digits"),
    ("a provider's wrong key", FROM + "inbound: {providers: {resend: x}}\n", "drip.yaml:2:31", "signing secret"),
    ("a provider's keys", FROM + "inbound: {providers: {ses: {a: b}}}\n", "drip.yaml:2:28", "providers.ses"),
    ("an imap folder", FROM + "inbound: {imap: {host: h, user: u, password: p, folder: Ñ}}\n",
     "drip.yaml:2:57", "ASCII"),
    ("unknown provider", FROM + "inbound: {providers: {mailgum: x}}\n", "drip.yaml:2:23", "did you mean 'mailgun'?"),
    ("variable in a flow mapping", SMTP + "smtp: {host: a, user: u, password: ${PW}}\n",
     "drip.yaml:3:37", "put ${NAME} in quotes"),
    ("missing variable", SMTP + "smtp:\n  host: a\n  user: u\n  password: ${SMTP_PASSWORD}\n",
     "drip.yaml:6:13", "the environment variable SMTP_PASSWORD is not set"),
    ("missing variable within", FROM + "database: postgresql://u:${PW}@h/d\n", "drip.yaml:2:26", "PW is not set"),
    ("variable without end", FROM + "project: ${NAME\n", "drip.yaml:2:10", "'${' begins no variable"),
    ("variable within a default", FROM + "project: ${A:-${B}}\n", "drip.yaml:2:10", "'${' begins no variable"),
    ("a number from a variable", SMTP + "smtp: {host: a, port: '${PORT}'}\n", "drip.yaml:3:23", "wanted a whole"),
    ("a path of nothing", FROM + "outbox: ' '\n", "drip.yaml:2:9", "it is not a path"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "where", "fragment"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_told_what_and_where(tmp_path: Path, text: str, where: str, fragment: str) -> None:
    with pytest.raises(FilesInvalid) as raised:
        settings(tmp_path, text, {"PORT": "abc", "B": "b"})
    found = [problem for problem in raised.value.problems if place(problem) == where]
    assert found, str(raised.value)
    assert any(fragment in str(problem) for problem in found), str(raised.value)
    told = [(problem.line, problem.where) for problem in raised.value.problems]
    assert len(told) == len(set(told)), str(raised.value)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = "form: a\ntimezone: X\nsmtp: {host: h, port: x, password: '${NOPE}'}\nlimits: {rate: x}\n"
    with pytest.raises(FilesInvalid) as raised:
        settings(tmp_path, text)
    assert [problem.line for problem in raised.value.problems] == [1, 1, 2, 3, 3, 4]


@pytest.mark.parametrize(
    "text",
    [
        "database: mysql://root:hunter2@h/d\n",
        "database: postgresql://root:hunter2@[h/d\n",
        "smtp: {host: h, user: u, password: [hunter2]}\n",
        "smtp: {host: h, user: u, password: \"hunter2\\n\"}\n",
        "webhooks: [{url: 'https://a', secret: hunter2}]\n",
        "webhooks: [{url: 'https://a', secret: [hunter2, 5]}]\n",
        "webhooks: [{url: 'https://u:hunter2@a', secret: x}]\n",
        "base_url: https://u:hunter2@example.com\n",
    ],
)  # fmt: skip
def test_a_secret_is_never_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(FilesInvalid) as raised:
        settings(tmp_path, FROM + text)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "where", "word"),
    [
        ("{rate_limit: often}", "http.rate_limit", "often"),
        ("{rate-limit: 3/s}", "http", "rate_limit"),
        ("600/m", "http", "600/m"),
    ],
)
def test_a_limit_of_the_api_that_is_none(tmp_path: Path, written: str, where: str, word: str) -> None:
    with pytest.raises(FilesInvalid) as caught:
        settings(tmp_path, f"{FROM}http: {written}")
    (problem,) = caught.value.problems
    assert problem.line == 2
    assert problem.where.startswith(where)
    assert word in f"{problem.message} {problem.hint}"
