"""The plans of an install: the public API's numbers, and what an operator makes of them."""

import pytest
from pydantic import ValidationError

from sitin.accounts.errors import UnknownPlanError
from sitin.accounts.plans import UNLIMITED, Plans
from sitin.cli.settings import load_settings
from sitin.kit.errors import OperatorError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "writes", "bots", "calendars", "days", "own"),
    [
        ("pay_as_you_go", 5, 75, 2, 3, False),
        ("pro", 10, 300, 10, 7, True),
        ("scale", 20, 1000, 100, 14, True),
        ("enterprise", 20, 3000, 1000, 30, True),
        (UNLIMITED, None, None, None, 30, True),
    ],
)
def test_the_defaults_are_the_public_ones(
    name: str,
    writes: int | None,
    bots: int | None,
    calendars: int | None,
    days: int,
    own: bool,
) -> None:
    plan = Plans().of(name)
    assert plan.writes_per_second == writes
    assert plan.bots_per_day == bots
    assert plan.calendar_connections == calendars
    assert plan.retention_days == days
    assert plan.own_transcription_keys is own
    assert plan.counts_tokens is (name != UNLIMITED)


def test_an_operator_changes_numbers_and_adds_plans() -> None:
    plans = Plans.changed({"pro": {"bots_per_day": 5}, "lab": {"retention_days": None}})
    assert plans.of("pro").bots_per_day == 5
    assert plans.of("pro").writes_per_second == 10
    assert plans.of("lab").retention_days is None
    assert plans.of("lab").writes_per_second is None


def test_an_unknown_plan_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownPlanError, match=r"no plan 'gold'.*pay_as_you_go.*SITIN_PLANS"):
        Plans().of("gold")


def test_a_plan_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="bots_per_week"):
        Plans.changed({"pro": {"bots_per_week": 5}})


def test_the_setting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITIN_PLANS", '{"pro": {"bots_per_day": 5}}')
    monkeypatch.setenv("SITIN_TOKEN_RATES", '{"reservation": 2}')
    settings = load_settings()
    assert settings.all_plans.of("pro").bots_per_day == 5
    assert settings.token_rates.reservation == 2
    assert settings.token_rates.recording == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SITIN_PLANS", '{"pro": {"bots_per_day": "many"}}'),
        ("SITIN_PLANS", '{"pro": 5}'),
        ("SITIN_PLANS", "pro"),
        ("SITIN_TOKEN_RATES", '{"recording": -1}'),
        ("SITIN_TOKEN_RATES", '{"lunch": 1}'),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(OperatorError) as refused:
        load_settings()
    assert variable in refused.value.message
    assert "\n" not in refused.value.message
