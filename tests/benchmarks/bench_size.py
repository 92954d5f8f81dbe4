"""What a large database costs: a million subscriptions in 200 sequences with three million past deliveries.

    python -m tests.benchmarks.bench_size [SUBSCRIPTIONS] [--keep FOLDER]

The database is made with SQL alone, in a minute or two; with --keep it is kept, and used again if it is there. Beside
it stand an empty one and one of 10,000. All commands are processes of their own; sides take turns, medians are quoted.
The mail server is Postfix's `smtp-sink` (apt install postfix).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drip.core.moments import to_milliseconds
from drip.engine.apply import Origin, apply
from drip.project import Project, open_project
from tests.benchmarks.bench_sending import sink

SEQUENCES = 200
DUE = 1000
STEPS = 4
CONTACTS = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
    INSERT INTO contact (email, email_key, name, variables, created_at, updated_at)
    SELECT 'person' || i || '@mail' || (i % 300) || '.example.com',
        'person' || i || '@mail' || (i % 300) || '.example.com', 'Ana ' || i, '{{}}', {then}, {then} FROM n
"""
SUBSCRIPTIONS = """
    INSERT INTO subscription (sequence_id, contact_id, status, variables, started_at, origin_at, base_at, last_step_id,
        next_step_id, next_send_at, claim, last_sent_at, created_at, updated_at)
    SELECT q.id, c.id, 'active', '{{"plan":"pro"}}', {then}, {then}, {later}, t3.id, t4.id,
        {now} + 86400000 + (c.id * 7919) % 2500000000, 3, {later}, {then}, {later}
    FROM contact c JOIN (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS place FROM sequence) q
        ON q.place = c.id % {sequences}
    JOIN step t3 ON t3.sequence_id = q.id AND t3.position = 3
    JOIN step t4 ON t4.sequence_id = q.id AND t4.position = 4
    ORDER BY c.id
"""
DELIVERIES = """
    INSERT INTO delivery (subscription_id, step_id, state, attempts, claim, at, revision, content_hash, code, answer)
    SELECT s.id, t.id, 'sent', 1, t.position, {then} + t.position * 604800000 + (s.id * 7919) % 86400000, 1,
        randomblob(16), 250, '2.0.0 Ok: queued as 4XyZ' || s.id
    FROM step t JOIN subscription s ON s.sequence_id = t.sequence_id WHERE t.position < 4
    ORDER BY t.position, s.id
"""


def _sequence(number: int) -> str:
    steps = "".join(
        f"  - id: step-{step}\n    delay: {'0' if step == 1 else '7d'}\n"
        f'    subject: "{{{{ name }}}}, part {step}"\n    text: Hello {{{{ name }}}}, this is part {step}.\n'
        for step in range(1, STEPS + 1)
    )
    return f"name: Sequence {number}\nstatus: active\nsteps:\n{steps}"


def make(folder: Path, port: int, subscriptions: int) -> tuple[float, float]:
    """A project with so many people; octets per subscription and per delivery."""
    (folder / "sequences").mkdir(parents=True)
    for number in range(SEQUENCES):
        (folder / "sequences" / f"sequence-{number}.yaml").write_text(_sequence(number))
    (folder / "drip.yaml").write_text(
        "from: Us <us@example.com>\npostal_address: Main Street 1, 12345 Town\nbase_url: https://mail.example.com\n"
        "transport: smtp\nstale_after: null\n"
        f"smtp: {{host: 127.0.0.1, port: {port}, security: none, connections: 4}}\n"
    )
    project = open_project(folder)
    now = datetime.now(UTC)
    then = to_milliseconds(now - timedelta(days=60))
    moments = {"now": to_milliseconds(now), "then": then, "later": to_milliseconds(now - timedelta(days=7))}
    files = project.files()
    assert not files.problems, files.problems
    with project.opened() as store:
        apply(store, project.settings, project.incoming(files), {}, prune=False, now=now, origin=Origin())
        run = store.database.run
        empty = _octets(project)
        with store.transaction():
            run(CONTACTS.format(count=subscriptions, **moments))
            run(SUBSCRIPTIONS.format(sequences=SEQUENCES, **moments))
        people = _octets(project)
        with store.transaction():
            run(DELIVERIES.format(**moments))
        all_in_all = _octets(project)
        run("ANALYZE")
    return (people - empty) / subscriptions, (all_in_all - people) / (3 * subscriptions)


def _octets(project: Project) -> int:
    value = project.store.database.value
    return int(value("PRAGMA page_count")) * int(value("PRAGMA page_size"))


def make_due(folder: Path, count: int) -> None:
    """Let so many people be due now, spread over the sequences."""
    project = open_project(folder)
    due = to_milliseconds(datetime.now(UTC) - timedelta(minutes=5))
    with project.opened() as store, store.transaction():
        store.database.run(
            "UPDATE subscription SET next_send_at = ? WHERE id IN (SELECT id FROM subscription"
            " WHERE status = 'active' AND owner IS NULL AND next_send_at > ? ORDER BY id LIMIT ?)",
            *(due, due, count),
        )


