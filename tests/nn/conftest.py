import pytest
from fakes.weights import lively, tiny_model


@pytest.fixture
def model():
    model = tiny_model()
    lively(model.network)
    return model
