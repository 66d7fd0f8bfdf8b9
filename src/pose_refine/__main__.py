"""Where the command line starts: `pose-refine`, and `python -m pose_refine` where scripts are not on the path."""

import os
import sys


def main() -> int:
    """The command line, with threads that sleep while they wait. Those that spin cost a busy machine ten times the
    time; OpenMP reads this once, when torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from pose_refine import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
