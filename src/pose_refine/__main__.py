"""python -m pose_refine: the command line where scripts are not on the path."""

import sys

from pose_refine.cli import main

sys.exit(main())
