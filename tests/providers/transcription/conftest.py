"""Audio for the tests of transcription engines."""

import numpy as np
import pytest

from tests.speech import RATE, Samples


@pytest.fixture(scope="session")
def tone() -> Samples:
    """A second of 440 Hz."""
    wave: Samples = (8000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.int16)
    return wave
