"""`python -m tests.smtp_server`: says `{"port": …}` on stdout when it listens, runs until SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from pathlib import Path

from tests.smtp_server.certificates import Certificate
from tests.smtp_server.server import Features, SmtpServer


def main() -> None:
    """Run until told to stop."""
    arguments = _parser().parse_args()
    features = Features(
        tls=arguments.tls,
        starttls=arguments.starttls,
        mechanisms=tuple(arguments.mechanisms.split()) if arguments.user else (),
        users=frozenset(_user(text) for text in arguments.user),
        login_required=bool(arguments.user),
        size=arguments.size or None,
        offers=tuple(arguments.offer) if arguments.offer else Features().offers,
    )
    server = SmtpServer(
        faults=arguments.fault,
        features=features,
        certificate=Certificate(arguments.cert, arguments.key) if arguments.cert else None,
        latency=arguments.latency,
        log=arguments.log,
        spool=arguments.spool,
        fsync=not arguments.no_fsync,
        port=arguments.port,
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with server:
        print(json.dumps({"port": server.port, "pid": os.getpid()}), flush=True)
        if arguments.until_eof:
            threading.Thread(target=_until_stdin_ends, args=(stop,), daemon=True).start()
        while not stop.wait(1):
            pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.smtp_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (the default): any free one")
    parser.add_argument("--log", type=Path, help="the oracle: a JSON line per message, connection and login")
    parser.add_argument("--spool", type=Path, help="a folder for the accepted octets, SHA256.eml")
    parser.add_argument("--no-fsync", action="store_true", help="faster; the log does not survive a power cut")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--fault", action="append", default=[], help="phase[~pattern][#n[+]]=action [text]")
    parser.add_argument("--tls", action="store_true", help="TLS from the first octet")
    parser.add_argument("--starttls", action="store_true")
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--user", action="append", default=[], help="user:password; then a login is wanted")
    parser.add_argument("--mechanisms", default="PLAIN LOGIN")
    parser.add_argument("--size", type=int, default=10_240_000, help="0: SIZE is not offered")
    parser.add_argument("--offer", action="append", default=[], help="EHLO keyword, instead of the usual ones")
    parser.add_argument("--until-eof", action="store_true", help="also end when stdin does: with whoever started it")
    return parser


def _user(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    return user, password


def _until_stdin_ends(stop: threading.Event) -> None:
    while os.read(0, 1024):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    stop.set()


if __name__ == "__main__":
    main()
