"""The dashboard in the terminal. It asks and shows: nothing is decided here, and no SQL, YAML or SMTP may enter.

Screens hold state and widgets show it: data goes down by binding, requests come up as messages. The store is asked in
threads, which post messages and touch no widget.
"""
