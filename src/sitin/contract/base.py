"""The base of every message that crosses a process or a room. For the contract's modules."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable message; a field that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)
