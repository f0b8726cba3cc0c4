"""The contract's tables are whole."""

import pytest

from sitin.contract.codes import CODE_TEXTS, CRASHES, NORMAL_ENDS, EndReason

pytestmark = pytest.mark.unit


def test_every_code_says_a_sentence() -> None:
    assert set(CODE_TEXTS) == set(EndReason)
    assert all(text.sentence.endswith(".") for text in CODE_TEXTS.values())


def test_no_code_is_both_a_normal_end_and_a_crash() -> None:
    assert not NORMAL_ENDS & CRASHES
