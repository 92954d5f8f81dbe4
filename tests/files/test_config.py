"""drip.yaml: where it is found, and what a good one is read as."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from drip.core.address import Address
from drip.core.delivery import RetryRule
from drip.core.settings import (
    InboundSettings,
    Limits,
    OnUnknown,
    Ramp,
    Rate,
    Security,
    Settings,
    SmtpSettings,
    TransportKind,
    UndefinedRule,
    UnsubscribeScope,
    WebhookEndpoint,
)
from drip.errors import FilesInvalid, Invalid
from drip.files.config import find_config, load_settings
from tests.files.projects import FROM, SECRET, settings, write

WHOLE = """\
database: postgresql://drip:${PGPASSWORD}@db/drip
sequences: mails
from: Ana de Mi Empresa <hola@miempresa.com>
reply_to: soporte@miempresa.com
authorized_domains: [miempresa.com, Émpresa.es]
timezone: Europe/Madrid
base_url: https://mail.miempresa.com/
postal_address: Calle Mayor 1, Madrid
undefined: error
project: newsletter
feedback_id: miempresa
unsubscribe_scope: sequence
transport: smtp
outbox: /var/mail/out
smtp:
  host: smtp.example.com
  port: ${PORT:-2525}
  security: tls
  user: apikey
  password: ${SMTP_PASSWORD}
  connections: 8
  timeout: 1m 30s
  ca_file: ca.pem
  envelope_from: bounces+{token}@miempresa.com
limits:
  rate: 14/s
  per_day: 50000
  ramp: {start: 50, factor: 1.5, until: 50000}
  per_domain: {gmail.com: 20/s, example.org: 600/m}
retry: {attempts: 5, first: 2m, factor: 2, max: 1h}
on_unknown: assume_sent
stale_after: null
webhooks:
  - {url: "https://app.miempresa.com/hooks", secret: "${HOOK}", events: [sequence.completed]}
  - {url: "http://localhost:3000/", secret: ["${HOOK}", "${HOOK}"]}
webhooks_allow_private: true
http: {rate_limit: 600/m}
inbound:
  address: bounces@miempresa.com
  maildir: bounces
  token: ${INBOUND_TOKEN}
  providers: {mailgun: key, ses: arn:aws:sns:eu-west-1:123456789012:bounces}
