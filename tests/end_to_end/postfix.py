"""A real Postfix on loopback, with configuration, queue and mailbox in a folder of its own, beside the system's."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@dataclass(frozen=True, slots=True)
class Postfix:
    """A server that takes mail for miempresa.com and empresa.com, and has one mailbox: bounces@miempresa.com.

    It accepts everything, and sends back what it can't deliver, as a server does that asks others only later.
    """

    port: int
    maildir: Path
    log: Path

    def wait_for(self, count: int, seconds: float = 30) -> None:
        """Until so many messages have come into the mailbox."""
        deadline = time.monotonic() + seconds
        while len(list((self.maildir / "new").iterdir())) < count:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)


@contextmanager
def postfix() -> Iterator[Postfix]:
    """A server, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="drip-postfix-", dir="/tmp"))
    folder.chmod(0o755)
    port = free_port()
    for name in ("etc", "queue", "data", "box/new", "box/cur", "box/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "etc" / "main.cf").write_text(MAIN.format(folder=folder))
    (folder / "etc" / "master.cf").write_text(MASTER.format(port=port))
    shutil.chown(folder / "data", "postfix")
    for path in (folder / "box", *(folder / "box").iterdir()):
        shutil.chown(path, 65534, 65534)
    command = [POSTFIX, "-c", str(folder / "etc")]
    process = subprocess.Popen([*command, "start-fg"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for_port(port, process, 30)
        yield Postfix(port, folder / "box", folder / "log")
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False, timeout=30)
        process.communicate(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)
