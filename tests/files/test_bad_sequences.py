"""A table of bad sequence files: what each is told, and where."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.files.projects import X, errors, load, place, problems, step, write

GOOD = ["subject: Hi", "body: Hello"]
BODY = step(*GOOD)

BAD_YAML = [
    ("not utf-8", b"name: caf\xe9\n", f"{X}:1:10", "not UTF-8"),
    ("utf-16", "name: a".encode("utf-16"), f"{X}:1:1", "not UTF-8"),
    ("empty", "", f"{X}:1:1", "the file is empty"),
    ("only a comment", "# nothing\n", f"{X}:1:1", "the file is empty"),
    ("a list", "- a\n", f"{X}:1:1", "found a list, wanted keys and values"),
    ("a text", "hello\n", f"{X}:1:1", "found the text 'hello'"),
    ("a tab", "name: x\nsteps:\n\t- a\n", f"{X}:3:1", "a tab stands where YAML wants spaces"),
    ("control character", "name: a\x07b\n", f"{X}:1:8", "U+0007"),
    ("two colons", "name: a: b\n", f"{X}:1:8", "second ': '"),
    ("quote not closed", 'name: "abc\nsteps: []\n', f"{X}:1:7", "never closed"),
    ("brackets not closed", "steps: [a\nname: b", f"{X}:2:5", "is not closed"),
    ("at sign", "name: @ana\n", f"{X}:1:7", "can't begin with '@'"),
    ("bad escape", 'name: "\\q"\n', f"{X}:1:8", "escape that does not exist"),
    ("two documents", "name: a\n---\nname: b\n", f"{X}:2:1", "a second document"),
    ("alias", "name: a\nlayout: *x\n", f"{X}:2:9", "aliases (*x) are not supported"),
    ("anchor", "name: &x a\nsteps: []\n", f"{X}:1:7", "anchors (&x) are not supported"),
    ("tag", "name: !!python/name:os.system a\n", f"{X}:1:7", "the tag !!python/name:os.system is not supported"),
    ("tag directive", "%TAG ! x\n--- {}\n", f"{X}:1:1", "%TAG"),
    ("duplicate key", BODY + "name: a\nname: b\n", f"{X}:7:1", "'name' is there twice, first on line 6"),
    ("duplicate key, quoted", BODY + "name: a\n'name': b\n", f"{X}:7:1", "is there twice"),
    ("list as a key", "? [a]\n: b\n", f"{X}:1:3", "a key must be text"),
    ("too deep", "name: " + "[" * 51, f"{X}:1:56", "more than 50"),
    ("too many values", "name: [" + "a," * 100_001 + "]", f"{X}:1:200002", "100,000 values"),
    ("too large", "#" * (1024 * 1024 + 1), f"{X}:1:1", "larger than 1 MiB"),
]

BAD_KEYS = [
    ("unknown key", "nmae: a\n" + BODY, f"{X}:1:1", "nmae: there is no such key (did you mean 'name'?)"),
    ("unknown key of a step", step(*GOOD, "dealy: 3d"), f"{X}:6:3", "steps[0].dealy: there is no such key (did you"),
    ("merge key", "<<: {name: a}\n" + BODY, f"{X}:1:1", "there is no such key"),
    ("a number as name", "name: 12\n" + BODY, f"{X}:1:7", "found the number 12, wanted text (put it in quotes)"),
    ("a truth value as name", "name: true\n" + BODY, f"{X}:1:7", "found the truth value true, wanted text"),
    ("a name over two lines", 'name: "a\\nb"\n' + BODY, f"{X}:1:7", "line breaks"),
    ("bad status", "status: activ\n" + BODY, f"{X}:1:9", "wanted draft, active or archived (did you mean 'active'?)"),
    ("bad delay_from", "delay_from: now\n" + BODY, f"{X}:1:13", "wanted previous or start"),
    ("bad resubscribe", "resubscribe: yes\n" + BODY, f"{X}:1:14", "found 'yes', wanted never, after_completion"),
    ("bad from", "from: ana.example.com\n" + BODY, f"{X}:1:7", "is not an address"),
    ("two senders", "from: a@example.com, b@example.com\n" + BODY, f"{X}:1:7", "is not an email address"),
    ("no such zone", "timezone: Europe/Madird\n" + BODY, f"{X}:1:11", "did you mean 'Europe/Madrid'?"),
    ("zone in lower case", "timezone: europe/madrid\n" + BODY, f"{X}:1:11", "did you mean 'Europe/Madrid'?"),
    ("zone is a path", "timezone: ../etc\n" + BODY, f"{X}:1:11", "there is no time zone"),
    ("stale_after without unit", "stale_after: 3\n" + BODY, f"{X}:1:14", "write 3s, 3m, 3h or 3d"),
    ("stale_after 0", "stale_after: 0\n" + BODY, f"{X}:1:14", "longer than 0"),
    ("huge number", f"stale_after: {'9' * 5000}\n" + BODY, f"{X}:1:14", "longer than 4,096 characters"),
    ("bad stop_when", "stop_when: plan ==\n" + BODY, f"{X}:1:12", "the expression is wrong"),
    ("stop_when true", "stop_when: true\n" + BODY, f"{X}:1:12", "wanted an expression"),
    ("no such layout", "layout: defalt\n" + BODY, f"{X}:1:9", "did you mean 'default'?"),
    ("window without anything", "send_window: {}\n" + BODY, f"{X}:1:14", "neither days nor hours"),
    (
        "window is text",
        "send_window: mon-fri\n" + BODY,
        f"{X}:1:14",
        "wanted keys and values (its keys are days, hours)",
    ),
    ("unknown day", "send_window: {days: mon-fry}\n" + BODY, f"{X}:1:21", "'fry' is not a day (did you mean 'fri'?)"),
    ("no days", "send_window: {days: []}\n" + BODY, f"{X}:1:21", "the list is empty"),
    ("bad day in a list", "send_window: {days: [mon, 2]}\n" + BODY, f"{X}:1:27", "found the number 2, wanted text"),
    ("bad hours", 'send_window: {hours: "9-18"}\n' + BODY, f"{X}:1:22", "'9' is not a time of day"),
    ("hours of a clock that stops", "send_window: {hours: 09:00-25:00}\n" + BODY, f"{X}:1:22", "'25:00'"),
    ("hours that never open", "send_window: {hours: 09:00-09:00}\n" + BODY, f"{X}:1:22", "the same time"),
    ("variables are a list", "variables: [name]\n" + BODY, f"{X}:1:12", "found a list, wanted names"),
    ("variable with a dash", "variables: {first-name: {}}\n" + BODY, f"{X}:1:13", "can't name a variable"),
    ("variable with a value", "variables: {plan: free}\n" + BODY, f"{X}:1:19", "write {default: free}"),
    ("variable with an unknown key", "variables: {plan: {reqired: true}}\n" + BODY, f"{X}:1:20", "'required'?"),
    ("required is not a truth value", "variables: {p: {required: yes}}\n" + BODY, f"{X}:1:27", "wanted true or false"),
    ("default beyond 64 bits", f"variables: {{p: {{default: 1{'0' * 19}}}}}\n" + BODY, f"{X}:1:26", "too large"),
    ("default is not finite", "variables: {p: {default: .inf}}\n" + BODY, f"{X}:1:26", "no number that can be used"),
]

BAD_STEPS = [
    ("no steps", "name: a\n", f"{X}:1:1", "steps: it is missing"),
    ("steps without value", "name: a\nsteps:\n", f"{X}:2:1", "steps: it has no value"),
    ("steps are a mapping", "steps: {a: 1}\n", f"{X}:1:8", "wanted a list of steps"),
    ("a step is text", "steps:\n- welcome\n", f"{X}:2:3", "steps[0]: found the text 'welcome'"),
    ("no delay", "steps:\n- id: a\n  subject: s\n  body: b\n", f"{X}:2:3", "steps[0].delay: it is missing"),
    ("delay without value", "steps:\n- delay:\n  subject: s\n  body: b\n", f"{X}:2:3", "it has no value"),
    ("a delay of 3", BODY.replace("delay: 0", "delay: 3"), f"{X}:3:10", "write 3s, 3m, 3h or 3d"),
    ("a delay of -1d", BODY.replace("delay: 0", "delay: -1d"), f"{X}:3:10", "is not a duration"),
    ("a delay of a month", BODY.replace("delay: 0", "delay: P1M"), f"{X}:3:10", "is not a duration"),
    ("a delay of 11 years", BODY.replace("delay: 0", "delay: 4100d"), f"{X}:3:10", "longer than ten years"),
    ("a delay that is a list", BODY.replace("delay: 0", "delay: [3d]"), f"{X}:3:10", "found a list, wanted a duration"),
    ("bad id", BODY.replace("id: a", "id: First mail"), f"{X}:2:7", "write first-mail"),
    ("id is a number", BODY.replace("id: a", "id: 1"), f"{X}:2:7", "found the number 1, wanted text"),
    ("duplicate id", BODY + BODY.split("\n", 1)[1], f"{X}:6:7", "'a' is there twice, first on line 2"),
    ("an id like a position",
     "steps:\n- {id: step-2, delay: 0, text: b, subject: s}\n- {delay: 0, text: b, subject: s}\n",
     f"{X}:3:3", "'step-2' is there twice"),
    ("no content", step("subject: s"), f"{X}:2:3", "the step has no content"),
    ("two contents", step("subject: s", "body: b", "html: <p>c</p>"), f"{X}:6:9", "the step has body and html"),
    ("template and text", step("subject: s", "text: b", "template: t"), f"{X}:5:9", "the step has template and text"),
    ("empty body", step("subject: s", "body: ''"), f"{X}:5:3", "it is empty"),
    ("body without value", step("subject: s", "body:"), f"{X}:5:3", "it has no value"),
    ("html and text without value", step("subject: s", "html:", "text:"), f"{X}:5:3", "html: it has no value"),
    ("no subject", step("body: b"), f"{X}:2:3", "steps[0].subject: the step has no subject"),
    ("empty subject", step("subject: ''", "body: b"), f"{X}:4:3", "it is empty"),
    ("subject over two lines", step('subject: "a\\nBcc: x"', "body: b"), f"{X}:4:12", "line breaks"),
    ("no such template", step("subject: s", "template: welcom"), f"{X}:5:13", "there is no template 'welcom'"),
    ("bad at", step(*GOOD, "at: 25:00"), f"{X}:6:7", "is not a time of day"),
    ("at is a number", step(*GOOD, "at: 930"), f"{X}:6:7", "found the number 930"),
    ("bad when", step(*GOOD, "when: plan = 'x'"), f"{X}:6:9", "the expression is wrong"),
    ("empty when", step(*GOOD, "when: ''"), f"{X}:6:3", "the expression is wrong: it is empty"),
    ("long when", step(*GOOD, f"when: {'9' * 3000} == 1"), f"{X}:6:9", "longer than 2000 characters"),
    ("header To", step(*GOOD, "headers: {Bcc: x}"), f"{X}:6:13", "only X-… and Feedback-ID can"),
    ("header with a colon", step(*GOOD, 'headers: {"X-A: b": x}'), f"{X}:6:13", "can't name a header"),
    ("header of drip", step(*GOOD, "headers: {x-drip-delivery: x}"), f"{X}:6:13", "drip sets this header itself"),
    ("header X- alone", step(*GOOD, "headers: {X-: b}"), f"{X}:6:13", "only X-… and Feedback-ID can"),
    ("header twice", step(*GOOD, "headers: {X-A: b, x-a: c}"), f"{X}:6:21", "there twice, as X-A"),
    ("header over two lines", step(*GOOD, 'headers: {X-A: "b\\nBcc: c"}'), f"{X}:6:18", "line breaks"),
    ("header without value", step(*GOOD, "headers: {X-A: }"), f"{X}:6:13", "found nothing, wanted text"),
    ("headers are a list", step(*GOOD, "headers: [X-A]"), f"{X}:6:12", "wanted headers"),
]  # fmt: skip

BAD_CONTENT = [
    ("unclosed tag in a block", step("subject: s", "body: |", "  one", "  two {{ name"), f"{X}:7:", ""),
    ("unknown filter", step("subject: s", "body: |", "", "  {{ name | upercase }}"), f"{X}:7:", "no filter"),
    ("subject", step('subject: "Hi {{ name }"', "body: b"), f"{X}:4:", ""),
    ("script", step("subject: s", "html: |", "  <p>a</p>", "  <script>x = {{ a }}</script>"), f"{X}:7:", "<script>"),
    ("include that is not there", step("subject: s", "body: |", "  {% include 'x.md' %}"), f"{X}:5:", "to include"),
    ("header", step(*GOOD, "headers: {X-A: '{{ a'}"), f"{X}:6:", ""),
    ("number of 5,000 digits", step("subject: s", "body: |", f"  {{{{ {'9' * 5000} }}}}"), f"{X}:6:", "too large"),
    ("huge body", step("subject: s", "body: |", "  " + "a" * 600_000), f"{X}:6:5", "larger than 512 KB"),
]

BAD_TESTS = [
    ("tests are a mapping", BODY + "tests: {}\n", f"{X}:6:8", "wanted a list of tests"),
    ("unknown key", BODY + "tests: [{name: a, expekt: []}]\n", f"{X}:6:19", "did you mean 'expect'?"),
    ("no name", BODY + "tests: [{expect: [completed]}]\n", f"{X}:6:9", "tests[0].name: it is missing"),
    ("no expect", BODY + "tests: [{name: a}]\n", f"{X}:6:9", "tests[0].expect: it is missing"),
    ("naive time", BODY + "tests: [{name: a, subscribe: {at: 2026-03-27T09:30}, expect: []}]\n",
     f"{X}:6:35", "no offset"),
    ("bad date", BODY + "tests: [{name: a, expect: [{step: a, on: 2026-02-30}]}]\n", f"{X}:6:42", "is not a date"),
    ("unknown step", BODY + "tests: [{name: a, expect: [{step: b}]}]\n", f"{X}:6:35", "there is no step 'b'"),
    ("unknown word", BODY + "tests: [{name: a, expect: [complete]}]\n", f"{X}:6:28", "did you mean 'completed'?"),
    ("word in the middle", BODY + "tests: [{name: a, expect: [completed, {step: a}]}]\n",
     f"{X}:6:39", "nothing can follow"),
    ("bad zone", BODY + "tests: [{name: a, subscribe: {timezone: Mars}, expect: []}]\n", f"{X}:6:41", "no time zone"),
    ("bad skipped", BODY + "tests: [{name: a, expect: [{step: a, skipped: maybe}]}]\n", f"{X}:6:47", "wanted true"),
]  # fmt: skip

ALL = [*BAD_YAML, *BAD_KEYS, *BAD_STEPS, *BAD_CONTENT, *BAD_TESTS]


@pytest.mark.parametrize(("content", "where", "fragment"), [case[1:] for case in ALL], ids=[case[0] for case in ALL])
def test_a_bad_sequence_file_is_told_what_and_where(
    tmp_path: Path, content: str | bytes, where: str, fragment: str
) -> None:
    found = errors(problems(write(tmp_path, {X: content})))
    assert found
    at_place = [problem for problem in found if place(problem) == where or place(problem).startswith(f"{where}:")
                or (where.endswith(":") and place(problem).startswith(where))]  # fmt: skip
    assert at_place, [str(problem) for problem in found]
    assert any(fragment in str(problem) for problem in at_place), [str(problem) for problem in at_place]


@pytest.mark.parametrize("content", [case[1] for case in ALL], ids=[case[0] for case in ALL])
def test_a_bad_sequence_file_gives_no_definition(tmp_path: Path, content: str | bytes) -> None:
    files = load(write(tmp_path, {X: content}))
    assert files.definitions == ()
    assert files.paths == {"x": X}


def test_every_problem_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    content = dedent(
        """\
        nmae: a
        status: on
        timezone: Nowhere
        steps:
          - {id: A, delay: 3, subject: s, body: b}
          - {id: b, delay: 0, body: b, whn: x}
        """
    )
    found = [place(problem) for problem in errors(problems(write(tmp_path, {X: content})))]
    assert found == [f"{X}:1:1", f"{X}:2:9", f"{X}:3:11", f"{X}:5:10", f"{X}:5:20", f"{X}:6:5", f"{X}:6:32"]


def test_problems_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    files = {"sequences/a.yaml": "steps: 1\n", "sequences/b.yaml": "x\n", "sequences/templates/t.md": "{{ x"}
    found = {problem.path for problem in errors(problems(write(tmp_path, files)))}
    assert found == set(files)


def test_a_file_with_hundreds_of_problems_is_told_the_first_hundred(tmp_path: Path) -> None:
    content = BODY + "".join(f"key{number}: x\n" for number in range(500))
    found = errors(problems(write(tmp_path, {X: content})))
    assert len(found) == 101
    assert "and more" in found[-1].message


def test_hundreds_of_warnings_are_no_error_and_hide_none(tmp_path: Path) -> None:
    content = "steps:\n" + "- {delay: 0, subject: s, body: b}\n" * 300 + "- {delay: 3, id: a, subject: s, body: b}\n"
    found = problems(write(tmp_path, {X: content}))
    assert [place(problem) for problem in errors(found)] == [f"{X}:302:11"]
    assert len(found) == 102
