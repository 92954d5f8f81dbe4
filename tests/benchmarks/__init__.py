"""What drip is measured with: `python -m tests.benchmarks.bench_…`; nothing here is asserted."""

from __future__ import annotations

import os

# A machine in use has byte code; without it every start of a process that is measured would compile drip anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