def seconds(folder: Path, *arguments: str) -> float:
    """How long a command takes; it must end well."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "drip", "-C", str(folder), *arguments],
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=600,
    )
    return time.perf_counter() - begun


def in_turn(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each, taken in turns."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
    return {name: statistics.median(values) for name, values in found.items()}


def send_due(folder: Path) -> float:
    """Seconds of one pass over `DUE` people."""
    make_due(folder, DUE)
    return seconds(folder, "run", "--once", "--workers", "1")


def memory_of_a_pass(folder: Path, due: int) -> float:
    """The most memory that a worker had, in MB."""
    make_due(folder, due)
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", program, sys.executable, "-m", "drip", "-C", str(folder)]
    done = subprocess.run(
        [*command, "run", "--once", "--workers", "1"], stdout=subprocess.PIPE, check=True, timeout=600
    )
    return int(done.stdout) / (1024 if sys.platform != "darwin" else 1024 * 1024)


def delay_change(folder: Path, people: int) -> float:
    """Seconds of an apply that changes a delay for so many who wait."""
    file = folder / "sequences" / "sequence-0.yaml"
    project = open_project(folder)
    with project.opened() as store, store.transaction():
        first = store.database.value("SELECT MIN(id) FROM sequence")
        steps = dict(store.database.rows("SELECT position, id FROM step WHERE sequence_id = ?", first))
        store.database.run(
            "UPDATE subscription SET sequence_id = ?, last_step_id = ?, next_step_id = ? WHERE id IN"
            " (SELECT id FROM subscription WHERE sequence_id <> ? AND status = 'active' ORDER BY id DESC LIMIT ?)",
            *(first, steps[3], steps[4], first, people),
        )
        # What they have had becomes what they would have had there.
        store.database.run(
            "UPDATE delivery SET step_id = (SELECT here.id FROM step here JOIN step there"
            " ON there.position = here.position WHERE here.sequence_id = ? AND there.id = delivery.step_id)"
            " WHERE subscription_id IN (SELECT id FROM subscription WHERE sequence_id = ?)",
            *(first, first),
        )
    file.write_text(file.read_text().replace("delay: 7d", "delay: 9d"))
    return seconds(folder, "apply", "--yes")


def import_rate(folder: Path, people: int) -> float:
    """Rows a second of `drip import` of a new CSV file."""
    file = folder / "people.csv"
    rows = "\n".join(
        f"First.Last{number}@mail{number % 300}.example.org,Person {number},pro" for number in range(people)
    )
    file.write_text(f"email,name,plan\n{rows}\n")
    return people / seconds(folder, "import", "sequence-1", str(file))


def main() -> None:
    """Make the databases, measure, print."""
    parser = argparse.ArgumentParser(prog="bench_size")
    parser.add_argument("subscriptions", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sink() as port:
        folder = given.keep or Path(name)
        sizes = _projects(folder, port, given.subscriptions)
        _print(folder, sizes, given.subscriptions, given.rounds)


def _projects(folder: Path, port: int, subscriptions: int) -> tuple[float, float] | None:
    sizes = None
    for name, count in (("empty", 0), ("small", 10_000), ("large", subscriptions)):
        place = folder / name
        if place.exists():
            config = place / "drip.yaml"
            line = f"smtp: {{host: 127.0.0.1, port: {port}, security: none, connections: 4}}"
            kept = [one for one in config.read_text().splitlines() if not one.startswith("smtp:")]
            config.write_text("\n".join([*kept, line, ""]))
        else:
            sizes = make(place, port, count) if count else make(place, port, 1) and None
    return sizes


def _print(folder: Path, sizes: tuple[float, float] | None, subscriptions: int, rounds: int) -> None:
    empty, small, large = folder / "empty", folder / "small", folder / "large"

    def row(what: str, value: str, goal: str) -> None:
        print(f"{what:52} {value:>12}  {goal}", flush=True)

    if sizes is not None:
        row("octets per subscription (with its contact)", f"{sizes[0]:.0f}", "600")
        row("octets per delivery", f"{sizes[1]:.0f}", "250")
    once = ("run", "--once")
    found = in_turn({one.name: lambda one=one: seconds(one, *once) for one in (empty, large)}, rounds)  # type: ignore[misc]
    row("run --once, nothing due, against empty", f"{found['large'] / found['empty']:.2f}x", "1.2x")
    found = in_turn({one.name: lambda one=one: send_due(one) for one in (small, large)}, max(3, rounds // 2))  # type: ignore[misc]
    row(f"run --once, {DUE} due, against 10,000", f"{found['large'] / found['small']:.2f}x", "1.2x")
    for arguments in (("list",), ("subscribers", "sequence-3", "--limit", "50"), ("status",), ("agenda",)):
        found = in_turn({"large": lambda arguments=arguments: seconds(large, *arguments)}, 3)  # type: ignore[misc]
        row("drip " + " ".join(arguments), f"{found['large']:.2f} s", "0.5 s" if arguments != ("agenda",) else "")
    due = min(50_000, subscriptions // 10)
    row(f"memory of a worker with {due:,} due", f"{memory_of_a_pass(large, due):.0f} MB", "120 MB")
    row("import of 100,000 rows", f"{import_rate(large, 100_000):,.0f}/s", "15,000/s")
    people = min(100_000, subscriptions // 5)
    row(f"apply of a delay change, {people:,} waiting", f"{delay_change(large, people):.2f} s", "5 s")


if __name__ == "__main__":
    main()
