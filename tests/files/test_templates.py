"""The templates folder: what belongs together, what is found wrong, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from drip.core.sequence import Template
from drip.errors import Severity
from tests.files.projects import X, errors, load, place, problems, step, write

T = "sequences/templates"
USE = step("subject: s", "template: a")

BAD = [
    ("two of one name", {f"{T}/a.md": "x", f"{T}/a.html": "<p>x</p>"}, f"{T}/a.html:1:1", "a.md has the same name"),
    ("md with txt", {f"{T}/a.md": "x", f"{T}/a.txt": "x"}, f"{T}/a.txt:1:1", "a.md has the same name"),
    ("txt alone", {f"{T}/a.txt": "x"}, f"{T}/a.txt:1:1", "a text part without a.html"),
    ("a name with a blank", {f"{T}/a b.md": "x"}, f"{T}/a b.md:1:1", "can't name a template"),
    ("front matter not closed", {f"{T}/a.md": "---\nsubject: x\n\nHello"}, f"{T}/a.md:1:1", "is not closed"),
    ("unknown key", {f"{T}/a.md": "---\nsubjekt: x\n---\nHello"}, f"{T}/a.md:2:1", "did you mean 'subject'?"),
    ("subject is a number", {f"{T}/a.md": "---\nsubject: 1\n---\nHello"}, f"{T}/a.md:2:10", "found the number 1"),
    ("front matter is text", {f"{T}/a.md": "---\nhello\n---\nHello"}, f"{T}/a.md:2:1", "wanted keys and values"),
    ("front matter is not YAML", {f"{T}/a.md": "---\nsubject: a: b\n---\n"}, f"{T}/a.md:2:11", "second ': '"),
    ("no such layout", {f"{T}/a.md": "---\nlayout: x\n---\nHello"}, f"{T}/a.md:2:9", "there is no layout 'x'"),
    ("bad subject", {f"{T}/a.md": "---\nsubject: '{{ a'\n---\nHello"}, f"{T}/a.md:2:11", ""),
    ("bad body", {f"{T}/a.md": "---\nsubject: x\n---\n\nHi {{ a | nope }}"}, f"{T}/a.md:5:1", "no filter 'nope'"),
    ("bad html", {f"{T}/a.html": "<p>\n<a href={{ x }}>y</a></p>"}, f"{T}/a.html:2:9", "without quotes"),
    ("bad txt", {f"{T}/a.html": "<p>x</p>", f"{T}/a.txt": "one\n{{ a"}, f"{T}/a.txt:2:1", ""),
    ("not utf-8", {f"{T}/a.md": b"a\n\xff"}, f"{T}/a.md:2:1", "not UTF-8"),
    ("too large", {f"{T}/a.md": "a" * 1_100_000}, f"{T}/a.md:1:1", "larger than 1 MiB"),
    ("include of nothing", {f"{T}/a.md": "x\n {% include 'b.md' %}"}, f"{T}/a.md:2:14", "there is no template 'b.md'"),
    ("include from outside", {f"{T}/a.md": "{% include '../x.yaml' %}"}, f"{T}/a.md:1:13", "inside the templates"),
    ("include of a layout", {f"{T}/a.md": "{% include 'layouts/l.html' %}", f"{T}/layouts/l.html": "{{ content }}"},
     f"{T}/a.md:1:13", "there is no template"),
    ("include of itself", {f"{T}/a.md": "{% include 'a' %}"}, f"{T}/a.md:1:13", "would never end"),
    ("includes in a circle", {f"{T}/a.md": "{% include 'b' %}", f"{T}/b.md": "{% include 'a.md' %}"},
     f"{T}/b.md:1:13", "would never end"),
    ("layout without content", {f"{T}/a.md": "x", f"{T}/layouts/default.html": "<p>x</p>"},
     f"{T}/layouts/default.html:1:1", "the layout has no {{ content }}"),
    ("layout in Markdown", {f"{T}/a.md": "x", f"{T}/layouts/l.md": "{{ content }}"},
     f"{T}/layouts/l.md:1:1", "a layout is an .html file"),
    ("layout with an include of nothing", {f"{T}/a.md": "x", f"{T}/layouts/l.html": "{{ content }}{% include 'n' %}"},
     f"{T}/layouts/l.html:1:26", "there is no template 'n'"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "where", "fragment"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_template_is_told_what_and_where(
    tmp_path: Path, files: dict[str, str | bytes], where: str, fragment: str
) -> None:
    found = [problem for problem in errors(problems(write(tmp_path, {X: USE, **files}))) if place(problem) == where]
    assert found, [str(problem) for problem in problems(tmp_path)]
    assert any(fragment in str(problem) for problem in found), [str(problem) for problem in found]


def test_a_template_with_errors_is_not_called_unknown(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, {X: USE, f"{T}/a.md": "{{ x"}))
    assert [problem.path for problem in loaded.problems] == [f"{T}/a.md"]
    assert (loaded.definitions, dict(loaded.templates)) == ((), {})


def test_html_with_its_text(tmp_path: Path) -> None:
    loaded = load(
        write(tmp_path, {X: USE, f"{T}/a.html": "---\nlayout: default\n---\n<p>a</p>", f"{T}/a.txt": "---\nb"})
    )
    assert loaded.problems == ()
    assert loaded.templates == {"a": Template("a", layout="default", html="<p>a</p>", text="---\nb")}


def test_front_matter_with_crlf_and_a_byte_order_mark(tmp_path: Path) -> None:
    raw = b"\xef\xbb\xbf---\r\nsubject: Hi\r\n---\r\nHello\r\n"
    loaded = load(write(tmp_path, {X: step("template: a"), f"{T}/a.md": raw}))
    assert loaded.problems == ()
    assert loaded.templates == {"a": Template("a", subject="Hi", markdown="Hello\n")}


@pytest.mark.parametrize("text", ["---\n---\nHello", "---\n# nothing\n---\nHello"])
def test_front_matter_may_be_empty(tmp_path: Path, text: str) -> None:
    loaded = load(write(tmp_path, {X: USE, f"{T}/a.md": text}))
    assert (loaded.problems, loaded.templates["a"].markdown) == ((), "Hello")


def test_a_step_wants_a_subject_when_its_template_has_none(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, {X: step("template: a"), f"{T}/a.md": "x"}))
    assert (
        str(problem)
        == f"{X}:2:3: steps[0].subject: the step has no subject, and neither has its template (write subject: …)"
    )


def test_a_suffix_in_the_name_is_pointed_out(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, {X: step("subject: s", "template: a.md"), f"{T}/a.md": "x"}))
    assert problem.hint == "write template: a"


def test_includes_of_includes_and_of_layouts_are_taken_along(tmp_path: Path) -> None:
    files = {
        X: step("subject: s", "template: a") + "- {id: b, delay: 0, subject: s, body: \"{% include 'd' %}\"}\n",
        f"{T}/a.md": "{% include 'b.md' %}",
        f"{T}/b.md": "{% include 'c.html' %}",
        f"{T}/c.html": "<p>c</p>",
        f"{T}/d.md": "d",
        f"{T}/e.md": "e",
        f"{T}/f.md": "f",
        f"{T}/layouts/default.html": "{{ content }}{% include 'e.md' %}",
        f"{T}/layouts/other.html": "{{ content }}",
    }
    loaded = load(write(tmp_path, files))
    assert loaded.problems == ()
    assert list(loaded.definitions[0].templates) == ["a", "b", "c", "d", "e"]
    assert list(loaded.definitions[0].layouts) == ["default"]


def test_variables_of_templates_and_layouts_are_looked_at(tmp_path: Path) -> None:
    files = {
        X: "variables: {name: {}}\n" + step("subject: '{{ name }}'", "template: a"),
        f"{T}/a.md": "---\nsubject: '{{ one }}'\n---\n{{ two }}{% include 'b' %}",
        f"{T}/b.md": "{{ three }}",
        f"{T}/layouts/default.html": "{{ content }}{{ four }}",
    }
    found = problems(write(tmp_path, files))
    assert all(problem.severity is Severity.WARNING for problem in found)
    assert sorted(problem.message.split("'")[1] for problem in found) == ["four", "one", "three", "two"]


def test_suffixes_that_look_right_are_pointed_out(tmp_path: Path) -> None:
    files = {X: step("subject: s", "body: b"), f"{T}/a.markdown": "x", f"{T}/b.HTML": "x", f"{T}/logo.png": "x"}
    found = problems(write(tmp_path, files))
    assert [(problem.path, problem.hint) for problem in found] == [
        (f"{T}/a.markdown", "rename it to a.md"),
        (f"{T}/b.HTML", "rename it to b.html"),
    ]
    assert errors(found) == []


def test_links_out_of_the_templates_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {X: USE, "secret.md": "secret", f"{T}/b.md": "b"})
    (tmp_path / T / "a.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / T / "c.md").symlink_to("b.md")
    loaded = load(tmp_path)
    assert [problem.path for problem in loaded.problems] == [f"{T}/a.md"]
    assert "leads out" in str(loaded.problems[0])
    assert set(loaded.templates) == {"b", "c"}
