"""The command line: asks and shows, decides nothing. `main` finds the command, `output` owns stdout and stderr.

A command lies in the package of the heading that `drip --help` lists it under.
"""
