"""`doctor`: what must be right before mail goes out, with the cure of what is not."""

from __future__ import annotations

import base64
import http.server
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from drip.cli.project import examination
from drip.core.checkup import Level
from tests.cli.conftest import CONFIG, Cli
from tests.databases import new_postgres
from tests.dns_server import DnsServer
from tests.smtp_server import Authority, Features, SmtpServer

RECORDS = {
    ("example.com", "MX"): ["10 in.example.com."],
    ("example.com", "TXT"): ['"v=spf1 ip4:9.9.9.9 ~all"'],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=none"'],
}


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer(RECORDS) as server:
        yield server


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def configured(cli: Cli, port: int, more: str = "", smtp: str = "") -> None:
    base = CONFIG.replace("base_url: https://mail.example.com\n", "")
    cli.write(
        "drip.yaml",
        f"{base}{more}transport: smtp\nsmtp:\n  host: localhost\n  port: {port}\n" + (smtp or "  security: none\n"),
    )


def checks(cli: Cli, dns: DnsServer, *more: str, code: int = 0) -> dict[str, list[dict[str, Any]]]:
    told = cli.json("doctor", "--resolver", f"127.0.0.1:{dns.port}", *more, code=code)
    found: dict[str, list[dict[str, Any]]] = {}
    for check in told["checks"]:
        assert set(check) == {"name", "status", "message", "cure", "record"}
        assert check["cure"] or check["status"] == "ok"
        found.setdefault(check["name"], []).append(check)
    assert told["failures"] == sum(check["status"] == "failure" for each in found.values() for check in each)
    assert bool(told["failures"]) == bool(code)
    return found


@pytest.mark.sqlite
def test_a_fresh_project_has_warnings_alone(files: Cli, dns: DnsServer) -> None:
    before = sorted(path.name for path in files.folder.iterdir())
    found = checks(files, dns)
    assert found["config"][0]["status"] == "ok"
    assert "`drip apply` makes it" in found["database"][0]["cure"]
    assert "outbox" in found["transport"][0]["message"]
    assert sorted(path.name for path in files.folder.iterdir()) == before


@pytest.mark.sqlite
def test_each_line_says_what_to_do(files: Cli, dns: DnsServer) -> None:
    said = files("doctor", "--resolver", f"127.0.0.1:{dns.port}")
    assert "warning  base_url" in said.stdout
    columns = [line[9:].split("  ")[0] for line in said.stdout.splitlines() if not line.startswith(" ")]
    assert {"postal_address", "sqlite"} <= set(columns)  # no name touches what is said of it
    assert "→ serve it" in said.stdout
    assert said.stderr.endswith("warnings\n")


