"""How many cases each test tries: a small share, the same ones every time; or as many as the environment says.

POSE_REFINE_FUZZ=10000 python -m pytest -m fuzz tests/fuzz --hypothesis-seed=0
"""

import os

from hypothesis import HealthCheck, settings

CASES = int(os.environ.get("POSE_REFINE_FUZZ", "0"))  # in all
SHARE = 300  # in all, where nobody asks for more


def cases(share):
    """Settings of a test that tries this share of all cases."""
    return settings(
        max_examples=max(2, round((CASES or SHARE) * share)),
        derandomize=not CASES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
