"""Connections that are cut off: what was begun is undone, and what was in doubt is found out about."""

from __future__ import annotations

import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drip.errors import DatabaseUnavailable
from drip.store.invariants import violations
from drip.store.opening import open_url
from tests.databases import name_of, server
from tests.faults.proxy import Proxy
from tests.lab import Lab, a_sequence, a_step
from tests.postgres_server import PostgresServer
from tests.store.postgres.conftest import lab_on, until


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


@pytest.mark.parametrize("heard", [True, False])
def test_a_commit_whose_answer_was_lost_is_found_out_about(
    url: str, heard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drip.store.postgres.link.IN_DOUBT", 1.0)
    proxy = Proxy(server().port, (), arrives=heard)
    raised = None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        database = open_url(url.replace(f":{server().port}/", f":{listener.getsockname()[1]}/"))
        with database.connected():
            try:
                with database.transaction():
                    database.run("INSERT INTO meta (name, value) VALUES ('kept', '1')")
                    proxy.cut_the_next()
            except DatabaseUnavailable as error:
                raised = error
            kept = database.value("SELECT COUNT(*) FROM meta WHERE name = 'kept'")
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


def test_a_transaction_that_a_crashed_server_has_never_heard_of_was_not_made() -> None:
    """Nothing of it was written to the server's disk when it stopped, so its number is one of the future again."""
    crashing = PostgresServer({"wal_writer_delay": "10s"})
    database = open_url(crashing.make("crashing"))
    try:
        with database.connected():
            database.run("CREATE TABLE heard (value TEXT)")

            def half() -> None:
                with database.transaction():
                    database.run("INSERT INTO heard (value) VALUES ('half')")
                    crashing.restart(signal.SIGQUIT)

            with pytest.raises(DatabaseUnavailable):
                half()
            assert database.value("SELECT COUNT(*) FROM heard") == 0
    finally:
        crashing.remove()
