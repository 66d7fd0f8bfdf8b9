from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """All that is here is marked; warnings in words of this package's own are no errors here, others are."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.fuzz)
            item.add_marker(pytest.mark.filterwarnings("ignore::UserWarning"))
