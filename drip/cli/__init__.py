"""The command line: asks and shows, decides nothing. `main` finds the command, `output` owns stdout and stderr."""
