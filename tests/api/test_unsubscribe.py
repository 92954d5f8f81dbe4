"""The link in every message: what a GET, a click and a form do, and what no other token does."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from drip.core.settings import UnsubscribeScope
from drip.core.tokens import Purpose, make_token
from tests.api.site import Site, open_site

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def standing(site: Site, path: str, email: str = "ana@empresa.com") -> tuple[str, str | None]:
    """A subscriber's status and reason."""
    found = site.call("GET", f"{path}/subscribers/{email}", status=200)
    return found["status"], found["cancel_reason"]


def test_a_get_unsubscribes_nobody(site: Site) -> None:
    path = site.sequence(steps=2)
    link = site.link(site.subscribe(path)["id"])
    for method in ("GET", "HEAD"):
        for query in ("", "?scope=all", "?List-Unsubscribe=One-Click", "?action=undo"):
            response = site.client.request(method, link + query, headers={"User-Agent": "SafeLinks"})
            assert response.status_code == 200
            assert (response.text == "") == (method == "HEAD")
    assert standing(site, path) == ("active", None)
    assert site.call("GET", "/v1/suppressions")["total"] == 0


def test_the_page_says_who_and_not_quite_to_whom(site: Site) -> None:
    link = site.link(site.subscribe(site.sequence())["id"])
    page = site.client.get(link).text
    assert "Ana de Mi Empresa" in page
    assert "a•••@empresa.com" in page
    assert "ana@empresa.com" not in page
    assert "Welcome" not in page  # the series' name is the operator's own


def test_headers_keep_the_page_to_itself(site: Site) -> None:
    link = site.link(site.subscribe(site.sequence())["id"])
    for response in (
        site.client.get(link),
        site.client.get("/u/x"),
        site.client.post(link, data={"scope": "sequence"}),
    ):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in response.headers["X-Robots-Tag"]
        assert response.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in response.headers
        assert "<script" not in response.text
        assert "src=" not in response.text


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en-GB,es;q=0.5", "en"),
        ("de,es;q=0.3", "es"),
        ("es;q=0", "en"),
        ("es;q=x,,;", "en"),
        ("es," * 100_00, "es"),
    ],
)
def test_the_language_is_the_browsers(site: Site, accept: str, language: str) -> None:
    link = site.link(site.subscribe(site.sequence())["id"])
    page = site.client.get(link, headers={"Accept-Language": accept})
    assert f'<html lang="{language}">' in page.text
    assert page.headers["Content-Language"] == language


def test_one_click_as_gmail_sends_it(site: Site) -> None:
    path, other = site.sequence(steps=2), site.sequence("Other")
    link = site.link(site.subscribe(path)["id"])
    site.subscribe(other)
    url = f"{site.client.base_url}{link}".replace("//u", "/u")
    for form in (["-d", "List-Unsubscribe=One-Click"], ["-F", "List-Unsubscribe=One-Click"]):
        answer = subprocess.run(
            ["curl", "-si", *form, url], capture_output=True, text=True, check=True, timeout=120
        ).stdout
        head, _, body = answer.partition("\n\n" if "\r" not in answer else "\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 OK")
        assert body == ""
        assert "set-cookie" not in head.lower()
        assert "location" not in head.lower()
    assert standing(site, path) == standing(site, other) == ("cancelled", "unsubscribed")
    assert site.call("GET", "/v1/bulk/contacts/ana@empresa.com")["status"] == "unsubscribed"
    assert site.call("GET", "/v1/suppressions")["items"][0]["reason"] == "unsubscribed"
    reasons = [one["reason"] for one in site.call("GET", "/v1/events?types=sequence.cancelled")]
    assert reasons == ["unsubscribed", "unsubscribed"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", ""),
        (b"x", "text/plain"),
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded; charset=utf-8"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"broken", "multipart/form-data"),
        (b"broken", "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b"scope=nothing", "application/x-www-form-urlencoded"),
    ],
)
def test_whoever_posts_wants_out(site: Site, content: bytes, kind: str) -> None:
    path = site.sequence(steps=2)
    link = site.link(site.subscribe(path)["id"])
    response = site.client.post(link, content=content, headers={"Content-Type": kind})
    assert (response.status_code, response.text) == (200, "")
    assert standing(site, path) == ("cancelled", "unsubscribed")


