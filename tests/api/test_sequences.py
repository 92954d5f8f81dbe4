"""The tables "Sequences" of the manual, row by row."""

from __future__ import annotations

import re
from typing import Any

import pytest

from drip.core.sequence import Template
from drip.store.invariants import violations
from tests.api.site import FILE_TEMPLATES, SEQUENCES, WORDS, Site
from tests.lab import a_sequence, a_step

FIELDS = {
    *("id", "name", "status", "source", "key_id", "revision", "delay_from", "timezone", "send_window"),
    *("stale_after_seconds", "resubscribe", "created_at", "updated_at", "subscribers"),
}
STEP_FIELDS = {
    *("id", "sequence_id", "key", "position", "offset_seconds", "subject", "html", "body_text", "from_email"),
    *("from_name", "reply_to", "template_id", "created_at", "updated_at"),
}


def test_a_sequence_is_made_from_its_name(site: Site) -> None:
    made = site.call("POST", SEQUENCES, {"name": "Onboarding - Bienvenida"}, 201)
    assert re.fullmatch(r"onboarding-bienvenida-[0-9a-f]{6}", made["id"])
    assert made.keys() >= FIELDS
    assert (made["status"], made["source"], made["key_id"], made["revision"]) == ("draft", "api", site.key_id, 1)
    assert made["created_at"] == "2026-03-02T09:00:00.000Z"
    assert made["subscribers"] == {"active": 0, "paused": 0, "completed": 0, "cancelled": 0, "failed": 0}


@pytest.mark.parametrize(
    ("name", "slug"),
    [("¡Año Nuevo!", "ano-nuevo-[0-9a-f]{6}"), ("日本", "[0-9a-f]{6}"), ("x" * 200, "x{60}-[0-9a-f]{6}")],
)
def test_any_name_has_an_id(site: Site, name: str, slug: str) -> None:
    assert re.fullmatch(slug, site.call("POST", SEQUENCES, {"name": name}, 201)["id"])


def test_two_of_one_name_are_two(site: Site) -> None:
    assert len({site.sequence("Same", steps=0) for _ in range(3)}) == 3


OPTIONS: dict[str, Any] = {
    "delay_from": "start",
    "timezone": "Europe/Madrid",
    "send_window": {"days": "mon-fri", "hours": "09:00-18:00"},
    "stale_after_seconds": 86_400,
    "resubscribe": "always",
}


def test_its_options_come_back(site: Site) -> None:
    path = site.sequence(**OPTIONS)
    assert {name: site.call("GET", path)[name] for name in OPTIONS} == OPTIONS


def test_null_clears_and_what_is_left_out_stays(site: Site) -> None:
    path = site.sequence(**OPTIONS)
    changed = site.call("PATCH", path, {"timezone": None, "send_window": None, "stale_after_seconds": None}, 200)
    assert (changed["timezone"], changed["send_window"], changed["stale_after_seconds"]) == (None, None, None)
    assert (changed["delay_from"], changed["resubscribe"]) == ("start", "always")
    assert site.call("PATCH", path, {"stale_after_seconds": 0}, 200)["stale_after_seconds"] == 0


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " \t"}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x", "nmae": "y"}, "nmae"),
        ({"name": "x", "timezone": "Mars/Olympus"}, "timezone"),
        ({"name": "x", "delay_from": "end"}, "delay_from"),
        ({"name": "x", "delay_from": None}, "delay_from"),
        ({"name": "x", "stale_after_seconds": -1}, "stale_after_seconds"),
        ({"name": "x", "stale_after_seconds": 10**12}, "stale_after_seconds"),
        ({"name": "x", "send_window": {"hours": "9-18"}}, "send_window.hours"),
        ({"name": "x", "send_window": {"hour": "09:00-18:00"}}, "send_window.hour"),
        ({"name": "x", "send_window": {"hours": "09:00-09:00"}}, "send_window"),
        ({"name": "x", "status": "active"}, "status"),
    ],
)
def test_a_bad_sequence_is_refused_at_its_field(site: Site, body: dict[str, Any], param: str) -> None:
    error = site.error("POST", SEQUENCES, body)
    assert (error["type"], error["code"], error["param"]) == ("validation_error", "invalid_field", param)
    assert error["details"][0]["param"] == param


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"name": "x", "send_window": {"days": "mon-fry"}},
            "send_window.days: write the days as mon-fri or mon,wed,fri",
        ),
        ({"name": "x", "send_window": {"hours": "9-18"}}, "send_window.hours: write the hours as 09:00-18:00, on a"),
        ({"name": " \t"}, "name: it has nothing that can be read"),
    ],
)
def test_what_has_a_pattern_says_in_words_what_to_write(site: Site, body: dict[str, Any], words: str) -> None:
    assert site.error("POST", SEQUENCES, body)["message"].startswith(words)


