"""A real Postfix on loopback, with configuration, queue and mailbox in a folder of its own, beside the system's."""

from __future__ import annotations

import shutil
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.loopback import free_port, wait_for_port

POSTFIX = "/usr/sbin/postfix"
MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = /tmp
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.miempresa.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = miempresa.com, empresa.com
virtual_mailbox_base = {folder}
virtual_mailbox_maps = inline:{{ {{bounces@miempresa.com = box/}} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
recipient_delimiter = +
smtpd_reject_unlisted_recipient = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_dns_support_level = disabled
default_transport = error:5.1.2 there is no way out of this test
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
proxymap unix - - n - - proxymap
"""


# As `drip guide bounces` has it, but that drip is called by way of a socket: Postfix runs a pipe as a user of its own,
# who may not read the checkout.
PIPE_MAIN = """\
transport_maps = inline:{{ {{bounces@miempresa.com = bounces:}} }}
bounces_destination_recipient_limit = 1
"""
PIPE_MASTER = """\
bounces unix - n n - 1 pipe
  flags=Rq user=nobody argv={folder}/relay {folder}/calls
"""
RELAY = """\
#!/usr/bin/perl
use IO::Socket::UNIX;
$/ = undef;
my $call = IO::Socket::UNIX->new(Peer => shift) or exit 75;
print $call <STDIN>;
$call->flush;
$call->shutdown(1);
exit(<$call>);
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """A server that takes mail for miempresa.com and empresa.com, and has one mailbox: bounces@miempresa.com.

    It accepts everything, and sends back what it can't deliver, as a server does that asks others only later.
    """

    port: int
    maildir: Path
    log: Path
    config: Path
    calls: list[int]
    """The exit codes of the pipe's command, so far."""

    def flush(self) -> None:
        """Try again at once what was deferred."""
        subprocess.run(["/usr/sbin/postqueue", "-c", str(self.config), "-f"], check=True, timeout=120)

    def wait_for_calls(self, codes: list[int], seconds: float = 120) -> None:
        """Until the pipe's command has ended so many times, with these codes."""
        deadline = time.monotonic() + seconds
        while len(self.calls) < len(codes):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        assert self.calls == codes, self.log.read_text()

    def wait_for(self, count: int, seconds: float = 120) -> None:
        """Until so many messages have come into the mailbox."""
        deadline = time.monotonic() + seconds
        while len(list((self.maildir / "new").iterdir())) < count:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)


@contextmanager
def postfix(pipe_to: Sequence[str] = ()) -> Iterator[Postfix]:
    """A server, until the block ends.

    Args:
        pipe_to: a command that what comes to the mailbox is piped to, in its place.
    """
    folder = Path(tempfile.mkdtemp(prefix="drip-postfix-", dir="/tmp"))
    folder.chmod(0o755)
    port = free_port()
    for name in ("etc", "queue", "data", "box/new", "box/cur", "box/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "etc" / "main.cf").write_text((MAIN + PIPE_MAIN * bool(pipe_to)).format(folder=folder))
    (folder / "etc" / "master.cf").write_text((MASTER + PIPE_MASTER * bool(pipe_to)).format(port=port, folder=folder))
    shutil.chown(folder / "data", "postfix")
    for path in (folder / "box", *(folder / "box").iterdir()):
        shutil.chown(path, 65534, 65534)
    command = [POSTFIX, "-c", str(folder / "etc")]
    process = subprocess.Popen([*command, "start-fg"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for_port(port, process)
        server = Postfix(port, folder / "box", folder / "log", folder / "etc", [])
        with _calling(folder, pipe_to, server.calls) if pipe_to else nullcontext():
            yield server
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False, timeout=120)
        process.communicate(timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _calling(folder: Path, command: Sequence[str], codes: list[int]) -> Iterator[None]:
    """Call a command with what comes over the socket, and give back its exit code."""

    class Call(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            code = subprocess.run(command, stdin=self.request.fileno(), check=False, timeout=60).returncode
            self.wfile.write(str(code).encode())
            codes.append(code)

    (folder / "relay").write_text(RELAY)
    (folder / "relay").chmod(0o755)
    with socketserver.ThreadingUnixStreamServer(str(folder / "calls"), Call) as server:
        (folder / "calls").chmod(0o777)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join(10)