def test_one_click_may_be_for_the_series_alone(tmp_path: Path) -> None:
    with open_site(tmp_path, unsubscribe_scope=UnsubscribeScope.SEQUENCE) as site:
        path, other = site.sequence(steps=2), site.sequence("Other", steps=2)
        link = site.link(site.subscribe(path)["id"])
        site.subscribe(other)
        assert site.client.post(link, data=ONE_CLICK).status_code == 200
        assert (standing(site, path), standing(site, other)) == (("cancelled", "unsubscribed"), ("active", None))
        assert site.call("GET", "/v1/suppressions")["total"] == 0


def test_the_form_leaves_the_series_then_everything(site: Site) -> None:
    path, other = site.sequence(steps=2), site.sequence("Other", steps=2)
    link = site.link(site.subscribe(path)["id"])
    site.subscribe(other)
    done = site.client.post(link, data={"scope": "sequence"})
    assert "You have left this series" in done.text
    assert 'value="undo"' in done.text
    assert (standing(site, path), standing(site, other)) == (("cancelled", "unsubscribed"), ("active", None))
    assert "You have left this series" in site.client.get(link).text
    done = site.client.post(link, data={"scope": "all"})
    assert "You are unsubscribed" in done.text
    assert standing(site, other) == ("cancelled", "unsubscribed")
    assert "You are unsubscribed" in site.client.get(link).text


def test_undo_brings_back_what_that_opt_out_ended(site: Site) -> None:
    path, other, left = site.sequence(steps=3), site.sequence("Other", steps=2), site.sequence("Left", steps=2)
    link = site.link(site.subscribe(path)["id"])
    site.subscribe(other)
    site.subscribe(left)
    site.lab.tick()
    site.call("POST", f"{other}/subscribers/ana@empresa.com/pause", status=200)
    site.call("DELETE", f"{left}/subscribers/ana@empresa.com", status=200)
    before = [site.call("GET", f"{one}/subscribers/ana@empresa.com") for one in (path, other, left)]
    site.lab.move("5m")
    site.client.post(link, data={"scope": "all"})
    page = site.client.post(link, data={"action": "undo"})
    assert "It is undone" in page.text
    after = [site.call("GET", f"{one}/subscribers/ana@empresa.com") for one in (path, other, left)]
    for was, now in zip(before, after, strict=True):
        assert {**was, "updated_at": None} == {**now, "updated_at": None}
    assert site.call("GET", "/v1/suppressions")["total"] == 0
    assert site.call("GET", "/v1/bulk/contacts/ana@empresa.com")["status"] == "active"
    site.lab.move("1h")
    site.lab.tick()
    assert site.call("GET", f"{path}/subscribers/ana@empresa.com")["current_step"] == 2


def test_undo_has_its_time(site: Site) -> None:
    path = site.sequence(steps=2)
    link = site.link(site.subscribe(path)["id"])
    assert "Unsubscribe" in site.client.post(link, data={"action": "undo"}).text  # nothing to undo
    site.client.post(link, data={"scope": "sequence"})
    site.lab.move("61m")
    page = site.client.post(link, data={"action": "undo"})
    assert 'value="undo"' not in page.text
    assert standing(site, path) == ("cancelled", "unsubscribed")


def test_undo_does_not_lift_a_complaint(site: Site) -> None:
    path = site.sequence(steps=2)
    link = site.link(site.subscribe(path)["id"])
    site.client.post(link, data={"scope": "all"})
    site.call("POST", "/v1/suppressions", {"email": "ana@empresa.com", "reason": "complaint"}, 201)
    site.client.post(link, data={"action": "undo"})
    assert site.call("GET", "/v1/suppressions")["items"][0]["reason"] == "complaint"
    assert standing(site, path)[0] == "cancelled"


def test_a_link_of_an_earlier_subscription_ends_the_one_that_stands(site: Site) -> None:
    path = site.sequence(resubscribe="always")
    first = site.subscribe(path)["id"]
    site.lab.tick()
    second = site.subscribe(path)["id"]
    assert first != second
    site.client.post(site.link(first), data={"scope": "sequence"})
    assert standing(site, path) == ("cancelled", "unsubscribed")
    assert (
        site.error("POST", f"{path}/subscribers", {"email": "ana@empresa.com"}, 409)["code"] == "subscription_terminal"
    )


def test_a_series_that_has_ended_can_not_be_left(site: Site) -> None:
    path = site.sequence()
    link = site.link(site.subscribe(path)["id"])
    site.lab.tick()
    page = site.client.get(link).text
    assert 'value="all"' in page
    assert 'value="sequence"' not in page