def test_lists_are_newest_first_and_in_pages(site: Site) -> None:
    paths = [site.sequence(f"Number {number}", steps=0, active=number % 2 == 0) for number in range(5)]
    ids = [path.rpartition("/")[2] for path in paths]
    response = site.client.get(SEQUENCES, params={"limit": 2})
    assert [one["id"] for one in response.json()] == [ids[4], ids[3]]
    assert response.headers["X-Total-Count"] == "5"
    followed = re.fullmatch(r'<(.+)>; rel="next"', response.headers["Link"])
    assert followed is not None
    seen = site.client.get(followed[1])
    assert [one["id"] for one in seen.json()] == [ids[2], ids[1]]
    last = site.client.get(SEQUENCES, params={"limit": 2, "offset": 4})
    assert ([one["id"] for one in last.json()], "Link" in last.headers) == ([ids[0]], False)
    assert len(site.client.get(SEQUENCES, params={"status": "draft"}).json()) == 2


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "offset=9" + "9" * 30, "status=x"])
def test_a_bad_page_is_refused(site: Site, query: str) -> None:
    assert site.error("GET", f"{SEQUENCES}?{query}")["param"] == query.partition("=")[0]


def test_a_change_makes_a_revision_and_a_repetition_none(site: Site) -> None:
    path = site.sequence(steps=0)
    assert site.call("PATCH", path, {"name": "Other"}, 200)["revision"] == 2
    assert site.call("PATCH", path, {"name": "Other"}, 200)["revision"] == 2
    row_id = site.lab.store.sequences.all()[0].id
    newest = site.lab.store.sequences.revisions(row_id)[0]
    assert (newest.source.value, newest.author) == ("api", site.key_id)


def test_only_what_was_changed_is_newer(site: Site) -> None:
    path = site.sequence(steps=2)

    def stamps() -> list[str]:
        return [step["updated_at"] for step in site.call("GET", path, status=200)["steps"]]

    first, second = stamps()
    site.lab.move("1h")
    site.call("POST", f"{path}/steps", {"position": 3, "offset_seconds": 0, **WORDS}, 201)
    site.call("PATCH", path, {"name": "Other"}, 200)
    assert stamps()[:2] == [first, second]
    step_id = site.call("GET", path, status=200)["steps"][1]["id"]
    assert site.call("PATCH", f"{path}/steps/{step_id}", {"offset_seconds": 7200}, 200)["updated_at"] > second
    assert stamps()[0] == first
    kept = {one["id"]: one["updated_at"] for one in site.call("GET", "/v1/bulk/templates", status=200)}
    site.lab.store.sequences.save_templates({**FILE_TEMPLATES, "new": Template("new", text="Hi.")}, site.lab.now)
    now = {one["id"]: one["updated_at"] for one in site.call("GET", "/v1/bulk/templates", status=200)}
    assert now == {**kept, "new": now["new"]}
    assert now["new"] > min(kept.values())


@pytest.mark.parametrize("status", ["draft", "active", "archived"])
def test_a_status_is_set(site: Site, status: str) -> None:
    path = site.sequence(active=False)
    assert site.call("PATCH", path, {"status": status}, 200)["status"] == status


def test_delete_waits_for_active_and_paused_people(site: Site) -> None:
    path = site.sequence(steps=2)
    site.subscribe(path)
    site.subscribe(path, "luis@empresa.com")
    site.call("POST", f"{path}/subscribers/luis@empresa.com/pause", status=200)
    site.call("DELETE", f"{path}/subscribers/ana@empresa.com", status=200)
    refused = site.error("DELETE", path, status=409)
    assert refused["code"] == "sequence_has_subscribers"
    assert "(cancel them, or set its status to archived)" in refused["message"]
    site.call("PATCH", path, {"status": "archived"}, 200)
    assert site.error("DELETE", path, status=409)["message"].endswith("(cancel them)")
    site.call("DELETE", f"{path}/subscribers/luis@empresa.com", status=200)
    site.call("DELETE", path, status=204)
    assert site.error("GET", path, status=404)["code"] == "sequence_not_found"
    assert site.error("DELETE", path, status=404)["code"] == "sequence_not_found"
    assert site.call("GET", "/v1/bulk/contacts/ana@empresa.com", status=200)["status"] == "active"


def test_delete_takes_those_along_who_had_mail(site: Site) -> None:
    path = site.sequence(steps=1)
    site.subscribe(path)
    site.lab.tick()
    assert site.call("GET", f"{path}/subscribers/ana@empresa.com")["status"] == "completed"
    site.call("DELETE", path, status=204)
    assert site.lab.store.overview.count_subscribers() == 0


