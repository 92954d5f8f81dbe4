"""`python -m drip` is the same as `drip`."""

from __future__ import annotations

from drip.cli.main import main

if __name__ == "__main__":
    main()