"""
ENVIRON = {"PGPASSWORD": "secret", "SMTP_PASSWORD": "012345", "HOOK": SECRET, "INBOUND_TOKEN": "0123456789abcdef"}


def test_a_file_with_every_key(tmp_path: Path) -> None:
    project = tmp_path / "proj"
    assert settings(project, WHOLE, ENVIRON) == Settings(
        folder=project,
        path=project / "drip.yaml",
        sender=Address("hola@miempresa.com", "Ana de Mi Empresa"),
        project="newsletter",
        database="postgresql://drip:secret@db/drip",
        sequences=project / "mails",
        reply_to=Address("soporte@miempresa.com"),
        authorized_domains=frozenset({"miempresa.com", "xn--mpresa-9ua.es"}),
        timezone=ZoneInfo("Europe/Madrid"),
        base_url="https://mail.miempresa.com",
        postal_address="Calle Mayor 1, Madrid",
        undefined=UndefinedRule.ERROR,
        feedback_id="miempresa",
        unsubscribe_scope=UnsubscribeScope.SEQUENCE,
        transport=TransportKind.SMTP,
        outbox=Path("/var/mail/out"),
        smtp=SmtpSettings(
            host="smtp.example.com",
            port=2525,
            security=Security.TLS,
            user="apikey",
            password="012345",
            connections=8,
            timeout=timedelta(seconds=90),
            ca_file=project / "ca.pem",
            envelope_from="bounces+{token}@miempresa.com",
        ),
        limits=Limits(
            rate=Rate(14, timedelta(seconds=1)),
            per_day=50_000,
            ramp=Ramp(50, 1.5, 50_000),
            per_domain={
                "gmail.com": Rate(20, timedelta(seconds=1)),
                "example.org": Rate(600, timedelta(minutes=1)),
            },
        ),
        retry=RetryRule(attempts=5, first=timedelta(minutes=2), factor=2.0, longest=timedelta(hours=1)),
        on_unknown=OnUnknown.ASSUME_SENT,
        stale_after=None,
        webhooks=(
            WebhookEndpoint("https://app.miempresa.com/hooks", (SECRET,), frozenset({"sequence.completed"})),
            WebhookEndpoint("http://localhost:3000/", (SECRET, SECRET)),
        ),
        webhooks_allow_private=True,
        http_rate_limit=Rate(600, timedelta(minutes=1)),
        inbound=InboundSettings(
            address="bounces@miempresa.com",
            maildir=project / "bounces",
            token="0123456789abcdef",
            providers={"mailgun": "key", "ses": "arn:aws:sns:eu-west-1:123456789012:bounces"},
        ),
    )


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    project = tmp_path / "my-mails"
    assert settings(project, FROM) == Settings(
        folder=project,
        path=project / "drip.yaml",
        sender=Address("ana@example.com", "Ana"),
        project="my-mails",
        database=f"sqlite:///{project}/drip.db",
        sequences=project / "sequences",
        outbox=project / "outbox",
        authorized_domains=frozenset({"example.com"}),
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sqlite:///drip.db", "sqlite:///{folder}/drip.db"),
        ("sqlite:///data/../x.db", "sqlite:///{folder}/x.db"),
        ("sqlite:////var/lib/drip.db", "sqlite:////var/lib/drip.db"),
        ("postgres://drip@db:5433/drip", "postgresql://drip@db:5433/drip"),
    ],
)
def test_a_database_is_named_by_its_url(tmp_path: Path, written: str, read: str) -> None:
    assert settings(tmp_path, f"{FROM}database: {written}").database == read.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("smtp", "security"),
    [
        ("{host: localhost, security: none}", Security.NONE),
        ("{host: 127.0.0.1, security: none}", Security.NONE),
        ("{host: '::1', security: none}", Security.NONE),
        ("{host: relay.example.com, security: none, allow_plaintext: true}", Security.NONE),
        ("{host: relay.example.com}", Security.STARTTLS),
        ("{host: smtp.gmail.com, user: ana@example.com, oauth2_file: o.json}", Security.STARTTLS),
    ],
)
def test_servers_that_are_fine(tmp_path: Path, smtp: str, security: Security) -> None:
    found = settings(tmp_path, f"{FROM}transport: smtp\nsmtp: {smtp}").smtp
    assert found is not None
    assert found.security is security


def test_values_from_the_environment_are_typed_as_the_key_wants(tmp_path: Path) -> None:
    text = FROM + (
        "transport: ${T}\nsmtp: {host: '${H}', port: \"${P}\", user: u, password: '${W}', timeout: '${D:-45s}'}\n"
        "project: ${H}-${T}\npostal_address: ${NONE:-}\nwebhooks_allow_private: ${F}\nretry: {factor: '${X:-2.5}'}\n"
    )
    environ = {"T": "smtp", "H": "mx.example.com", "P": "25", "W": "010", "F": "true"}
    found = settings(tmp_path, text, environ)
    assert found.smtp is not None
    assert (found.smtp.port, found.smtp.password, found.smtp.timeout) == (25, "010", timedelta(seconds=45))
    assert (found.project, found.postal_address, found.webhooks_allow_private) == ("mx.example.com-smtp", None, True)
    assert found.retry.factor == 2.5


def test_an_empty_variable_takes_the_default(tmp_path: Path) -> None:
    assert settings(tmp_path, FROM + "project: ${NAME:-mails}", {"NAME": ""}).project == "mails"


def test_a_dollar_alone_is_text(tmp_path: Path) -> None:
    text = FROM + "smtp: {host: h, user: u, password: 'pa$$w$NAME{x}'}"
    found = settings(tmp_path, text).smtp
    assert found is not None
    assert found.password == "pa$$w$NAME{x}"


def test_a_value_from_the_environment_is_not_filled_again(tmp_path: Path) -> None:
    assert settings(tmp_path, FROM + "project: ${A}", {"A": "${B}", "B": "x"}).project == "${B}"


def test_utf8_with_a_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    write(tmp_path, {"drip.yaml": b"\xef\xbb\xbffrom: \xc3\x81na <ana@example.com>\r\nproject: a\r\n"})
    found = load_settings(tmp_path / "drip.yaml", {})
    assert (found.sender.name, found.project) == ("Ána", "a")


def test_a_key_for_dkim(tmp_path: Path) -> None:
    seed = base64.b64encode(bytes(32))
    write(tmp_path, {"keys/dkim.key": seed})
    dkim = "dkim: {domain: Mail.Example.com, selector: Drip1, key_file: keys/dkim.key}"
    smtp = settings(tmp_path, FROM + f"transport: smtp\nsmtp: {{host: h, {dkim}}}\n").smtp
    assert smtp is not None
    assert smtp.dkim is not None
    assert (smtp.dkim.domain, smtp.dkim.selector) == ("mail.example.com", "drip1")
    assert smtp.dkim.key.record == "v=DKIM1; k=ed25519; p=O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="
    assert seed.decode() not in repr(smtp)


def test_the_nearest_parent_is_found(tmp_path: Path) -> None:
    write(tmp_path, {})
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_config(deep) == tmp_path / "drip.yaml"
    write(tmp_path / "a", {})
    assert find_config(deep) == tmp_path / "a" / "drip.yaml"


def test_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as raised:
        find_config(tmp_path)
    assert "drip init" in str(raised.value.hint)


def test_a_yml_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "drip.yml").write_text(FROM)
    with pytest.raises(Invalid, match=r"drip\.yml") as raised:
        find_config(tmp_path)
    assert raised.value.hint == "rename it to drip.yaml"


@pytest.mark.parametrize("name", ["missing.yaml", "sequences"])
def test_a_file_that_is_none(tmp_path: Path, name: str) -> None:
    write(tmp_path, {})
    with pytest.raises(FilesInvalid, match=r"there is no such file|it is a folder"):
        load_settings(tmp_path / name, {})


def test_reading_it_loads_nothing_slow(tmp_path: Path) -> None:
    path = write(tmp_path, {"drip.yaml": FROM}) / "drip.yaml"
    code = (
        "import sys; from pathlib import Path; from drip.files.config import load_settings\n"
        "assert not {'email_validator', 'jinja2'} & set(sys.modules)\n"
        f"load_settings(Path({str(path)!r}), {{}})\n"
        "names = {name.split('.')[0] for name in sys.modules} | set(sys.modules)\n"
        "assert not {'jinja2', 'pydantic', 'drip.render', 'markdown_it', 'lxml', 'rich'} & names\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://mäil.example.com", "https://xn--mil-qla.example.com"),
        ("HTTPS://Mail.Example.com:8443/x/", "https://mail.example.com:8443/x"),
        ("https://mail.example.com/año/<b>/%20", "https://mail.example.com/a%C3%B1o/%3Cb%3E/%20"),
        ("http://[::1]:8025/", "http://[::1]:8025"),
    ],
)
def test_base_url_is_kept_as_a_header_can_have_it(tmp_path: Path, written: str, kept: str) -> None:
    assert settings(tmp_path, FROM + f"base_url: {written}\n").base_url == kept


def test_an_address_in_a_mailto_link_is_encoded(tmp_path: Path) -> None:
    found = settings(tmp_path, FROM + "inbound: {address: 'ñ+a?b&c@example.com'}\n")
    assert found.unsubscribe_mailto("t") == "mailto:%C3%B1+a%3Fb%26c@example.com?subject=unsubscribe%20t"
    assert settings(tmp_path, FROM).unsubscribe_mailto("t") is None