def test_stats_count_each_step_and_all(site: Site) -> None:
    path = site.sequence(steps=2)
    site.subscribe(path)
    site.lab.tick()
    stats = site.call("GET", f"{path}/stats", status=200)
    assert [(step["sent"], step["waiting"]) for step in stats["steps"]] == [(1, 0), (0, 1)]
    assert (stats["totals"]["sent"], stats["totals"]["waiting"], stats["subscribers"]["active"]) == (1, 1, 1)


def test_what_belongs_to_a_file_keeps_its_content(site: Site) -> None:
    site.lab.apply(a_sequence(a_step("first"), id="filed"))
    path = f"{SEQUENCES}/filed"
    step = site.call("GET", path, status=200)["steps"][0]["id"]
    for method, where, body in (
        ("PATCH", "", {"name": "Other"}),
        ("PATCH", "", {"timezone": "Europe/Madrid"}),
        ("DELETE", "", None),
        ("POST", "/steps", {"position": 2, "offset_seconds": 0, **WORDS}),
        ("PATCH", f"/steps/{step}", {"subject": "Other"}),
        ("DELETE", f"/steps/{step}", None),
    ):
        assert site.error(method, path + where, body, 409)["code"] == "managed_by_file"
    assert site.call("PATCH", path, {"status": "draft"}, 200)["status"] == "draft"
    assert site.subscribe(path)["sequence_id"] == "filed"


