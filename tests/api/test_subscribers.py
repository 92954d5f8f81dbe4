"""The table "Subscribers" of the manual, row by row."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.site import SEQUENCES, Site

FIELDS = {
    *("id", "sequence_id", "key_id", "email", "contact_email", "name", "started_at", "current_step", "next_step"),
    *("next_send_at", "status", "variables", "variables_json", "retry_count", "last_sent_at", "paused_at"),
    *("completed_at", "cancelled_at", "cancel_reason", "created_at", "updated_at"),
}


def test_a_subscriber_comes_back_whole(site: Site) -> None:
    path = site.sequence()
    made = site.subscribe(path, "Ana@Empresa.com", name="Ana", variables={"plan": "pro"})
    assert made.keys() == FIELDS
    assert (made["email"], made["contact_email"], made["name"]) == ("Ana@empresa.com", "Ana@empresa.com", "Ana")
    assert (made["status"], made["current_step"], made["next_step"]) == ("active", 0, "step-1")
    assert (made["key_id"], made["sequence_id"]) == (site.key_id, path.rpartition("/")[2])
    assert made["next_send_at"] == made["started_at"] == "2026-03-02T09:00:00.000Z"
    assert made["variables"] == json.loads(made["variables_json"]) == {"plan": "pro"}


def test_who_is_there_comes_back_as_they_are(site: Site) -> None:
    path = site.sequence(steps=2)
    made = site.subscribe(path, variables={"plan": "pro"})
    again = site.subscribe(path, "ANA@empresa.com", 200, name="Other", variables={"plan": "free"})
    assert again == made
    site.call("POST", f"{path}/subscribers/ana@empresa.com/pause", status=200)
    assert site.subscribe(path, status=200)["status"] == "paused"


@pytest.mark.parametrize(("steps", "active"), [(0, True), (2, True), (1, False)])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": " Ana\nMaría ", "variables": {"a": [1, 1.0, -0.0, None, {"ñ": "\u2028"}], "timezone": "Asia/Tokyo"}},
        {"started_at": "2026-03-01T23:59:59.999999+02:00"},
    ],
)
def test_what_a_new_one_is_answered_is_what_is_read_afterwards(
    site: Site, steps: int, active: bool, given: dict[str, Any]
) -> None:
    path = site.sequence(steps=steps, active=active)
    made = site.subscribe(path, **given)
    assert site.call("GET", f"{path}/subscribers/ana@empresa.com", status=200) == made
    other = site.sequence(steps=steps, active=active)  # the contact is known by now
    made = site.subscribe(other, variables={"plan": "pro"})
    assert site.call("GET", f"{other}/subscribers/ANA@empresa.com", status=200) == made


def test_who_has_ended_is_refused(site: Site) -> None:
    path = site.sequence()
    site.subscribe(path)
    site.lab.tick()
    assert (
        site.error("POST", f"{path}/subscribers", {"email": "ana@empresa.com"}, 409)["code"] == "subscription_terminal"
    )
    site.subscribe(path, "luis@empresa.com")
    site.call("DELETE", f"{path}/subscribers/luis@empresa.com", status=200)
    error = site.error("POST", f"{path}/subscribers", {"email": "luis@empresa.com"}, 409)
    assert (error["type"], error["code"]) == ("conflict_error", "subscription_terminal")


def test_who_is_suppressed_is_refused(site: Site) -> None:
    path = site.sequence()
    site.call("POST", "/v1/suppressions", {"email": "ana@empresa.com"}, 201)
    assert site.error("POST", f"{path}/subscribers", {"email": "ana@empresa.com"}, 409)["code"] == "contact_suppressed"


def test_a_draft_holds_and_an_archived_one_refuses(site: Site) -> None:
    path = site.sequence(active=False)
    site.subscribe(path)
    site.lab.tick()
    assert site.lab.transport.sent == []
    site.call("PATCH", path, {"status": "archived"}, 200)
    error = site.error("POST", f"{path}/subscribers", {"email": "luis@empresa.com"}, 409)
    assert error["code"] == "sequence_archived"


def test_a_start_is_a_moment_with_an_offset(site: Site) -> None:
    path = site.sequence()
    made = site.subscribe(path, started_at="2026-03-03T10:00:00+01:00")
    assert made["started_at"] == made["next_send_at"] == "2026-03-03T09:00:00.000Z"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "email"),
        ({"email": "ana"}, "email"),
        ({"email": "a@b.org\r\nBcc: c@d.org"}, "email"),
        ({"email": "ana@empresa.com", "started_at": "2026-03-03T10:00:00"}, "started_at"),
        ({"email": "ana@empresa.com", "started_at": 1772532000}, "started_at"),
        ({"email": "ana@empresa.com", "started_at": "1969-12-31T23:59:59Z"}, "started_at"),
        ({"email": "ana@empresa.com", "variables": []}, "variables"),
        ({"email": "ana@empresa.com", "variables": {"a b": 1}}, "variables"),
        ({"email": "ana@empresa.com", "variables": {"a": 2**63}}, "variables"),
        ({"email": "ana@empresa.com", "variables": {"a": "\0"}}, "variables"),
        ({"email": "ana@empresa.com", "name": 7}, "name"),
        ({"email": "ana@empresa.com", "varaibles": {}}, "varaibles"),
    ],
)
def test_a_bad_subscriber_is_refused_at_its_field(site: Site, body: dict[str, Any], param: str) -> None:
    error = site.error("POST", f"{site.sequence()}/subscribers", body)
    assert (error["code"], error["param"]) == ("invalid_field", param)


def test_an_unknown_field_gets_the_nearest_name(site: Site) -> None:
    path = site.sequence()
    error = site.error("POST", f"{path}/subscribers", {"email": "ana@empresa.com", "varaibles": {}})
    assert "did you mean 'variables'?" in error["message"]
    error = site.error("POST", f"{path}/subscribers/batch", {"subscribers": [{"emial": "ana@empresa.com"}]})
    assert {"param": "subscribers[0].emial", "message": "unknown field; did you mean 'email'?"} in error["details"]


def test_lists_take_a_status_and_a_search(site: Site) -> None:
    path = site.sequence()
    for name in ("ana", "luis", "eva"):
        site.subscribe(path, f"{name}@empresa.com", name=name.title())
    site.call("DELETE", f"{path}/subscribers/eva@empresa.com", status=200)

    def emails(query: str) -> list[str]:
        return [one["email"].partition("@")[0] for one in site.call("GET", f"{path}/subscribers{query}")]

    assert emails("") == ["eva", "luis", "ana"]
    assert emails("?status=active") == ["luis", "ana"]
    assert emails("?q=LUI") == ["luis"]
    assert emails("?q=%25") == []
    assert emails("?limit=1&offset=1") == ["luis"]
    response = site.client.get(f"{path}/subscribers?limit=1")
    assert (response.headers["X-Total-Count"], 'rel="next"' in response.headers["Link"]) == ("3", True)


def test_one_is_found_however_it_is_spelt(site: Site) -> None:
    path = site.sequence()
    made = site.subscribe(path, "ana+x@empresa.com")
    assert site.call("GET", f"{path}/subscribers/ANA%2Bx@EMPRESA.com", status=200) == made
    for unknown in ("luis@empresa.com", "nobody", "%00", "%F0%9F%92%A9", "a" * 1000):
        assert site.error("GET", f"{path}/subscribers/{unknown}", status=404)["type"] == "not_found_error"
    error = site.error("GET", f"{SEQUENCES}/nobody/subscribers/ana@empresa.com", status=404)
    assert error["code"] == "sequence_not_found"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("ana@bücher.de", "ana@b%C3%BCcher.de"),
        ("a/b@empresa.com", "a%2Fb@empresa.com"),
        ("/@empresa.com", "%2f%40empresa.com"),
        ("a/pause@empresa.com", "a/pause@empresa.com"),
        (" ana@Empresa.com ", "%20ana@Empresa.com%20"),
    ],
)
def test_whoever_was_taken_can_be_looked_up_changed_and_let_go(site: Site, given: str, asked: str) -> None:
    path = site.sequence()
    site.subscribe(path, given)
    one, contact = f"{path}/subscribers/{asked}", f"/v1/bulk/contacts/{asked}"
    assert site.call("PATCH", one, {"variables": {"a": 1}}, 200)["variables"] == {"a": 1}
    assert site.call("POST", f"{one}/pause", status=200)["status"] == "paused"
    assert site.call("POST", f"{one}/resume", status=200)["status"] == "active"
    assert site.call("DELETE", one, status=200)["status"] == "cancelled"
    assert site.call("GET", one, status=200)["cancel_reason"] == "manual"
    site.call("POST", "/v1/suppressions", {"email": given}, 201)
    site.call("DELETE", f"/v1/suppressions/{asked}", status=204)
    assert site.call("PATCH", contact, {"name": "Ana"}, 200) == site.call("GET", contact, status=200)
    site.call("DELETE", contact, status=204)
    site.error("GET", contact, status=404)


def test_who_waits_for_the_end_of_time_goes_on_waiting(site: Site) -> None:
    path = site.sequence()
    last = "9999-12-31T23:59:59.000Z"
    site.subscribe(path, started_at=last)
    site.call("POST", f"{path}/subscribers/ana@empresa.com/pause", status=200)
    site.lab.move("1d")
    resumed = site.call("POST", f"{path}/subscribers/ana@empresa.com/resume", status=200)
    assert (resumed["status"], resumed["next_send_at"]) == ("active", "9999-12-31T23:59:59.999Z")


def test_variables_are_merged_and_null_removes(site: Site) -> None:
    path = site.sequence()
    site.subscribe(path, variables={"a": 1, "b": 2})
    one = f"{path}/subscribers/ana@empresa.com"
    assert site.call("PATCH", one, {"variables": {"b": None, "c": [3]}}, 200)["variables"] == {"a": 1, "c": [3]}
    assert site.error("PATCH", one, {})["param"] == "variables"
    assert site.error("PATCH", one, {"email": "x@y.org", "variables": {}})["param"] == "email"


def test_delete_cancels_once(site: Site) -> None:
    path = site.sequence(steps=2)
    site.subscribe(path)
    one = f"{path}/subscribers/ana@empresa.com"
    cancelled = site.call("DELETE", one, status=200)
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "manual")
    site.lab.move("1h")
    assert site.call("DELETE", one, status=200) == cancelled
    assert site.call("GET", one, status=200) == cancelled


def test_delete_of_a_completed_one_is_refused(site: Site) -> None:
    path = site.sequence()
    site.subscribe(path)
    site.lab.tick()
    assert site.error("DELETE", f"{path}/subscribers/ana@empresa.com", status=409)["code"] == "subscription_terminal"


def test_pause_and_resume_stop_the_clock(site: Site) -> None:
    path = site.sequence(steps=2)
    site.subscribe(path)
    site.lab.tick()
    one = f"{path}/subscribers/ana@empresa.com"
    site.lab.move("15m")
    paused = site.call("POST", f"{one}/pause", status=200)
    assert (paused["status"], paused["paused_at"]) == ("paused", "2026-03-02T09:15:00.000Z")
    assert site.call("POST", f"{one}/pause", status=200) == paused
    site.lab.move("1d")
    resumed = site.call("POST", f"{one}/resume", status=200)
    assert (resumed["status"], resumed["next_send_at"]) == (
        "active",
        "2026-03-03T10:00:00.000Z",
    )  # 45 minutes were left
    assert site.call("POST", f"{one}/resume", status=200) == resumed
    site.call("DELETE", one, status=200)
    for verb in ("pause", "resume"):
        assert site.error("POST", f"{one}/{verb}", status=409)["code"] == "subscription_terminal"


class TestBatches:
    def test_one_refused_stops_no_other(self, site: Site) -> None:
        path = site.sequence()
        site.subscribe(path, "there@empresa.com")
        site.call("POST", "/v1/suppressions", {"email": "gone@empresa.com"}, 201)
        people = ["new@empresa.com", "nobody", "there@empresa.com", "gone@empresa.com", "NEW@empresa.com"]
        body = {"subscribers": [{"email": email} for email in people]}
        answer = site.call("POST", f"{path}/subscribers/batch", body, 200)
        assert answer == {
            "created": 1,
            "existing": 2,
            "refused": [
                {"index": 1, "email": "nobody", "code": "invalid_field"},
                {"index": 3, "email": "gone@empresa.com", "code": "contact_suppressed"},
            ],
        }

    @pytest.mark.parametrize(
        "wrong",
        [
            {"email": ""},
            {"email": "a" * 5000 + "@empresa.com"},
            {"started_at": "2026-03-02T09:00:00"},
            {"started_at": "tomorrow"},
            {"name": "x" * 201},
            {"variables": {"first name": "Ana"}},
            {"variables": {"n": 2**64}},
        ],
    )
    def test_a_value_that_can_not_be_refuses_that_person_alone(self, site: Site, wrong: dict[str, Any]) -> None:
        path = site.sequence()
        body = {"subscribers": [{"email": "ana@empresa.com", **wrong}, {"email": "luis@empresa.com"}]}
        answer = site.call("POST", f"{path}/subscribers/batch", body, 200)
        refused = {"index": 0, "email": body["subscribers"][0]["email"], "code": "invalid_field"}
        assert answer == {"created": 1, "existing": 0, "refused": [refused]}
        assert [one["email"] for one in site.call("GET", f"{path}/subscribers")] == ["luis@empresa.com"]

    @pytest.mark.parametrize("wrong", [5, None, "ana@empresa.com", {}, {"email": None}, {"email": "a@b.c", "plan": 1}])
    def test_what_is_no_person_refuses_the_call(self, site: Site, wrong: Any) -> None:
        path = site.sequence()
        people = [{"email": "luis@empresa.com"}, wrong]
        error = site.error("POST", f"{path}/subscribers/batch", {"subscribers": people}, 422)
        assert error["param"].startswith("subscribers[1]")
        assert site.call("GET", f"{path}/subscribers") == []

    def test_a_thousand_and_not_one_more(self, site: Site) -> None:
        path = site.sequence()
        people = [{"email": f"person{number}@empresa.com", "variables": {"n": number}} for number in range(1001)]
        assert site.error("POST", f"{path}/subscribers/batch", {"subscribers": people})["param"] == "subscribers"
        answer = site.call("POST", f"{path}/subscribers/batch", {"subscribers": people[:1000]}, 200)
        assert answer == {"created": 1000, "existing": 0, "refused": []}
        assert site.call("GET", f"{path}/subscribers/person999@empresa.com")["variables"] == {"n": 999}

    def test_none_are_none(self, site: Site) -> None:
        answer = site.call("POST", f"{site.sequence()}/subscribers/batch", {"subscribers": []}, 200)
        assert answer == {"created": 0, "existing": 0, "refused": []}


def test_many_at_once_are_each_answered_rightly(site: Site) -> None:
    """Requests that share a transaction: one subscription each, one 201 for it, and errors that spoil no other."""
    path = site.sequence()
    site.call("POST", "/v1/suppressions", {"email": "gone@empresa.com"}, 201)
    emails = [f"person{number % 40}@empresa.com" for number in range(160)] + ["gone@empresa.com", "bad"] * 20

    def ask(email: str) -> tuple[str, int]:
        return email, site.client.post(f"{path}/subscribers", json={"email": email}).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, emails))
    made = [email for email, status in answers if status == 201]
    assert sorted(made) == sorted({email for email in emails if email.startswith("person")})
    assert {status for email, status in answers if email.startswith("person")} == {200, 201}
    assert {(email, status) for email, status in answers if not email.startswith("person")} == {
        ("gone@empresa.com", 409),
        ("bad", 422),
    }
    assert site.lab.store.overview.count_subscribers() == 40
