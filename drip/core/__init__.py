"""What drip decides: pure functions over frozen values.

No I/O, no clock and no randomness may enter: `now` is always an argument.
"""
