"""The plans a team can be on, and what each allows. Used by accounts, bots, calendars and cli.

The numbers are the public API's; an operator changes any of them, or adds plans, with
``SITIN_PLANS``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from sitin.accounts.errors import UnknownPlanError

UNLIMITED = "unlimited"
"""The plan of the first team: nothing stands in a newcomer's way."""


class Plan(BaseModel):
    """What a team on this plan may do; ``None`` sets no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    writes_per_second: int | None = Field(None, gt=0)
    """POST, PATCH and DELETE requests of a team; also the size of a burst."""
    bots_per_day: int | None = Field(None, ge=0)
    """Bots created within any 24 hours."""
    calendar_connections: int | None = Field(None, ge=0)
    retention_days: int | None = Field(30, gt=0)
    """Days from a bot's end until its artifacts are deleted; ``None`` keeps them."""
    own_transcription_keys: bool = True
    """Whether a bot may bring its own key for the transcription provider."""
    counts_tokens: bool = True
    """Whether a bot needs tokens; what it used is written down either way."""


def _plan(name: str, writes: int, bots: int, calendars: int, days: int, *, own: bool) -> Plan:
    return Plan(
        name=name,
        writes_per_second=writes,
        bots_per_day=bots,
        calendar_connections=calendars,
        retention_days=days,
        own_transcription_keys=own,
    )


DEFAULTS = (
    _plan("pay_as_you_go", 5, 75, 2, 3, own=False),
    _plan("pro", 10, 300, 10, 7, own=True),
    _plan("scale", 20, 1000, 100, 14, own=True),
    _plan("enterprise", 20, 3000, 1000, 30, own=True),
    Plan(name=UNLIMITED, counts_tokens=False),
)

_CHANGES: TypeAdapter[dict[str, dict[str, Any]]] = TypeAdapter(dict[str, dict[str, Any]])


class Plans:
    """The plans of this install, by name."""

    def __init__(self, plans: Iterable[Plan] = DEFAULTS) -> None:
        self._by_name = {plan.name: plan for plan in plans}

    @classmethod
    def changed(cls, changes: Mapping[str, Mapping[str, Any]]) -> "Plans":
        """The default plans with some of their numbers changed, and further ones.

        Raises pydantic's ``ValidationError`` for what is no plan.
        """
        defaults = {plan.name: plan.model_dump() for plan in DEFAULTS}
        merged = [
            Plan.model_validate({**defaults.get(name, {}), **fields, "name": name})
            for name, fields in _CHANGES.validate_python(changes).items()
        ]
        return cls([*DEFAULTS, *merged])

    def of(self, name: str) -> Plan:
        """The plan of this name. Raises ``UnknownPlanError``."""
        plan = self._by_name.get(name)
        if plan is None:
            raise UnknownPlanError(name, sorted(self._by_name))
        return plan

    @property
    def names(self) -> list[str]:
        """Every plan's name."""
        return list(self._by_name)
