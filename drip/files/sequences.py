"""Sequence files: the folder, and each file's own settings, into definitions with everything that sending needs.

All files are read and all problems collected; nothing is written, and nothing here knows what is in the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drip.core.expectations import SequenceTest
from drip.core.sequence import (
    INHERIT,
    Definition,
    DelayFrom,
    Layout,
    Resubscribe,
    Sequence,
    SequenceStatus,
    Template,
)
from drip.core.settings import Settings
from drip.errors import Problem, RenderFailed, Severity
from drip.files import values
from drip.files.declared import check_variables, read_variables
from drip.files.disk import FileTrouble, is_inside, list_folder, read_file
from drip.files.document import Document
from drip.files.expectations import read_tests
from drip.files.reader import Section, section_of
from drip.files.steps import STEP_KEYS, StepFile, expression_uses, read_step, read_window
from drip.files.templates import DEFAULT_LAYOUT, Library, read_library, relative
from drip.files.tree import WHOLE_FILE, ListNode
from drip.files.wording import BadValue, suggest

SEQUENCE_KEYS = (
    "name", "status", "from", "reply_to", "delay_from", "timezone", "send_window", "stale_after", "resubscribe",
    "stop_when", "variables", "layout", "steps", "tests",
)  # fmt: skip
"""The keys of a sequence file."""

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """Everything that the files of a project say."""

    definitions: tuple[Definition, ...] = ()
    """The sequences without errors, by id."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """The file of each sequence, relative to the project's folder; also of those with errors."""
    problems: tuple[Problem, ...] = ()
    """Errors and warnings, sorted by place."""
    templates: Mapping[str, Template] = field(default_factory=dict)
    """All templates without errors, by name."""
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    """All layouts without errors, by name."""
    tests: Mapping[str, tuple[SequenceTest, ...]] = field(default_factory=dict)
    """The tests of each sequence that has some."""


@dataclass(frozen=True, slots=True)
class SequenceFile:
    """One sequence file as read."""

    sequence: Sequence
    steps: tuple[StepFile, ...]
    tests: tuple[SequenceTest, ...]


def load_project_files(settings: Settings, *, compiled: bool = False) -> ProjectFiles:
    """Read all sequence files and templates of a project. Problems are in the result, never raised.

    Args:
        compiled: also make of each step what is sent, some milliseconds a step; what fails there would for everybody.
    """
    return _Loading(settings, compiled).load()


