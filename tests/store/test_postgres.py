"""What only many machines on one server bring: claims beside each other, opt-outs that race with marks, lost lines."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.subscription import SuppressionReason
from drip.engine.records import Claim, Event, EventType, Marked
from drip.engine.suppress import suppress
from drip.errors import DatabaseUnavailable, Invalid
from drip.store.copying import TABLES, copy_rows, count_rows
from drip.store.invariants import violations
from drip.store.opening import open_url
from drip.store.postgres.database import PostgresDatabase
from drip.store.sqlite import SqliteDatabase
from drip.store.store import Store
from tests.databases import drop, name_of, new_postgres, server
from tests.lab import START, Lab, a_sequence, a_step

SECRET = "hunter2%20secret"


@pytest.fixture
def url() -> Iterator[str]:
    """A database of its own."""
    made = new_postgres()
    yield made
    drop(made)


@pytest.fixture
def lab(url: str, tmp_path: Path) -> Iterator[Lab]:
    lab = lab_on(url, tmp_path)
    with lab.store.opened():
        lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
        yield lab
        assert violations(lab.store.database) == []


def lab_on(url: str, folder: Path) -> Lab:
    lab = Lab(folder)
    lab.store = Store(open_url(url), lab.settings)
    return lab


def backends(url: str) -> list[tuple[int, str]]:
    """(pid, what it waits for) of whoever is connected to a database."""
    asked = f"SELECT pid, wait_event_type || '' FROM pg_stat_activity WHERE datname = '{name_of(url)}'"
    return [(pid, event or "") for pid, event in server().sql(asked)]


def until(reached: Callable[[], bool]) -> None:
    """Wait for what another connection brings about."""
    for _ in range(2_000):
        if reached():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come about")


def claim_one(lab: Lab, email: str = "ada@example.com") -> tuple[int, Claim]:
    lab.subscribe(email)
    with lab.store.transaction():
        worker = lab.store.claims.register("here", 1, "1", START, START)
        (claim,) = lab.store.claims.claim(worker, lab.now, 1)
    return worker, claim


def mark(url: str, worker: int, claim: Claim) -> bool:
    """Mark on a connection of its own, as another worker would."""
    store = Store(open_url(url))
    with store.connected(), store.transaction(alone=False):
        return bool(store.claims.mark(worker, [Marked(claim, 1, b"hash")], START))


def test_eight_workers_claim_everybody_once_and_none_waits_for_another(lab: Lab, url: str) -> None:
    for number in range(400):
        lab.subscribe(f"p{number}@example.com")
    together = threading.Barrier(8)

    def work(number: int) -> list[int]:
        store, found = Store(open_url(url)), list[int]()
        with store.connected():
            with store.transaction():
                worker = store.claims.register("here", number, "1", START, START)
            together.wait()
            while True:
                with store.transaction(alone=False):
                    claims = store.claims.claim(worker, START, 7)
                if not claims:
                    return found
                assert all(claim.number == 1 for claim in claims)
                found += [claim.subscription_id for claim in claims]

    with ThreadPoolExecutor(8) as pool:
        claimed = Counter(row_id for found in pool.map(work, range(8)) for row_id in found)
    assert len(claimed) == 400
    assert set(claimed.values()) == {1}
    for row in lab.store.claims.workers():
        with lab.store.transaction():
            lab.store.claims.free_all(row.id)


def test_what_another_has_claimed_and_not_committed_is_skipped(lab: Lab, url: str) -> None:
    lab.subscribe("ada@example.com")
    lab.subscribe("ana@example.com")
    first, second = Store(open_url(url)), Store(open_url(url))
    with first.connected(), second.connected():
        worker = lab.store.claims.register("here", 1, "1", START, START)
        with first.transaction(alone=False), ThreadPoolExecutor(1) as pool:
            assert len(first.claims.claim(worker, START, 1)) == 1

            def claim() -> int:
                with second.connected(), second.transaction(alone=False):
                    return len(second.claims.claim(worker, START, 10))

            assert pool.submit(claim).result(timeout=20) == 1
    with lab.store.transaction():
        lab.store.claims.free_all(worker)


def test_a_mark_waits_for_an_opt_out_and_is_refused(lab: Lab, url: str) -> None:
    worker, claim = claim_one(lab)
    with ThreadPoolExecutor(1) as pool:
        with lab.store.transaction():
            suppress(lab.store, "ada@example.com", SuppressionReason.UNSUBSCRIBED, lab.now)
            marking = pool.submit(mark, url, worker, claim)
            until(lambda: any(event == "Lock" for _, event in backends(url)))
            assert not marking.done()
        assert marking.result(timeout=20) is False
    with lab.store.transaction():
        lab.store.claims.free_all(worker)


def test_a_mark_sees_a_cancel_that_takes_no_lock_of_ours(lab: Lab, url: str) -> None:
    worker, claim = claim_one(lab)
    with psycopg.connect(url) as operator, ThreadPoolExecutor(1) as pool:
        operator.execute(
            "UPDATE subscription SET status = 'cancelled', cancel_reason = 'manual', cancelled_at = 1,"
            " next_step_id = NULL, next_send_at = NULL, owner = NULL"
        )
        marking = pool.submit(mark, url, worker, claim)
        until(lambda: any(event == "Lock" for _, event in backends(url)))
        operator.commit()
        assert marking.result(timeout=20) is False
    lab.store.events.append([Event(EventType.CANCELLED, lab.now, claim.sequence_id, claim.subscription_id)])


def test_an_opt_out_waits_for_a_mark_that_is_being_committed(lab: Lab, url: str) -> None:
    worker, claim = claim_one(lab)
    other = Store(open_url(url))
    with ThreadPoolExecutor(1) as pool, other.connected():
        with other.transaction(alone=False):
            assert other.claims.mark(worker, [Marked(claim, 1, b"hash")], START)

            def opt_out() -> None:
                with lab.store.connected():
                    suppress(lab.store, "ada@example.com", SuppressionReason.UNSUBSCRIBED, lab.now)

            leaving = pool.submit(opt_out)
            until(lambda: any(event == "Lock" for _, event in backends(url)))
        leaving.result(timeout=20)
    assert lab.person("ada@example.com").cancel_reason == "unsubscribed"
    with lab.store.transaction():
        lab.store.claims.free_all(worker)
        lab.store.database.run("DELETE FROM delivery")


def test_who_reads_events_on_misses_none_that_commits_late(lab: Lab, url: str) -> None:
    slow, last = Store(open_url(url)), lab.store.events.last()
    with slow.connected(), ThreadPoolExecutor(1) as pool:
        with slow.transaction(alone=False):
            slow.events.append([Event(EventType.APPLIED, START)])
            with lab.store.transaction(alone=False):
                lab.store.events.append([Event(EventType.STATUS, START)])

            def follow() -> list[str]:
                with lab.store.connected():
                    return [entry.type for entry in lab.store.events.entries(after=last)]

            reading = pool.submit(follow)
            until(lambda: any(event == "Lock" for _, event in backends(url)))
        assert reading.result(timeout=20) == [EventType.APPLIED, EventType.STATUS]


def test_what_is_to_be_written_alone_is_not_begun_beside_others(lab: Lab) -> None:
    with lab.store.transaction(alone=False), pytest.raises(AssertionError), lab.store.transaction():
        pass


def test_a_connection_that_is_cut_off_between_two_questions_is_made_anew(lab: Lab, url: str) -> None:
    server().sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'")
    with lab.store.transaction():
        assert lab.store.sequences.slugs() == ["welcome"]


def test_a_connection_that_is_cut_off_in_a_transaction_undoes_it_and_the_next_goes_on(lab: Lab, url: str) -> None:
    def half() -> None:
        with lab.store.transaction():
            lab.store.database.run("INSERT INTO meta (name, value) VALUES ('half', 'done')")
            server().sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'")
            lab.store.sequences.slugs()

    with pytest.raises(DatabaseUnavailable):
        half()
    assert lab.store.database.value("SELECT COUNT(*) FROM meta WHERE name = 'half'") == 0
    with lab.store.transaction():
        lab.store.database.run("INSERT INTO meta (name, value) VALUES ('whole', 'done')")
    assert lab.store.database.value("SELECT COUNT(*) FROM meta WHERE name = 'whole'") == 1


class Cutter:
    """Between client and server; cuts the line at the word COMMIT, before the server hears it or before its answer."""

    def __init__(self, port: int, *, heard: bool) -> None:
        self._port, self._heard = port, heard
        self.armed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._up, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._down, args=(upstream, client), daemon=True).start()

    def _up(self, client: socket.socket, upstream: socket.socket) -> None:
        while octets := _receive(client):
            if self.armed and b"COMMIT" in octets:
                self.armed = False
                if self._heard:
                    client.shutdown(socket.SHUT_RDWR)
                    upstream.sendall(octets)
                    _receive(upstream)
                break
            upstream.sendall(octets)
        for end in (client, upstream):
            end.close()

    def _down(self, upstream: socket.socket, client: socket.socket) -> None:
        while octets := _receive(upstream):
            try:
                client.sendall(octets)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


@pytest.mark.parametrize("heard", [True, False])
def test_a_commit_whose_answer_was_lost_is_found_out_about(
    url: str, heard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drip.store.postgres.link.IN_DOUBT", 1.0)
    cutter = Cutter(server().port, heard=heard)
    database = open_url(url.replace(f":{server().port}/", f":{cutter.port}/"))
    raised = None
    with database.connected():
        try:
            with database.transaction():
                database.run("INSERT INTO meta (name, value) VALUES ('kept', '1')")
                cutter.armed = True
        except DatabaseUnavailable as error:
            raised = error
        kept = database.value("SELECT COUNT(*) FROM meta WHERE name = 'kept'")
    cutter.close()
    assert (kept, raised is None) == ((1, True) if heard else (0, False))


def test_the_loop_goes_on_after_the_server_was_restarted(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drip.engine.worker.FIRST_WAIT", 0.1)
    lab = lab_on(url, tmp_path)
    with lab.store.opened():
        lab.apply(a_sequence(a_step("one")))
        lab.subscribe("ada@example.com")
        with lab.worker() as worker, ThreadPoolExecutor(1) as pool:

            def restart() -> None:
                lab.transport.before_mark = lambda: None
                server().restart()

            lab.transport.before_mark = restart

            def loop() -> None:
                with lab.store.connected():
                    worker.run_loop(0.05)

            looping = pool.submit(loop)
            until(lambda: bool(lab.transport.sent) or looping.done())
            worker.stop()
            looping.result(timeout=60)
        assert len(lab.transport.sent) == 1
        assert lab.person("ada@example.com").status == "completed"
        assert violations(lab.store.database) == []


def test_eight_open_a_new_database_at_once(tmp_path: Path) -> None:
    empty = new_postgres(None)
    together = threading.Barrier(8)

    def work(_: int) -> str:
        store = Store(open_url(empty))
        together.wait()
        with store.opened():
            return store.identity()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(8)))) == 1
    drop(empty)


def test_tables_of_another_program_are_left_alone() -> None:
    empty = new_postgres(None)
    server().sql("CREATE TABLE event (id int)", name_of(empty))
    with pytest.raises(DatabaseUnavailable, match="tables of another program"), Store(open_url(empty)).opened():
        pass
    assert server().sql("SELECT count(*) FROM pg_class WHERE relname = 'meta'", name_of(empty)) == [(0,)]
    drop(empty)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("127.0.0.1:1/drip", "can't be reached: nothing listens there"),
        ("127.0.0.1:{port}/nowhere", "does not exist on the server"),
        ("no.such.host.invalid/drip", "can't be reached"),
    ],
)
def test_why_there_is_no_connection_is_said_and_never_the_password(where: str, words: str) -> None:
    database = open_url(f"postgresql://postgres:{SECRET}@{where.format(port=server().port)}")
    with pytest.raises(DatabaseUnavailable) as refused:
        database.connect()
    said = f"{refused.value} {refused.value.hint} {refused.value.__cause__} {refused.value.__context__ or ''}"
    assert words in refused.value.message
    assert "hunter2" not in said
    assert "hunter2" not in database.place


def test_a_url_that_can_not_be_read_is_said_without_it() -> None:
    with pytest.raises(Invalid) as refused:
        open_url(f"postgresql://ada:{SECRET}@host/drip?nonsense=1")
    assert "hunter2" not in f"{refused.value}{refused.value.hint}{refused.value.__cause__}"


def test_a_schema_of_its_own_is_enough() -> None:
    empty = new_postgres(None)
    server().sql("CREATE SCHEMA mail", name_of(empty))
    store = Store(open_url(f"{empty}?options=-csearch_path%3Dmail"))
    with store.opened():
        assert store.database.schema_version() > 0
    assert server().sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name_of(empty)) == [(0,)]
    drop(empty)


def test_a_copy_to_the_server_and_back_has_every_row_and_goes_on_where_it_was(lab: Lab, tmp_path: Path) -> None:
    lab.subscribe("ada@example.com", variables={"nul": "a\0b", "plan": "pro"})
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.SENT, 250, "2.0.0", "2.0.0 Ok\0 queued")
    for number in range(3):
        lab.subscribe(f"p{number}@example.com")
    lab.tick()
    file, second = SqliteDatabase(tmp_path / "copy.db"), new_postgres()
    with Store(file).opened(), lab.store.transaction():
        copied = copy_rows(lab.store.database, file)
    with Store(file).opened(), Store(open_url(second)).opened():
        pass
    back = Store(open_url(second))
    with file.connected(), back.connected():
        assert copy_rows(file, back.database) == copied
        with pytest.raises(Invalid, match="is not empty"):
            copy_rows(file, back.database)
        for table in TABLES:
            columns = ", ".join(lab.store.database.columns(table))
            rows = [sorted(one.rows(f"SELECT {columns} FROM {table}"), key=repr) for one in (
                lab.store.database, file, back.database)]  # fmt: skip
            assert rows[0] == rows[1] == rows[2]
        assert back.database.numbers() == lab.store.database.numbers()
        assert back.secret() == lab.store.secret()
    assert count_rows(lab.store.database)["delivery"] == 4
    drop(second)


def test_every_table_is_copied() -> None:
    made = server().sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", "drip_template")
    assert sorted(name for (name,) in made) == sorted(TABLES)


def test_psycopg_is_loaded_for_postgresql_alone(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from drip.store.opening import open_url; from drip.store.store import Store\n"
        f"with Store(open_url('sqlite:///{tmp_path}/drip.db')).opened(): pass\n"
        "assert 'psycopg' not in sys.modules\n"
        "import psycopg, drip.store.postgres.database"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert isinstance(open_url("postgresql://host/drip"), PostgresDatabase)
