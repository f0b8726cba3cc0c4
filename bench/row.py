"""A figure as the bench shows it. For every part of the bench."""

from dataclasses import dataclass


@dataclass
class Row:
    """One figure."""

    what: str
    measured: float
    unit: str
    to_reach: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the figure is what it should be; ``None`` for one that is only told."""
        if self.to_reach is None:
            return None
        if self.at_least:
            return self.measured >= self.to_reach
        return self.measured <= self.to_reach