class TestSteps:
    def test_a_step_comes_back_whole(self, site: Site) -> None:
        path = site.sequence(steps=0)
        body = {
            "position": 3,
            "offset_seconds": 259_200,
            "subject": "Hola",
            "html": "<p>Hola</p>",
            "body_text": "Hola",
            "from_email": "hola@miempresa.com",
            "from_name": "Ana",
            "reply_to": "ayuda@otra.com",
        }
        made = site.call("POST", f"{path}/steps", body, 201)
        assert made.keys() == STEP_FIELDS
        assert {name: made[name] for name in body} == body
        assert site.call("GET", path)["steps"] == [made]

    def test_steps_go_by_position_and_may_have_gaps(self, site: Site) -> None:
        path = site.sequence(steps=0)
        for position in (30, 10, 20):
            site.call("POST", f"{path}/steps", {"position": position, "offset_seconds": 0, **WORDS}, 201)
        steps = site.call("GET", path)["steps"]
        assert [(step["position"], step["key"]) for step in steps] == [(10, "step-2"), (20, "step-3"), (30, "step-1")]
        assert violations(site.lab.store.database) == []

    def test_a_position_is_taken_once(self, site: Site) -> None:
        path = site.sequence(steps=2)
        error = site.error("POST", f"{path}/steps", {"position": 2, "offset_seconds": 0, **WORDS}, 409)
        assert (error["code"], error["param"]) == ("position_taken", "position")
        first = site.call("GET", path)["steps"][0]["id"]
        assert site.error("PATCH", f"{path}/steps/{first}", {"position": 2}, 409)["code"] == "position_taken"
        assert site.call("PATCH", f"{path}/steps/{first}", {"position": 9}, 200)["position"] == 9

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"body_text": None}, 422, "content_missing"),
            ({"template_id": "nobody"}, 422, "template_not_found"),
            ({"from_email": "a@foreign.com"}, 403, "domain_unauthorized"),
        ],
    )
    def test_what_is_wrong_with_a_step_itself_is_said_before_its_place_is_looked_at(
        self, site: Site, body: dict[str, Any], status: int, code: str
    ) -> None:
        path = f"{site.sequence(steps=1)}/steps"
        assert site.error("POST", path, {"position": 1, "offset_seconds": 0, **WORDS, **body}, status)["code"] == code

    @pytest.mark.parametrize(
        ("body", "status", "code", "param"),
        [
            ({"position": 0}, 422, "invalid_field", "position"),
            ({"position": 1.5}, 422, "invalid_field", "position"),
            ({"position": "1"}, 422, "invalid_field", "position"),
            ({"offset_seconds": None}, 422, "invalid_field", "offset_seconds"),
            ({"offset_seconds": 315_360_001}, 422, "invalid_field", "offset_seconds"),
            ({"subject": None}, 422, "content_missing", "subject"),
            ({"body_text": None}, 422, "content_missing", None),
            ({"subject": "{{ name"}, 422, "invalid_field", "subject"),
            ({"html": "<p>{% for x in y %}</p>"}, 422, "invalid_field", "html"),
            ({"html": "<a href={{ x }}>x</a>"}, 422, "invalid_field", "html"),
            ({"html": "<rp>" * 15_000}, 422, "invalid_field", "html"),
            ({"html": "".join(f"<p><b a{i}/>x" for i in range(4500))}, 422, "invalid_field", "html"),
            ({"html": "{{ name.__class__ }}", "body_text": None}, None, None, None),
            ({"body_text": "{{ ''.join(name) }}"}, 422, "invalid_field", "body_text"),
            ({"body_text": "x\0"}, 422, "invalid_field", "body_text"),
            ({"template_id": "nobody"}, 422, "template_not_found", "template_id"),
            ({"from_email": "a@foreign.com"}, 403, "domain_unauthorized", "from_email"),
            ({"from_email": "a@sub.miempresa.com"}, 403, "domain_unauthorized", "from_email"),
            ({"from_email": "nobody"}, 422, "invalid_field", "from_email"),
            ({"reply_to": "a@b.org, c@d.org"}, 422, "invalid_field", "reply_to"),
        ],
    )
    def test_a_bad_step_is_refused_at_its_field(
        self, site: Site, body: dict[str, Any], status: int | None, code: str | None, param: str | None
    ) -> None:
        path = site.sequence(steps=0)
        whole = {"position": 1, "offset_seconds": 0, **WORDS, **body}
        if status is None:
            site.call("POST", f"{path}/steps", whole, 201)
            return
        error = site.error("POST", f"{path}/steps", whole, status)
        assert (error["code"], error.get("param")) == (code, param)
        assert site.call("GET", path)["steps"] == []

    @pytest.mark.parametrize("name", ["position", "offset_seconds"])
    def test_position_and_offset_are_required(self, site: Site, name: str) -> None:
        body = {"position": 1, "offset_seconds": 0, **WORDS}
        del body[name]
        assert site.error("POST", f"{site.sequence(steps=0)}/steps", body)["param"] == name

    def test_the_result_of_a_patch_must_have_content(self, site: Site) -> None:
        path = site.sequence(steps=1)
        step = f"{path}/steps/{site.call('GET', path)['steps'][0]['id']}"
        assert site.error("PATCH", step, {"body_text": None})["code"] == "content_missing"
        site.call("PATCH", step, {"body_text": None, "html": "<p>Hi</p>"}, 200)
        site.call("PATCH", step, {"html": None, "subject": None, "template_id": "bienvenida-fc9674"}, 200)
        site.call("PATCH", step, {"from_name": "Ana"}, 200)
        changed = site.call("PATCH", step, {"from_email": None}, 200)
        assert (changed["from_email"], changed["from_name"]) == (None, None)

    def test_a_subject_wins_over_the_templates(self, site: Site) -> None:
        path = site.sequence(steps=0)
        step = {"position": 1, "offset_seconds": 0, "template_id": "bienvenida-fc9674"}
        site.call("POST", f"{path}/steps", {**step, "subject": "Mine"}, 201)
        site.call("POST", f"{path}/steps", {**step, "position": 2}, 201)
        site.call("PATCH", path, {"status": "active"})
        site.subscribe(path)
        site.lab.tick()
        site.lab.tick()
        subjects = [line for _, content in site.lab.transport.sent for line in content.split(b"\r\n")]
        assert b"Subject: Mine" in subjects
        assert b"Subject: De un archivo" in subjects

    def test_removing_a_step_moves_who_waits_for_it(self, site: Site) -> None:
        path = site.sequence(steps=3)
        site.subscribe(path)
        site.lab.tick()
        waiting = site.call("GET", f"{path}/subscribers/ana@empresa.com")
        assert waiting["next_step"] == "step-2"
        step = next(one["id"] for one in site.call("GET", path)["steps"] if one["key"] == "step-2")
        site.call("DELETE", f"{path}/steps/{step}", status=204)
        assert site.call("GET", f"{path}/subscribers/ana@empresa.com")["next_step"] == "step-3"
        assert site.error("DELETE", f"{path}/steps/{step}", status=404)["code"] == "step_not_found"
        made = site.call("POST", f"{path}/steps", {"position": 2, "offset_seconds": 60, **WORDS}, 201)
        assert made["key"] == "step-4"  # a key is an identity for ever

    def test_a_new_delay_moves_who_waits_for_it(self, site: Site) -> None:
        path = site.sequence(steps=2)
        site.subscribe(path)
        site.lab.tick()
        step = site.call("GET", path)["steps"][1]["id"]
        site.call("PATCH", f"{path}/steps/{step}", {"offset_seconds": 7200}, 200)
        assert site.call("GET", f"{path}/subscribers/ana@empresa.com")["next_send_at"] == "2026-03-02T11:00:00.000Z"

    @pytest.mark.parametrize("step", ["0", "999", str(2**63 - 1)])
    def test_a_step_that_is_not_there(self, site: Site, step: str) -> None:
        path = site.sequence()
        assert site.error("PATCH", f"{path}/steps/{step}", {}, 404)["code"] == "step_not_found"
