"""What is left of what is known about a bot once its data is deleted. Used within bots.

The bot's row and its history stay; names, ids and whatever else tells of people goes, in what is
stored already and in what a bot that is still in its call goes on to report.
"""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.models import Bot, Event, Participant
from sitin.contract.events import (
    BotEvent,
    Ended,
    EventBody,
    ParticipantLeft,
    ParticipantSeen,
    UnexpectedSeen,
)


def erased(body: EventBody) -> EventBody:
    """An event without anything about people; that it happened, and its times, stay."""
    match body:
        case ParticipantSeen():
            return ParticipantSeen(participant_id="", name="")
        case ParticipantLeft():
            return ParticipantLeft(participant_id="")
        case UnexpectedSeen():
            return UnexpectedSeen(what="")
        case Ended(recording=recording) if recording is not None:
            kept = recording.model_copy(update={"participants": (), "files": ()})
            return body.model_copy(update={"recording": kept})
        case _:
            return body


async def erase(session: AsyncSession, bot: Bot) -> None:
    """Take from the rows of a bot, which is locked, what tells of people."""
    bot.artifacts_deleted = True
    bot.extra = None
    await session.execute(delete(Participant).where(Participant.bot_id == bot.id))
    for event in await session.scalars(select(Event).where(Event.bot_id == bot.id)):
        read = BotEvent(
            seq=event.seq, at=event.at, fencing_token=event.fencing_token, body=event.body
        )
        event.body = erased(read.body).model_dump(mode="json")
    await session.flush()
