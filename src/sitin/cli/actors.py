"""Who runs a command, for the audit log. Used by the commands that change something."""

import os
import pwd
import socket
from collections.abc import Sequence
from uuid import UUID

from sitin.accounts.audit import SUCCEEDED, Change
from sitin.accounts.models import ActorKind


def change_by_command(
    action: str,
    *,
    team_id: UUID | None = None,
    object_ids: Sequence[UUID] = (),
    outcome: str = SUCCEEDED,
) -> Change:
    """A change that the command of this process makes."""
    return Change(
        actor_kind=ActorKind.CLI,
        actor=user_name(),
        action=action,
        team_id=team_id,
        object_ids=object_ids,
        outcome=outcome,
        client=socket.gethostname(),
    )


def user_name() -> str:
    """The operating system's user: with sudo the one who typed it, else the process's own."""
    if os.getuid() == 0 and (caller := os.environ.get("SUDO_USER")):
        return caller
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
