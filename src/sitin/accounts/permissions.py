"""What a key may do, by the API's operation ids. Used by the routes through ``routing``."""

from sitin.accounts.models import Permission

SENDING_OPERATIONS = frozenset(
    {
        "createBot",
        "batchCreateBots",
        "createScheduledBot",
        "batchCreateScheduledBots",
        "createCalendarBot",
    }
)
"""All that ``sending_access`` may call; ``full_access`` may call everything."""

READ_ONLY_POSTS = frozenset({"listRawCalendars"})
"""POST operations that change nothing: no idempotency key, no line in the audit log."""


def allows(permission: Permission, operation_id: str) -> bool:
    """Whether a key with this permission may call the operation."""
    return permission is Permission.FULL_ACCESS or operation_id in SENDING_OPERATIONS
