"""What a DKIM signature costs per message: ours, and dkimpy's own, in turns in one process.

`python -m tests.benchmarks.bench_dkim`
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import dkim

from drip.core.dkim_keys import read_key
from drip.render.dkim import SIGNED, sign
from tests.render.test_dkim import DOMAIN, KEYS, SELECTOR, octets

ROUNDS, EACH = 15, 20
BODY = "A line of text as mails have them, with an ümlaut.\n" * 60


def main() -> None:
    """Print milliseconds per message, and ratios to dkimpy's RSA."""
    message = octets(text=BODY, html=f"<p>{BODY}</p>")
    rsa, ed25519, seed = KEYS["rsa, PKCS#1"], read_key(KEYS["ed25519, PKCS#8"]), KEYS["ed25519, a seed"].strip()
    key = read_key(rsa)
    relaxed = {"canonicalize": (b"relaxed", b"relaxed"), "include_headers": [*SIGNED, b"from"]}
    ways: dict[str, Callable[[], object]] = {
        "dkimpy, RSA 2048": lambda: dkim.sign(message, b"s", b"example.com", rsa, **relaxed),
        "dkimpy, Ed25519": lambda: dkim.sign(
            message, b"s", b"example.com", seed, signature_algorithm=b"ed25519-sha256", **relaxed
        ),
        "drip, RSA 2048": lambda: sign(message, key, DOMAIN, SELECTOR, 0),
        "drip, RSA 2048, the key read anew": lambda: sign(message, read_key(rsa), DOMAIN, SELECTOR, 0),
        "drip, Ed25519": lambda: sign(message, ed25519, DOMAIN, SELECTOR, 0),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            for _ in range(EACH):
                way()
            times[name].append((time.perf_counter() - start) / EACH * 1000)
    base = median(times["dkimpy, RSA 2048"])
    print(f"a message of {len(message)} octets, medians of {ROUNDS} rounds")
    for name, found in times.items():
        print(f"{name:36} {median(found):7.2f} ms   {base / median(found):5.1f} times as fast as dkimpy's RSA")


if __name__ == "__main__":
    main()