class TestTokens:
    def bad(self, site: Site, token: str) -> list[tuple[int, str]]:
        answers = []
        for method, data in (("GET", None), ("POST", ONE_CLICK)):
            response = site.client.request(method, f"/u/{token}", data=data)
            answers.append((response.status_code, response.text))
        return answers

    def test_every_bad_one_gets_the_same_page(self, site: Site) -> None:
        path = site.sequence(steps=2)
        row_id = site.subscribe(path)["id"]
        secret, good = site.lab.store.secret(), site.link(row_id).removeprefix("/u/")
        wrong: list[Any] = ["x", "a" * 99, "a" * 5000, "%00", "%F0%9F%92%A9", "é", good + "a", "a" + good]
        wrong += [good[:cut] for cut in range(1, len(good))]
        wrong += [good[:at] + ("a" if good[at] != "a" else "b") + good[at + 1 :] for at in range(len(good))]
        wrong += [make_token(b"another project", Purpose.UNSUBSCRIBE, row_id)]
        wrong += [make_token(secret, Purpose.DELIVERY, row_id), make_token(secret, Purpose.DELIVERY, row_id, 1)]
        wrong += [make_token(secret, Purpose.UNSUBSCRIBE, other) for other in (0, row_id + 1, 2**63, 2**64)]
        wrong += [make_token(secret, Purpose.UNSUBSCRIBE, row_id, row_id)]
        answers = {answer for token in wrong for answer in self.bad(site, token)}
        assert len(answers) == 1
        status, page = answers.pop()
        assert (status, "This page does not exist" in page) == (404, True)
        assert standing(site, path) == ("active", None)

    def test_the_paths_token_wins(self, site: Site) -> None:
        path = site.sequence(steps=2)
        ana, luis = site.subscribe(path)["id"], site.subscribe(path, "luis@empresa.com")["id"]
        token = site.link(luis).removeprefix("/u/")
        site.client.post(f"{site.link(ana)}?token={token}", data={**ONE_CLICK, "token": token})
        assert standing(site, path) == ("cancelled", "unsubscribed")
        assert standing(site, path, "luis@empresa.com") == ("active", None)

    def test_upper_case_is_the_same_token(self, site: Site) -> None:
        link = site.link(site.subscribe(site.sequence())["id"])
        assert site.client.get("/u/" + link[3:].upper()).status_code == 200

    def test_an_erased_person_is_nobody(self, site: Site) -> None:
        link = site.link(site.subscribe(site.sequence())["id"])
        site.call("DELETE", "/v1/bulk/contacts/ana@empresa.com", status=204)
        assert site.client.get(link).status_code == 404


def test_an_opt_out_between_claim_and_mark_stops_the_message(site: Site) -> None:
    path = site.sequence(steps=2)
    link = site.link(site.subscribe(path)["id"])
    answers: list[httpx.Response] = []
    site.lab.transport.before_mark = lambda: answers.append(site.client.post(link, data=ONE_CLICK))
    report = site.lab.tick()
    assert [answer.status_code for answer in answers] == [200]
    assert (site.lab.transport.sent, report.counts["sent"]) == ([], 0)
    site.lab.move("1d")
    site.lab.tick()
    assert site.lab.transport.sent == []


def test_many_leaving_while_mail_goes_out_get_nothing_after_their_200(site: Site) -> None:
    path = site.sequence()
    people = [f"person{number}@empresa.com" for number in range(200)]
    body = {"subscribers": [{"email": email} for email in people]}
    site.call("POST", f"{path}/subscribers/batch", body, 200)
    links = {one["email"]: site.link(one["id"]) for one in site.call("GET", f"{path}/subscribers?limit=1000")}
    confirmed: dict[str, int] = {}
    sent = site.lab.transport.sent

    def leave() -> None:
        for email in people[::3]:
            assert site.client.post(links[email], data=ONE_CLICK).status_code == 200
            confirmed[email] = len(sent)

    leaving = threading.Thread(target=leave)
    leaving.start()
    site.lab.tick()
    leaving.join()
    places = {envelope.recipient: place for place, (envelope, _) in enumerate(list(sent))}
    # At most one message per connection was marked already when the answer was given.
    late = [
        email for email, before in confirmed.items() if places.get(email, -1) >= before + site.lab.transport.connections
    ]
    assert late == []
    assert len(places) == 200 - sum(email not in places for email in people[::3])
