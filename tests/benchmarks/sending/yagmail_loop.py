"""`python -m tests.benchmarks.sending.yagmail_loop PORT COUNT`: yagmail as its README shows; prints the seconds."""

from __future__ import annotations

import sys
import time

import yagmail

from tests.benchmarks.sending.letter import html, text


def main(port: int, count: int) -> None:
    """Send COUNT messages, a `send` each."""
    yag = yagmail.SMTP(
        {"us@example.com": "Us"},
        "",
        host="127.0.0.1",
        port=port,
        smtp_ssl=False,
        smtp_starttls=False,
        smtp_skip_login=True,
    )
    yag.set_logging(None)
    begun = time.perf_counter()
    for number in range(count):
        name = f"Ana {number}"
        yag.send(f"person{number}@example.com", f"News for {name}", [text(name, "pro"), html(name, "pro")])
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