def test_the_login_is_tried_and_nothing_is_sent(cli: Cli, dns: DnsServer, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    features = Features(
        starttls=True, mechanisms=("PLAIN",), users=frozenset({("apikey", "secret")}), login_required=True
    )
    with SmtpServer(features=features, certificate=authority.certificate()) as server:
        login = f"  ca_file: {authority.file}\n  user: apikey\n  password: secret\n"
        configured(cli, server.port, smtp=login)
        found = checks(cli, dns, code=0)
        assert found["transport"][0]["status"] == "ok"
        assert "logged in as apikey" in found["transport"][0]["message"]
        assert not server.messages
        assert [login.accepted for login in server.logins] == [True]
        assert "holds a password" in found["secrets"][1]["message"]
        configured(cli, server.port, smtp=login.replace("secret", "wrong"))
        assert "check smtp.user and smtp.password" in checks(cli, dns, code=1)["transport"][0]["message"]


def test_each_secret_in_the_file_is_told_with_a_variable_of_its_own(cli: Cli, dns: DnsServer) -> None:
    hook = "webhooks:\n  - url: https://example.com/hook\n    secret: whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n"
    configured(cli, 1, "database: postgresql://ada:geheim@127.0.0.1:1/drip\n" + hook)
    found = [check for check in checks(cli, dns, code=1)["secrets"] if check["status"] == "warning"]
    told = [(check["message"].partition(" holds ")[2], check["cure"].split()[1]) for check in found]
    assert told == [
        ("a webhook's secret: git remembers it", "${DRIP_WEBHOOK_SECRET}"),
        ("the database's password: git remembers it", "${PGPASSWORD}"),
    ]


@pytest.mark.parametrize(
    ("fault", "said"),
    [("mail=reply 550 5.7.1 not yours", "check from"), ("banner=drop", "greeting"), ("rset=drop", "hung up")],
)
def test_a_server_that_does_not_let_us_in(cli: Cli, dns: DnsServer, fault: str, said: str) -> None:
    with SmtpServer(faults=[fault]) as server:
        configured(cli, server.port)
        assert said in checks(cli, dns, code=1)["transport"][0]["message"]


def test_what_the_world_minds_fails_once_mail_leaves(cli: Cli, server: SmtpServer, dns: DnsServer) -> None:
    dns.records.clear()
    assert checks(cli, dns)["dmarc"][0]["status"] == "warning"
    configured(cli, server.port)
    found = checks(cli, dns, code=1)
    assert found["dmarc"][0]["record"] == {
        "name": "_dmarc.example.com",
        "type": "TXT",
        "value": "v=DMARC1; p=none",
    }


def test_every_from_domain_is_looked_at(cli: Cli, server: SmtpServer, dns: DnsServer) -> None:
    configured(cli, server.port, "authorized_domains: [example.com, other.org]\n")
    text = (cli.folder / "sequences/welcome.yaml").read_text()
    cli.write("sequences/welcome.yaml", text.replace("steps:", "from: Bob <bob@other.org>\nsteps:"))
    assert any("other.org" in check["message"] for check in checks(cli, dns, code=1)["dmarc"])


def test_the_record_of_the_key_and_who_can_read_it(cli: Cli, server: SmtpServer, dns: DnsServer) -> None:
    key = cli.write("dkim.key", base64.b64encode(bytes(32)))
    smtp = "  security: none\n  dkim: {domain: example.com, selector: d1, key_file: dkim.key}\n"
    configured(cli, server.port, smtp=smtp)
    key.chmod(0o644)
    found = checks(cli, dns, code=1)
    record = found["dkim"][0]["record"]
    assert (record["name"], record["type"]) == ("d1._domainkey.example.com", "TXT")
    assert any("others can read dkim.key" in check["message"] for check in found["secrets"])
    dns.add({(record["name"], "TXT"): [f'"{record["value"]}"']})
    key.chmod(0o600)
    found = checks(cli, dns)
    assert found["dkim"][0]["status"] == "ok"
    assert not any("others can read" in check["message"] for check in found["secrets"])


def test_no_resolver_is_said_and_all_else_is_looked_at(cli: Cli, server: SmtpServer, dns: DnsServer) -> None:
    key = cli.write("dkim.key", base64.b64encode(bytes(32)))
    key.chmod(0o600)
    smtp = "  security: none\n  dkim: {domain: example.com, selector: d1, key_file: dkim.key}\n"
    configured(cli, server.port, smtp=smtp)
    dns.rcode = 5  # type: ignore[assignment]  # REFUSED
    found = checks(cli, dns)
    assert "were not looked at" in found["dns"][0]["message"]
    assert found["dns"][0]["record"]["name"] == "d1._domainkey.example.com"
    assert "spf" not in found


def test_a_message_to_oneself(cli: Cli, server: SmtpServer, dns: DnsServer) -> None:
    configured(cli, server.port)
    assert checks(cli, dns, "--send", "--to", "me@example.org")["send"][0]["status"] == "ok"
    checks(cli, dns, "--send")
    assert [message.recipients for message in server.messages] == [("me@example.org",), ("ada@example.com",)]
    message = message_from_bytes(server.messages[0].content)
    assert message["Subject"].startswith("[test] drip sends as")
    assert message["X-Drip-Test"] == "yes"


def test_a_refused_message_to_oneself_fails(cli: Cli, dns: DnsServer) -> None:
    with SmtpServer(faults=["dot=reply 550 5.7.26 unauthenticated"]) as server:
        configured(cli, server.port)
        assert "5.7.26" in checks(cli, dns, "--send", code=1)["send"][0]["message"]


def test_a_damaged_database(cli: Cli, dns: DnsServer) -> None:
    cli("subscribe", "welcome", "ada@example.com")
    cli.sql("UPDATE subscription SET next_send_at = NULL")
    assert "`drip db check`" in checks(cli, dns, code=1)["database"][0]["cure"]
    (cli.folder / "drip.db").write_bytes(b"this is no database" * 100)
    assert checks(cli, dns, code=1)["database"][0]["status"] == "failure"


@pytest.mark.sqlite
def test_another_schema_is_said_and_left(cli: Cli, dns: DnsServer) -> None:
    with sqlite3.connect(cli.folder / "drip.db") as database:
        database.execute("PRAGMA user_version = 1")
    assert "`drip db migrate`" in checks(cli, dns)["database"][0]["cure"]
    with sqlite3.connect(cli.folder / "drip.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        database.execute("PRAGMA user_version = 999")
    assert "newer" in checks(cli, dns, code=1)["database"][0]["message"]


@pytest.mark.sqlite
def test_backups_are_missed_once_something_was_sent(ada: Cli, dns: DnsServer) -> None:
    assert checks(ada, dns)["backups"][0]["status"] == "ok"
    ada("run", "--once")
    assert "`drip db backup FILE`" in checks(ada, dns)["backups"][0]["cure"]
    ada("db", "backup", str(ada.folder / "copy.db"))
    assert checks(ada, dns)["backups"][0]["status"] == "ok"
    old = time.time() - 30 * 86_400
    os.utime(ada.folder / "copy.db", (old, old))
    assert "30 days old" in checks(ada, dns)["backups"][0]["message"]


@pytest.mark.sqlite
@pytest.mark.parametrize(("version", "level"), [((3, 51, 2), "warning"), ((3, 51, 3), "ok"), ((4, 0, 0), "ok")])
def test_the_sqlite_that_python_has(
    cli: Cli, dns: DnsServer, version: tuple[int, int, int], level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert checks(cli, dns)["sqlite"][0]["status"] == level


def test_base_url_and_its_clock(cli: Cli, dns: DnsServer) -> None:
    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        cli.write("drip.yaml", CONFIG.replace("https://mail.example.com", f"http://127.0.0.1:{site.server_port}"))
        found = checks(cli, dns)
        assert "this machine alone" in found["base_url"][0]["message"]
        assert found["clock"][0]["status"] == "ok"
        assert "127.0.0.1" in found["clock"][0]["message"]
        for wrong, level in ((100, Level.WARNING), (-1000, Level.FAILURE)):
            *_, clock = examination.examine_web(cli.project.settings, lambda wrong=wrong: time.time() + wrong)  # type: ignore[misc]
            assert (clock.name, clock.level) == ("clock", level)
        site.shutdown()


def test_a_drip_yaml_that_is_wrong_is_a_failure_with_its_place(cli: Cli, dns: DnsServer) -> None:
    cli.write("drip.yaml", "from: nobody\n")
    assert "drip.yaml:1:7" in checks(cli, dns, code=1)["config"][0]["message"]


def test_a_short_secret(cli: Cli, dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIP_SECRET_KEY", "hunter2")
    assert checks(cli, dns)["secrets"][0]["status"] == "warning"


def test_an_outbox_that_can_not_be_written(cli: Cli, dns: DnsServer) -> None:
    cli.write("outbox", "a file, where a folder should be")
    assert checks(cli, dns, code=1)["transport"][0]["status"] == "failure"


@pytest.mark.parametrize("wrong", [["--resolver", "one.one:53"], ["--resolver", "x"], ["--to", "nobody"]])
def test_what_is_asked_wrongly(cli: Cli, wrong: list[str]) -> None:
    assert cli("doctor", *wrong, code=2).stdout == ""


def test_a_server_without_tables_and_one_with(files: Cli, dns: DnsServer) -> None:
    url = new_postgres(None)
    files.write("drip.yaml", CONFIG + f"database: {url}\n")
    (check,) = checks(files, dns)["database"]
    assert (check["status"], check["cure"]) == ("warning", "`drip apply` makes the tables")
    files("apply")
    found = checks(files, dns)
    assert found["database"][0]["status"] == "ok"
    assert not {"sqlite", "disk", "backups"} & set(found)
