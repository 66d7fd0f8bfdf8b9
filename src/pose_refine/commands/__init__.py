"""The commands of the command line, one module each: `add(commands)` adds its parser, whose default `function` takes
the parsed arguments and returns the exit code: 0 all good, 1 bad input (as a ValueError, OSError or TypeError does)."""
