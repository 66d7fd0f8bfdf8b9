from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Values drawn at random lie at (0, 0) now and then; test_missing.py tests the warning itself."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:joints at .* were taken for missing"))
