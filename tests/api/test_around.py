"""The table "Around them": templates, contacts, suppressions, events, a key's webhook, health."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from tests.api.site import SEQUENCES, WORDS, Site
from tests.databases import ON_POSTGRES
from tests.lab import sqlite

TEMPLATES, CONTACTS, SUPPRESSIONS = "/v1/bulk/templates", "/v1/bulk/contacts", "/v1/suppressions"


class TestTemplates:
    def test_one_is_made_changed_and_removed(self, site: Site) -> None:
        made = site.call("POST", TEMPLATES, {"name": "Bienvenida", "subject": "Hola", "html": "<p>Hola</p>"}, 201)
        assert re.fullmatch("bienvenida-[0-9a-f]{6}", made["id"])
        assert (made["name"], made["source"], made["body_text"]) == ("Bienvenida", "api", None)
        path = f"{TEMPLATES}/{made['id']}"
        assert site.call("GET", path, status=200) == made
        changed = site.call("PATCH", path, {"name": "Otra", "subject": None, "body_text": "Hola"}, 200)
        assert (changed["name"], changed["subject"], changed["html"]) == ("Otra", None, "<p>Hola</p>")
        site.call("DELETE", path, status=204)
        assert site.error("GET", path, status=404)["code"] == "template_not_found"

    def test_those_of_files_are_seen_and_not_changed(self, site: Site) -> None:
        names = {one["id"] for one in site.call("GET", TEMPLATES, status=200) if one["source"] == "file"}
        assert names == {"bienvenida-fc9674", "followup-fc9675"}
        path = f"{TEMPLATES}/bienvenida-fc9674"
        assert site.error("PATCH", path, {"subject": "Mine"}, 409)["code"] == "managed_by_file"
        assert site.error("DELETE", path, status=409)["code"] == "managed_by_file"

    def test_a_change_reaches_those_who_wait(self, site: Site) -> None:
        made = site.call("POST", TEMPLATES, {"name": "T", "subject": "Old", "body_text": "Old"}, 201)
        path = site.sequence(steps=0)
        step = {"position": 1, "offset_seconds": 3600, "template_id": made["id"]}
        site.call("POST", f"{path}/steps", step, 201)
        site.call("PATCH", path, {"status": "active"}, 200)
        site.subscribe(path)
        before = site.call("GET", path)["revision"]
        site.call("PATCH", f"{TEMPLATES}/{made['id']}", {"subject": "New"}, 200)
        assert site.call("GET", path)["revision"] == before + 1
        site.lab.move("1h")
        site.lab.tick()
        assert b"Subject: New\r\n" in site.lab.transport.sent[0][1]
        error = site.error("DELETE", f"{TEMPLATES}/{made['id']}", status=409)
        assert error["type"] == "conflict_error"

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"name": "T"}, None),
            ({"name": "T", "html": "<p>{{ x</p>"}, "html"),
            ({"name": "T", "body_text": "{% include 'bienvenida-fc9674' %}{{ x|format }}"}, "body_text"),
            ({"name": "T", "body_text": "ñ" * 262_145}, "body_text"),
            ({"name": "T", "html": "<p>" + "{{ name }}" * 7000}, "html"),
            ({"name": "T", "text": "x"}, "text"),
            ({"body_text": "x"}, "name"),
        ],
    )
    def test_a_bad_one_is_refused(self, site: Site, body: dict[str, Any], param: str | None) -> None:
        assert site.error("POST", TEMPLATES, body).get("param") == param

    def test_what_an_editor_of_mail_makes_is_long_and_is_taken(self, site: Site) -> None:
        row = "<tr><td style='padding:0 8px'>Hola {{ name }}, aquí empieza todo</td></tr>"
        html = f"<table>{row * 2600}</table>"
        assert len(html) > 150_000
        made = site.call("POST", TEMPLATES, {"name": "T", "subject": "Hola", "html": html}, 201)
        assert made["html"] == html

    def test_a_template_may_not_include_itself(self, site: Site) -> None:
        made = site.call("POST", TEMPLATES, {"name": "T", "body_text": "x"}, 201)
        body = {"body_text": f"{{% include '{made['id']}' %}}"}
        assert site.error("PATCH", f"{TEMPLATES}/{made['id']}", body)["param"] == "body_text"

    def test_words_of_the_api_are_not_trusted(self, site: Site) -> None:
        """A template that would use up the worker fails for its person, and no other waits for it."""
        body = "{% for a in range(999) %}" * 3 + "x" + "{% endfor %}" * 3
        made = site.call("POST", TEMPLATES, {"name": "Bomb", "subject": "x", "body_text": body}, 201)
        path = site.sequence(steps=0)
        site.call("POST", f"{path}/steps", {"position": 1, "offset_seconds": 0, "template_id": made["id"]}, 201)
        site.call("PATCH", path, {"status": "active"}, 200)
        site.subscribe(path)
        site.lab.tick()
        assert site.call("GET", f"{path}/subscribers/ana@empresa.com")["status"] == "failed"


class TestContacts:
    def test_one_is_made_and_made_again(self, site: Site) -> None:
        body = {"email": "ana@empresa.com", "name": "Ana", "metadata": {"plan": "pro", "x": 1}}
        made = site.call("POST", CONTACTS, body, 201)
        assert (made["status"], made["metadata"]) == ("active", {"plan": "pro", "x": 1})
        again = site.call("POST", CONTACTS, {"email": "ANA@empresa.com", "metadata": {"x": None, "y": 2}}, 201)
        assert (again["id"], again["name"], again["metadata"]) == (made["id"], "Ana", {"plan": "pro", "y": 2})
        assert site.call("GET", f"{CONTACTS}/ana@empresa.com", status=200) == again
        assert site.call("GET", f"{CONTACTS}?q=ana", status=200) == [again]
        changed = site.call("PATCH", f"{CONTACTS}/ana@empresa.com", {"name": "Eva", "metadata": {"y": None}}, 200)
        assert (changed["name"], changed["metadata"]) == ("Eva", {"plan": "pro"})

    def test_a_new_zone_moves_what_is_waited_for(self, site: Site) -> None:
        path = site.sequence(steps=0, active=True, send_window={"days": "mon-sun", "hours": "12:00-13:00"})
        site.call("POST", f"{path}/steps", {"position": 1, "offset_seconds": 0, **WORDS}, 201)
        site.subscribe(path)
        one = f"{path}/subscribers/ana@empresa.com"
        assert site.call("GET", one)["next_send_at"] == "2026-03-02T12:00:00.000Z"
        site.call("PATCH", f"{CONTACTS}/ana@empresa.com", {"metadata": {"timezone": "Europe/Madrid"}}, 200)
        assert site.call("GET", one)["next_send_at"] == "2026-03-02T11:00:00.000Z"

    def test_delete_erases_and_keeps_who_may_not_be_mailed(self, site: Site) -> None:
        path = site.sequence(steps=2)
        site.subscribe(path, name="Ana", variables={"secret": "chess"})
        site.lab.tick()
        site.call("POST", SUPPRESSIONS, {"email": "ana@empresa.com", "reason": "complaint"}, 201)
        site.call("DELETE", f"{CONTACTS}/ana@empresa.com", status=204)
        assert site.error("GET", f"{CONTACTS}/ana@empresa.com", status=404)["code"] == "contact_not_found"
        assert site.error("DELETE", f"{CONTACTS}/ana@empresa.com", status=404)["code"] == "contact_not_found"
        kept = site.call("GET", SUPPRESSIONS)["items"]
        digest = hashlib.sha256(b"ana@empresa.com").hexdigest()
        assert [(one["email"], one["reason"]) for one in kept] == [(f"erased:{digest}", "complaint")]
        with site.lab.store.connected():
            dump = "\n".join(sqlite(site.lab.store.database).peewee.connection().iterdump())
        assert not re.search("ana@empresa|chess", dump)
        files = b"".join(path.read_bytes() for path in site.lab.folder.glob("*.db*"))
        assert ON_POSTGRES or (b"erased:" in files and not re.search(b"ana@empresa|chess", files))
        error = site.error("POST", f"{path}/subscribers", {"email": "Ana@empresa.com"}, 409)
        assert error["code"] == "contact_suppressed"
        assert site.call("POST", CONTACTS, {"email": "ana@empresa.com"}, 201)["status"] == "complained"
        site.call("DELETE", f"{SUPPRESSIONS}/ana@empresa.com", status=204)
        site.subscribe(path)


class TestSuppressions:
    def test_adding_one_cancels(self, site: Site) -> None:
        path = site.sequence(steps=2)
        site.subscribe(path)
        made = site.call("POST", SUPPRESSIONS, {"email": "ana@empresa.com"}, 201)
        assert (made["reason"], made["added_at"]) == ("manual", "2026-03-02T09:00:00.000Z")
        cancelled = site.call("GET", f"{path}/subscribers/ana@empresa.com")
        assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "suppressed")
        assert site.call("POST", SUPPRESSIONS, {"email": "ana@empresa.com"}, 201) == made
        listed = site.call("GET", SUPPRESSIONS, status=200)
        assert listed == {"total": 1, "limit": 100, "offset": 0, "items": [made]}
        assert site.call("GET", f"{SUPPRESSIONS}?reason=bounce")["total"] == 0
        assert site.call("GET", f"{SUPPRESSIONS}?email=ANA@")["total"] == 1

    @pytest.mark.parametrize("reason", ["bounce", "complaint", "unsubscribed"])
    def test_whatever_its_reason_it_cancels_as_suppressed(self, site: Site, reason: str) -> None:
        path = site.sequence(steps=2)
        site.subscribe(path)
        site.call("POST", SUPPRESSIONS, {"email": "ana@empresa.com", "reason": reason}, 201)
        assert site.call("GET", f"{path}/subscribers/ana@empresa.com")["cancel_reason"] == "suppressed"
        assert site.call("GET", "/v1/events?types=sequence.cancelled")[0]["reason"] == "suppressed"
        site.call("DELETE", f"{SUPPRESSIONS}/ANA@empresa.com", status=204)
        assert site.error("DELETE", f"{SUPPRESSIONS}/ana@empresa.com", status=404)["code"] == "suppression_not_found"

    @pytest.mark.parametrize("body", [{"email": "x"}, {"email": "a@b.org", "reason": "x"}, {"reason": "manual"}])
    def test_a_bad_one_is_refused(self, site: Site, body: dict[str, Any]) -> None:
        assert site.error("POST", SUPPRESSIONS, body)["code"] == "invalid_field"


class TestEvents:
    def test_events_are_polled_from_where_one_was(self, site: Site) -> None:
        path = site.sequence()
        site.subscribe(path, variables={"plan": "pro"})
        site.lab.tick()
        events = site.call("GET", "/v1/events", status=200)
        kinds = ["sequence.subscribed", "sequence.step.sent", "sequence.completed"]
        assert [event["event"] for event in events] == kinds
        first, sent, _ = events
        assert (first["app"], first["contact_email"], first["variables"]) == (
            site.key_id,
            "ana@empresa.com",
            {"plan": "pro"},
        )
        assert (sent["step_key"], sent["position"]) == ("step-1", 1)
        assert sent["message_id"].endswith("@miempresa.com>")
        assert site.call("GET", f"/v1/events?after={first['id']}") == events[1:]
        assert site.call("GET", "/v1/events?types=sequence.completed,sequence.cancelled") == events[2:]
        assert site.call("GET", "/v1/events?limit=1") == events[:1]
        error = site.error("GET", "/v1/events?types=sequence.complete")
        assert (error["param"], "did you mean 'sequence.completed'?" in error["message"]) == ("types", True)
        error = site.error("GET", "/v1/events?after=7")
        assert (error["param"], "'7' is not the id of an event" in error["message"]) == ("after", True)

    def test_those_of_a_deleted_sequence_are_gone_also_where_a_webhook_waits(self, site: Site) -> None:
        site.call("PATCH", f"/v1/client/keys/{site.key_id}", {"webhook_url": "https://app.empresa.com/hook"}, 200)
        path = site.sequence(steps=2)
        site.subscribe(path)
        site.call("DELETE", f"{path}/subscribers/ana@empresa.com", status=200)
        assert site.client.delete(path).status_code == 204
        waiting = "SELECT e.type FROM event e JOIN webhook_delivery w ON w.event_id = e.id ORDER BY e.id"
        assert site.lab.store.database.rows(waiting) == [("sequence.subscribed",), ("sequence.cancelled",)]
        assert site.call("GET", "/v1/events", status=200) == []

    def test_they_are_turned_over_page_by_page(self, site: Site) -> None:
        path = site.sequence(steps=2)
        for name in "abc":
            site.subscribe(path, f"{name}@empresa.com")
        found, link = [], "/v1/events?limit=2"
        while link:
            response = site.client.get(link)
            found += [event["contact_email"] for event in response.json()]
            link = response.links["next"]["url"] if "next" in response.links else ""
        assert found == ["a@empresa.com", "b@empresa.com", "c@empresa.com"]


class TestKeys:
    def test_a_key_sets_its_own_webhook(self, site: Site) -> None:
        path = f"/v1/client/keys/{site.key_id}"
        nothing = {"webhook_url": None, "secret_set": False, "secret_masked": None}
        assert site.call("GET", f"{path}/webhook", status=200) == nothing
        url = "https://app.example.com/hooks"
        changed = site.call("PATCH", path, {"webhook_url": url, "label": "My app"}, 200)
        secret = changed.pop("webhook_secret")
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
        shown = site.call("GET", f"{path}/webhook", status=200)
        assert shown == {"webhook_url": url, "secret_set": True, "secret_masked": f"whsec_••••{secret[-5:-1]}"}
        assert changed == {"id": site.key_id, "label": "My app", **shown}
        assert "webhook_secret" not in site.call("PATCH", path, {"webhook_url": url}, 200)
        site.call("DELETE", f"{path}/webhook", status=204)
        assert site.call("GET", f"{path}/webhook", status=200) == nothing

    @pytest.mark.parametrize(
        "url",
        [
            *("http://app.example.com/", "https://127.0.0.1/", "https://localhost/", "ftp://x", "https://127.1/"),
            *("https://2130706433/", "https://0177.0.0.1/", "https://0x7f000001/", "https://0/", "https://127.1./"),
        ],
    )
    def test_a_url_that_is_not_public_is_refused(self, site: Site, url: str) -> None:
        error = site.error("PATCH", f"/v1/client/keys/{site.key_id}", {"webhook_url": url})
        assert (error["code"], error["param"]) == ("invalid_field", "webhook_url")

    @pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "whsec_" + "A" * 400, "secret"])
    def test_a_secret_that_is_none_is_refused_and_the_old_one_stays(self, site: Site, secret: str) -> None:
        path = f"/v1/client/keys/{site.key_id}"
        site.call("PATCH", path, {"webhook_url": "https://app.example.com/hooks"}, 200)
        before = site.call("GET", f"{path}/webhook", status=200)
        assert site.error("PATCH", path, {"webhook_secret": secret})["param"] == "webhook_secret"
        assert site.call("GET", f"{path}/webhook", status=200) == before

    def test_other_keys_are_not_there(self, site: Site) -> None:
        for method, path in (("GET", "/webhook"), ("PATCH", ""), ("DELETE", "/webhook")):
            body: dict[str, str] | None = {} if method == "PATCH" else None
            assert site.error(method, f"/v1/client/keys/key_other{path}", body, 404)["code"] == "key_not_found"


class TestHealth:
    def test_health_needs_no_key(self, site: Site) -> None:
        response = site.client.get("/healthz", headers={"Authorization": ""})
        assert (response.status_code, response.json()) == (200, {"status": "ok", "database": True, "worker": None})

    def test_metrics_are_prometheuss(self, site: Site) -> None:
        path = site.sequence()
        site.subscribe(path)
        text = site.client.get("/metrics", headers={"Authorization": ""}).text
        assert 'drip_subscriptions{status="active"} 1.0' in text
        assert "drip_due 1.0" in text
        assert f'route="{SEQUENCES}/{{sequence_id}}/subscribers",status="201"' in text
        assert "ana@" not in text


def test_docs_say_where_else_to_look_when_they_can_not_be_drawn(site: Site) -> None:
    page = site.client.get("/docs", headers={"Authorization": ""})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    place = page.text.partition('<div id="swagger-ui">')[2].partition("</div>")[0]
    link = re.search('href="([^"]+)"', place)
    assert link is not None
    assert site.client.get(str(page.url.join(link[1]))).json()["info"]["title"] == "drip"
