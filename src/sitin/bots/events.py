"""The webhooks about bots, for the API's document: what is sent, not what is answered."""

from fastapi import APIRouter

from sitin.bots.schemas import BotWebhookCompleted, BotWebhookFailed, BotWebhookStatusChange

router = APIRouter(tags=["Webhooks"])


@router.post("bot.status_change", operation_id="botStatusChange")
async def bot_status_change(body: BotWebhookStatusChange) -> None:
    """A bot has changed its status."""


@router.post("bot.completed", operation_id="botCompleted")
async def bot_completed(body: BotWebhookCompleted) -> None:
    """A bot is done, and everything it recorded is there."""


@router.post("bot.failed", operation_id="botFailed")
async def bot_failed(body: BotWebhookFailed) -> None:
    """A bot has failed; its error code says why."""
