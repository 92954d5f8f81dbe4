"""The templates folder: Markdown and HTML templates with their front matter, and layouts. Nothing is rendered here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from drip.core.sequence import Layout, Template
from drip.errors import Problem
from drip.files.disk import FileTrouble, is_inside, list_folder, read_file
from drip.files.document import Document
from drip.files.inspection import Inspected, Kind, inspect
from drip.files.reader import section_of
from drip.files.tree import WHOLE_FILE, Node, Scalar, TreeProblem, decode, place_of
from drip.files.wording import quote, suggest

FRONT_MATTER_KEYS = ("subject", "layout")
SUFFIXES = (".md", ".html", ".txt")
DEFAULT_LAYOUT = "default"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NEAR_MISSES = {
    ".markdown": ".md",
    ".mdown": ".md",
    ".htm": ".html",
    ".j2": ".html",
    ".jinja": ".html",
    ".text": ".txt",
}
_FENCE = re.compile(r"---[ \t]*")


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A template as read, with what is known about it."""

    template: Template
    path: str
    """Relative to the project's folder."""
    variables: frozenset[str] = frozenset()
    """The variables that its parts and its subject use."""
    includes: frozenset[str] = frozenset()
    """Names of the templates that it includes."""


@dataclass(frozen=True, slots=True)
class LayoutFile:
    """A layout as read, with what is known about it."""

    layout: Layout
    variables: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Library:
    """All templates and layouts of a project."""

    templates: Mapping[str, TemplateFile] = field(default_factory=dict)
    """Those without errors, by name."""
    names: frozenset[str] = frozenset()
    """The names of all, also of those with errors."""
    layouts: Mapping[str, LayoutFile] = field(default_factory=dict)
    """Those without errors, by name."""
    layout_names: frozenset[str] = frozenset()
    """As `names`, for layouts; the built-in one is among them."""
    problems: tuple[Problem, ...] = ()

    def included_by_layout(self, name: str) -> frozenset[str]:
        """The names of the templates that a layout includes itself."""
        return self.layouts[name].includes if name in self.layouts else frozenset()

    def reach(self, name: str) -> frozenset[str]:
        """A template's name, and those of all that it includes, directly or not."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current in self.templates and current not in found:
                found.add(current)
                waiting.extend(self.templates[current].includes)
        return frozenset(found)


def read_library(folder: Path, *, project: Path, root: Path) -> Library:
    """Read all of the templates folder; one that is not there is empty.

    Args:
        folder: the templates folder; no file in it may lead out of it.
        project: what paths in problems are relative to.
        root: the folder that the templates folder itself must be in.
    """
    return _Reading(folder, project, root).library()


def template_name(included: str) -> str:
    """The name of a template as `{% include %}` gives it, with or without a suffix."""
    path = PurePath(included)
    return path.stem if path.suffix in SUFFIXES and path.name == included else included


class _Reading:
    def __init__(self, folder: Path, project: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self.project = project
        self.problems: list[Problem] = []
        self.layouts: dict[str, LayoutFile] = {}
        self.layout_names: set[str] = {DEFAULT_LAYOUT}
        self.files: dict[str, TemplateFile] = {}
        self.places: dict[tuple[str, str], tuple[str, int, int]] = {}

    def library(self) -> Library:
        if not is_inside(self.folder, self.root):
            self._misplaced(self.folder, "it is a link that leads out of the project's folder")
            return Library(problems=tuple(self.problems))
        self._read_layouts()
        names = self._read_templates()
        self._check_includes(names)
        self._check_cycles()
        return Library(self.files, frozenset(names), self.layouts, frozenset(self.layout_names), tuple(self.problems))

    def _read_layouts(self) -> None:
        folder = self.folder / "layouts"
        for stem, suffix, path in self._listing(folder):
            if suffix != ".html":
                self._misplaced(path, "a layout is an .html file")
                continue
            self.layout_names.add(stem)
            document = self._document(path)
            if (text := self._text(document, path)) is not None:
                self._layout(document, stem, text)
            self.problems.extend(document.problems)

    def _layout(self, document: Document, name: str, text: str) -> None:
        found = inspect(document, text, "layout")
        self._remember_includes(document, f"layouts/{name}", found, text, 0)
        if not document.failed:
            self.layouts[name] = LayoutFile(Layout(name, text), found.variables, _names(found.includes))

    def _read_templates(self) -> set[str]:
        parts: dict[str, dict[str, Path]] = {}
        for stem, suffix, path in self._listing(self.folder):
            if _NAME.fullmatch(stem) is None:
                self._misplaced(path, f"{stem!r} can't name a template: only letters, digits, - and _")
                continue
            parts.setdefault(stem, {})[suffix] = path
        for name, files in parts.items():
            if (template := self._template(name, files)) is not None:
                self.files[name] = template
        return set(parts)

    def _listing(self, folder: Path) -> Iterator[tuple[str, str, Path]]:
        """Stem, suffix and path of what may be a template."""
        try:
            names = list_folder(folder)
        except FileTrouble as trouble:
            if folder.exists() or folder.is_symlink():
                self._misplaced(folder, str(trouble))
            return
        for name in names:
            path = folder / name
            if path.suffix in SUFFIXES:
                yield path.stem, path.suffix, path
            elif path.suffix.lower() in (*SUFFIXES, *_NEAR_MISSES) and path.is_file():
                wanted = _NEAR_MISSES.get(path.suffix.lower(), path.suffix.lower())
                document = self._document(path)
                hint = f"rename it to {path.stem}{wanted}"
                document.warn(WHOLE_FILE, "", "it is not read: templates end in .md, .html or .txt", hint)
                self.problems.extend(document.problems)

    def _template(self, name: str, files: Mapping[str, Path]) -> TemplateFile | None:
        if ".md" in files and len(files) > 1:
            other = next(path for suffix, path in files.items() if suffix != ".md")
            self._misplaced(other, f"{files['.md'].name} has the same name", "keep one, or rename one")
            return None
        if ".md" not in files and ".html" not in files:
            hint = f"add {name}.html, or rename it to {name}.md"
            self._misplaced(files[".txt"], f"a text part without {name}.html beside it", hint)
            return None
        main = files.get(".md") or files[".html"]
        document = self._document(main)
        read = self._main(document, name, main)
        text, inspected = self._text_part(files.get(".txt"))
        self.problems.extend(document.problems)
        if read is None or document.failed or (".txt" in files and inspected is None):
            return None
        return _with_text(read, text, inspected)

    def _main(self, document: Document, name: str, path: Path) -> TemplateFile | None:
        whole = self._text(document, path)
        if whole is None:
            return None
        front, body, offset = _split(document, whole)
        subject, layout, used = self._front_matter(document, front)
        kind: Kind = "markdown" if path.suffix == ".md" else "html"
        found = inspect(document, body, kind, line_offset=offset)
        self._remember_includes(document, name, found, body, offset)
        markdown, html = (body, None) if kind == "markdown" else (None, body)
        template = Template(name=name, subject=subject, layout=layout, markdown=markdown, html=html)
        return TemplateFile(template, document.path, found.variables | used.variables, _names(found.includes))

    def _front_matter(self, document: Document, node: Node | None) -> tuple[str | None, str | None, Inspected]:
        section = section_of(document, node, "", FRONT_MATTER_KEYS)
        if section is None:
            return None, None, Inspected()
        subject = section.text("subject")
        layout = section.text("layout")
        if layout is not None and layout not in self.layout_names:
            section.error("layout", f"there is no layout {layout!r}", suggest(layout, self.layout_names))
        place = section.get("subject")
        if subject is None or not isinstance(place, Scalar):
            return subject, layout, Inspected()
        return subject, layout, inspect(document, subject, "subject", scalar=place, where="subject")

    def _text_part(self, path: Path | None) -> tuple[str | None, Inspected | None]:
        if path is None:
            return None, None
        document = self._document(path)
        text = self._text(document, path)
        found = inspect(document, text, "text") if text is not None else None
        if found is not None and text is not None:
            self._remember_includes(document, path.stem, found, text, 0)
        self.problems.extend(document.problems)
        return text, None if document.failed else found

    def _remember_includes(self, document: Document, name: str, found: Inspected, body: str, offset: int) -> None:
        for included in found.includes:
            tag = re.search(rf"""include\b[^%]*?["']({re.escape(included)})["']""", body)
            line, column = place_of(body, tag.start(1)) if tag is not None else (1, 1)
            self.places[(name, included)] = (document.path, line + offset, column)

    def _check_includes(self, names: set[str]) -> None:
        for (user, included), place in self.places.items():
            if template_name(included) in names:
                continue
            hint = "names stay inside the templates folder" if "/" in included else suggest(included, names)
            self._refuse(user, place, f"there is no template {quote(included)} to include", hint)

    def _check_cycles(self) -> None:
        """A template that includes itself, directly or not, would never end."""
        library = Library(dict(self.files))
        for (user, included), place in self.places.items():
            if user in library.reach(template_name(included)):
                self._refuse(user, place, f"{quote(included)} includes {user!r}, which would never end", None)

    def _refuse(self, user: str, place: tuple[str, int, int], message: str, hint: str | None) -> None:
        path, line, column = place
        document = Document(path)
        document.report((line, column), "", message, hint)
        self.problems.extend(document.problems)
        self.files.pop(user, None)
        self.layouts.pop(user.removeprefix("layouts/") if "/" in user else "", None)

    def _text(self, document: Document, path: Path) -> str | None:
        try:
            return decode(read_file(path, self.folder))
        except FileTrouble as trouble:
            document.report(WHOLE_FILE, "", str(trouble), trouble.hint)
        except TreeProblem as problem:
            document.report((problem.line, problem.column), "", problem.message, problem.hint)
        return None

    def _misplaced(self, path: Path, message: str, hint: str | None = None) -> None:
        document = self._document(path)
        document.report(WHOLE_FILE, "", message, hint)
        self.problems.extend(document.problems)

    def _document(self, path: Path) -> Document:
        return Document(relative(path, self.project))


def relative(path: Path, project: Path) -> str:
    """A path as problems show it."""
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)


def _split(document: Document, text: str) -> tuple[Node | None, str, int]:
    """Front matter, body, and the number of lines before the body."""
    lines = text.split("\n")
    if not _FENCE.fullmatch(lines[0]):
        return None, text, 0
    end = next((index for index, line in enumerate(lines[1:], 1) if _FENCE.fullmatch(line)), None)
    if end is None:
        document.report((1, 1), "", "the front matter that begins here is not closed", "close it with a line ---")
        return None, "", len(lines)
    # The first fence becomes an empty line, so that places in the front matter are those in the file.
    front = document.read("\n".join(["", *lines[1:end], ""]).encode())
    return front, "\n".join(lines[end + 1 :]), end + 1


def _names(includes: frozenset[str]) -> frozenset[str]:
    return frozenset(template_name(included) for included in includes)


def _with_text(file: TemplateFile, text: str | None, found: Inspected | None) -> TemplateFile:
    if text is None or found is None:
        return file
    template = file.template
    both = Template(template.name, template.subject, template.layout, template.markdown, template.html, text)
    return TemplateFile(both, file.path, file.variables | found.variables, file.includes | _names(found.includes))
