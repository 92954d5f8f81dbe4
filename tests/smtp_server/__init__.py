"""A scriptable SMTP server on loopback whose log says what was really accepted: the oracle of the sending tests.

In a test:

    with SmtpServer(faults=["rcpt~bad@*=reply 550 5.1.1 no such user"]) as server:
        ...  # server.port, server.messages, server.connections, server.logins

In a process of its own, for tests that kill things:

    with spawn_server(log, "--fault", "dot#2=drop") as (port, process):
        ...
        accepted = read_log(log).messages

By hand: `python -m tests.smtp_server --port 2525 --log accepted.jsonl --fault "mail=reply 421 4.3.2 closing"`.
`script.py` explains faults.
"""

from __future__ import annotations

from tests.smtp_server.certificates import Authority, Certificate
from tests.smtp_server.log import Accepted, Login, LogReading, read_log
from tests.smtp_server.process import spawn_server
from tests.smtp_server.script import Action, Fault, Phase
from tests.smtp_server.server import Features, SmtpServer

__all__ = [
    "Accepted",
    "Action",
    "Authority",
    "Certificate",
    "Fault",
    "Features",
    "LogReading",
    "Login",
    "Phase",
    "SmtpServer",
    "read_log",
    "spawn_server",
]
