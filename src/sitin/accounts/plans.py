"""The plans a team can be on. Used by accounts and the commands."""

from enum import StrEnum


class Plan(StrEnum):
    """Names of plans. The one there is puts no limit on anything."""

    UNLIMITED = "unlimited"
