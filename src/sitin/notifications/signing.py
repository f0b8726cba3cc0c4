"""Webhook secrets and signatures as Standard Webhooks defines them. Used within notifications."""

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks import Webhook

_PREFIX = "whsec_"
_SECRET_BYTES = 32  # the standard asks for 24 to 64


def new_secret() -> str:
    """A new endpoint's secret."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature_headers(
    *, message_id: UUID, body: bytes, secrets: Sequence[str], now: datetime
) -> dict[str, str]:
    """The three headers that prove a message; one signature per secret, newest first."""
    text = body.decode()
    signatures = (
        Webhook(secret).sign(msg_id=str(message_id), timestamp=now.astimezone(UTC), data=text)
        for secret in secrets
    )
    return {
        "svix-id": str(message_id),
        "svix-timestamp": str(int(now.timestamp())),
        "svix-signature": " ".join(signatures),
    }
