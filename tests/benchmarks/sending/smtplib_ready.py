"""`python -m tests.benchmarks.sending.smtplib_ready PORT COUNT`: four connections, ready-made bytes."""

from __future__ import annotations

import smtplib
import sys
import threading
import time
from email.message import EmailMessage

from tests.benchmarks.sending.letter import html, text

CONNECTIONS = 4


def main(port: int, count: int) -> None:
    """Send COUNT messages over four connections, a thread each."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Us <us@example.com>", "person@example.com", "News"
    message.set_content(text("Ana", "pro"))
    message.add_alternative(html("Ana", "pro"), subtype="html")
    octets = message.as_bytes()

    def work() -> None:
        client = smtplib.SMTP("127.0.0.1", port, local_hostname="localhost")
        for _ in range(count // CONNECTIONS):
            client.sendmail("us@example.com", ["person@example.com"], octets)
        client.quit()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
