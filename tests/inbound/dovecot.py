"""A real IMAP server on loopback, with one account, in a folder of its own; nothing of the system's is touched."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drip.core.settings import ImapSecurity, ImapSettings
from tests.loopback import free_port, wait_for_port
from tests.smtp_server.certificates import Authority

USER, PASSWORD = "bounces@miempresa.com", 'sécret with "quotes" and \\'

_numbers = itertools.count()

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{cert}
ssl_key = <{key}
mail_location = maildir:{folder}/Maildir
first_valid_uid = 1
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A server that runs."""

    folder: Path
    ca_file: Path
    plain: int
    tls: int

    def settings(self, **fields: object) -> ImapSettings:
        """How drip is told of it."""
        given = {"host": "localhost", "user": USER, "password": PASSWORD, "port": self.tls, "ca_file": self.ca_file}
        return ImapSettings(**{**given, **fields})  # type: ignore[arg-type]

    def starttls(self) -> ImapSettings:
        """The same without TLS from the first octet."""
        return self.settings(port=self.plain, security=ImapSecurity.STARTTLS)

    def deliver(self, name: str, content: bytes) -> None:
        """Put a message into the mailbox; a file's name is never used twice, as Dovecot remembers it."""
        path = self.folder / "Maildir" / "new" / f"{name},{next(_numbers)}"
        path.write_bytes(content)
        shutil.chown(path, 65534, 65534)

    def flags(self) -> dict[str, str]:
        """Name -> Maildir's flags, of everything in the mailbox."""
        found = [*(self.folder / "Maildir" / "new").iterdir(), *(self.folder / "Maildir" / "cur").iterdir()]
        names = [path.name.partition(":2,") for path in found]
        return {name.split(",")[0]: flags for name, _, flags in names}


@contextmanager
def dovecot() -> Iterator[Dovecot]:
    """A server, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="drip-imap-", dir="/tmp"))
    folder.chmod(0o755)
    authority = Authority(folder)
    certificate = authority.certificate()
    plain, tls = free_port(), free_port()
    for name in ("run", "Maildir/new", "Maildir/cur", "Maildir/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (folder / "users").chmod(0o644)
    for path in (folder / "Maildir", *(folder / "Maildir").iterdir()):
        shutil.chown(path, 65534, 65534)
    config = folder / "dovecot.conf"
    text = CONFIG.format(folder=folder, cert=certificate.chain, key=certificate.key, plain=plain, tls=tls)
    config.write_text(text)
    program = shutil.which("dovecot") or "/usr/sbin/dovecot"
    process = subprocess.Popen([program, "-F", "-c", str(config)], stderr=subprocess.PIPE)
    try:
        wait_for_port(tls, process)
        yield Dovecot(folder, authority.file, plain, tls)
    finally:
        process.terminate()
        process.communicate(timeout=120)
        shutil.rmtree(folder, ignore_errors=True)