class _Loading:
    def __init__(self, settings: Settings, compiled: bool) -> None:
        self.settings = settings
        self.compiled = compiled
        self.folder = settings.sequences
        inside = self.folder.is_relative_to(settings.folder)
        self.root = settings.folder if inside else self.folder
        self.problems: list[Problem] = []
        self.library = Library()

    def load(self) -> ProjectFiles:
        self.library = read_library(self.folder / "templates", project=self.settings.folder, root=self.root)
        self.problems.extend(self.library.problems)
        self._check_settings()
        found = self._files()
        read = {stem: self._sequence(stem, path) for stem, path in found.items()}
        whole = {stem: file for stem, file in sorted(read.items()) if file is not None}
        definitions = {stem: self._definition(file) for stem, file in whole.items() if self._complete(file)}
        # What a template lacks that could not be read is not for sure.
        if self.compiled and not any(problem.severity is Severity.ERROR for problem in self.library.problems):
            definitions = {
                stem: definition
                for stem, definition in definitions.items()
                if self._compiles(definition, whole[stem], found[stem])
            }
        return ProjectFiles(
            definitions=tuple(definitions.values()),
            paths={stem: relative(path, self.settings.folder) for stem, path in found.items()},
            problems=tuple(sorted(set(self.problems), key=_by_place)),
            templates={name: file.template for name, file in self.library.templates.items()},
            layouts={name: file.layout for name, file in self.library.layouts.items()},
            tests={stem: file.tests for stem, file in whole.items() if file.tests},
        )

    def _check_settings(self) -> None:
        document = Document(self.settings.path.name)
        if self.settings.base_url is None:
            hint = "write base_url: https://mail.example.com; without it no mail has an unsubscribe link"
            document.warn(WHOLE_FILE, "base_url", "it is missing", hint)
        if not (self.settings.postal_address or "").strip():
            hint = "write postal_address: with your street and city; many laws want it in the footer"
            document.warn(WHOLE_FILE, "postal_address", "it is missing", hint)
        for where, path in self._named_files():
            if path is not None and not path.is_file():
                document.warn(
                    WHOLE_FILE, where, f"there is no file {path}", "a path is relative to the project's folder"
                )
        self.problems.extend(document.problems)

    def _named_files(self) -> Iterator[tuple[str, Path | None]]:
        """What servers need that drip connects to: read only then, and perhaps only on the machine that sends."""
        smtp, inbound = self.settings.smtp, self.settings.inbound
        if smtp is not None:
            yield from (("smtp.ca_file", smtp.ca_file), ("smtp.oauth2_file", smtp.oauth2_file))
        if inbound.imap is not None:
            yield "inbound.imap.ca_file", inbound.imap.ca_file

    def _files(self) -> dict[str, Path]:
        """The sequence files by id; those whose name is no id are reported."""
        try:
            names = list_folder(self.folder)
            if not is_inside(self.folder, self.root):
                raise FileTrouble("it is a link that leads out of the project's folder")
        except FileTrouble as trouble:
            self._report(self.folder, str(trouble), "drip.yaml names it as `sequences`")
            return {}
        found: dict[str, Path] = {}
        for name in names:
            path = self.folder / name
            if path == self.settings.path:
                continue
            if path.suffix in SUFFIXES:
                self._take(found, path)
            elif path.suffix.lower() in SUFFIXES:
                self._report(path, "the suffix must be written .yaml", "rename it")
        return found

    def _take(self, found: dict[str, Path], path: Path) -> None:
        try:
            values.slug(path.stem)
        except BadValue as error:
            hint = re.sub("^write (it as )?", "rename it to ", error.hint or "")
            self._report(
                path, f"the file's name is the sequence's id: {error}", f"{hint}{path.suffix}" if hint else None
            )
            return
        if path.stem in found:
            other = found[path.stem].name
            self._report(path, f"{other} has the same id", "keep one of them, or rename one")
            return
        found[path.stem] = path

    def _sequence(self, stem: str, path: Path) -> SequenceFile | None:
        document = Document(relative(path, self.settings.folder))
        file = None
        try:
            root = document.read(read_file(path, self.root), empty="the file is empty: a sequence has a name and steps")
            section = section_of(document, root, "", SEQUENCE_KEYS)
            file = self._read(section, stem) if section is not None else None
        except FileTrouble as trouble:
            document.report(WHOLE_FILE, "", str(trouble), trouble.hint)
        self.problems.extend(document.problems)
        return None if document.failed else file

    def _read(self, section: Section, stem: str) -> SequenceFile:
        steps = self._steps(section)
        window = read_window(section)
        stop_when = section.parsed("stop_when", values.expression, wanted="an expression")
        sequence = Sequence(
            id=stem,
            name=section.parsed("name", values.line) or stem,
            status=section.choice("status", SequenceStatus) or SequenceStatus.DRAFT,
            steps=tuple(step.step for step in steps),
            sender=section.parsed("from", values.address),
            reply_to=section.parsed("reply_to", values.address),
            delay_from=section.choice("delay_from", DelayFrom) or DelayFrom.PREVIOUS,
            timezone=section.parsed("timezone", values.zone_name),
            send_window=None if window == INHERIT else window,
            stale_after=_stale_after(section),
            resubscribe=section.choice("resubscribe", Resubscribe) or Resubscribe.NEVER,
            stop_when=stop_when,
            variables=read_variables(section),
            layout=section.parsed("layout", self._layout),
        )
        uses = [use for step in steps for use in step.variables]
        for layout in sorted(layouts_of(sequence, steps, self.library)):
            variables = self.library.layouts[layout].variables if layout in self.library.layouts else ()
            place = section.place("layout")
            uses += [(name, (place.line, place.column), section.path("layout")) for name in sorted(variables)]
        if stop_when is not None:
            uses += expression_uses(section, "stop_when", stop_when)
        check_variables(section, sequence.variables, uses)
        for step in steps:
            self._check_postal_address(section, sequence, step)
        self._check_sender(section, sequence.sender)
        return SequenceFile(sequence, steps, read_tests(section, [step.step.key for step in steps]))

    def _steps(self, section: Section) -> tuple[StepFile, ...]:
        section.require("steps", "write steps: with a list of steps")
        node = section.get("steps")
        if isinstance(node, ListNode) and not node.items:
            section.warn("steps", "there are none: nobody would get anything")
        found: list[StepFile] = []
        first: dict[str, int] = {}
        for position, (where, item) in enumerate(section.items("steps", "a list of steps"), 1):
            step = section_of(section.document, item, where, STEP_KEYS)
            if step is None:
                continue
            read = read_step(step, position, self.library)
            self._check_sender(step, read.step.sender)
            if (line := first.setdefault(read.step.key, item.line)) != item.line:
                step.error("id", f"the id {read.step.key!r} is there twice, first on line {line}", "ids are unique")
            found.append(read)
        return tuple(found)

    def _layout(self, name: str) -> str:
        if name not in self.library.layout_names:
            raise BadValue(f"there is no layout {name!r}", suggest(name, self.library.layout_names))
        return name

    def _check_sender(self, section: Section, sender: Any) -> None:
        domains = self.settings.authorized_domains
        # No domain at all: drip.yaml has no `from` that could be read.
        if sender is not None and domains and sender.domain not in domains:
            hint = "add it to authorized_domains in drip.yaml if the server may send for it"
            section.warn("from", f"the domain {sender.domain} is not authorised", hint)

    def _check_postal_address(self, section: Section, sequence: Sequence, step: StepFile) -> None:
        """Whoever writes the link has no footer, and with it no address; unless it is written there too."""
        address, library = "".join((self.settings.postal_address or "").split()), self.library
        layouts = [library.layouts[name] for name in layouts_of(sequence, (step,), library) if name in library.layouts]
        read = {name: (place, where) for name, place, where in step.variables}
        for layout in layouts:
            place = section.place("layout")
            read |= dict.fromkeys(layout.variables - read.keys(), ((place.line, place.column), section.path("layout")))
        if not address or "unsubscribe_url" not in read or "postal_address" in read:
            return
        templates = [library.templates[name].template for name in step.templates if name in library.templates]
        sources = [step.step.body, step.step.html, step.step.text, *(layout.layout.html for layout in layouts)]
        sources += [source for one in templates for source in (one.markdown, one.html, one.text)]
        if any(address in "".join(source.split()) for source in sources if source):
            return
        spot, where = read["unsubscribe_url"]
        hint = "write {{ postal_address }} beside the link; many laws want it"
        section.document.warn(
            spot, where, "with a link of its own a mail gets no footer, and so no postal address", hint
        )

    def _complete(self, file: SequenceFile) -> bool:
        """Whether every template it uses could be read."""
        return all(step.step.template is None or step.step.template in self.library.templates for step in file.steps)

    def _definition(self, file: SequenceFile) -> Definition:
        library = self.library
        layouts = sorted(layouts_of(file.sequence, file.steps, library))
        included = [library.reach(name) for layout in layouts for name in library.included_by_layout(layout)]
        templates = sorted(frozenset().union(*(step.templates for step in file.steps), *included))
        return Definition(
            sequence=file.sequence,
            templates={name: library.templates[name].template for name in templates},
            layouts={name: library.layouts[name].layout for name in layouts if name in library.layouts},
        )

    def _compiles(self, definition: Definition, file: SequenceFile, path: Path) -> bool:
        """Whether every step can be made into what is sent: tags where HTML has a place for them, and all together."""
        from drip.render.compile import compile_step  # with all that makes HTML behind it

        document = Document(relative(path, self.settings.folder))
        for index, step in enumerate(file.steps):
            try:
                compile_step(definition, step.step, self.settings)
            except RenderFailed as error:
                document.report(step.place, f"steps[{index}]", error.message, error.hint)
        self.problems.extend(document.problems)
        return not document.failed

    def _report(self, path: Path, message: str, hint: str | None = None) -> None:
        document = Document(relative(path, self.settings.folder))
        document.report(WHOLE_FILE, "", message, hint)
        self.problems.extend(document.problems)


def layouts_of(sequence: Sequence, steps: tuple[StepFile, ...], library: Library) -> set[str]:
    """The layouts that the steps of a sequence are put into."""
    found: set[str] = set()
    for step in (file.step for file in steps):
        used = library.templates.get(step.template or "")
        own = used.template.layout if used is not None else None
        if step.text is None or step.html is not None:
            found.add(own or sequence.layout or DEFAULT_LAYOUT)
    return found


def _stale_after(section: Section) -> Any:
    if section.is_null("stale_after"):
        return None
    return section.duration("stale_after", positive=True) or INHERIT


def _by_place(problem: Problem) -> tuple[str, int, int, str, str]:
    return problem.path, problem.line, problem.column, problem.where, problem.message
