"""Bots that go at once, alone or in batches. Used by the routes.

A batch is one transaction; each of its items is a savepoint, so that one that fails leaves nothing
behind and takes no other with it.
"""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import Caller
from sitin.bots.admission import Admission, Candidate
from sitin.bots.configuration import PROVIDER, Configurations, meeting_columns
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.models import Bot
from sitin.bots.requests import CreateBotRequestBody
from sitin.bots.schemas import BatchCreated, BatchError
from sitin.contract.codes import BotStatus, TranscriptionStatus
from sitin.kit.clock import Clock
from sitin.kit.errors import SitinError
from sitin.kit.ids import new_id
from sitin.kit.requests import sentence_of
from sitin.kit.wakeups import Channel, wake
from sitin.kit.wire import is_storable

B = TypeVar("B", bound=BaseModel)

log = structlog.get_logger(__name__)


class BatchItemError(SitinError):
    """An item of a batch does not validate."""

    code = "FST_ERR_VALIDATION"
    status = 400
    title = "Bad Request"


class BotCreation:
    """Queues bots; every method joins the caller's transaction."""

    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        configurations: Configurations,
        admission: Admission,
        clock: Clock,
    ) -> None:
        self._lifecycle = lifecycle
        self._configurations = configurations
        self._admission = admission
        self._clock = clock

    async def create(
        self, session: AsyncSession, caller: Caller, body: CreateBotRequestBody
    ) -> UUID:
        """Queue a bot; a worker with room takes it at once.

        Raises ``InvalidRequestError``, ``InvalidMeetingPlatformError``, ``OwnKeyNotAllowedError``,
        and what ``Admission.admit`` raises.
        """
        meeting = self._configurations.check_with_meeting(body, caller.plan)
        bot_id = new_id()
        candidate = Candidate(bot_id, meeting.url, body.allow_multiple_bots)
        await self._admission.admit(session, caller.team_id, caller.plan, candidate)
        now = self._clock.now()
        bot = Bot(
            id=bot_id,
            team_id=caller.team_id,
            created_at=now,
            status=BotStatus.QUEUED,
            status_at=now,
            **_transcription(body),
            **meeting_columns(body, meeting),
            **self._configurations.columns(body),
        )
        await self._lifecycle.begin(session, bot)
        await wake(session, Channel.BOTS)
        return bot_id

    async def create_batch(
        self, session: AsyncSession, caller: Caller, items: Sequence[Any]
    ) -> tuple[list[BatchCreated], list[BatchError]]:
        """Queue every bot of a batch that may be, in order."""

        async def create(item: Any) -> UUID:
            return await self.create(session, caller, validated(CreateBotRequestBody, item))

        return await in_batch(session, items, create)


def _transcription(body: CreateBotRequestBody) -> dict[str, Any]:
    if not body.transcription_enabled:
        return {"transcription_status": TranscriptionStatus.NOT_APPLICABLE}
    return {
        "transcription_status": TranscriptionStatus.NOT_STARTED,
        "transcription_provider": PROVIDER,
    }


def validated(model: type[B], item: Any) -> B:
    """An item of a batch by its schema. Raises ``BatchItemError``."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        raise BatchItemError(sentence_of(error.errors(include_url=False), at="item")) from None


async def in_batch(
    session: AsyncSession, items: Sequence[Any], create: Callable[[Any], Awaitable[UUID]]
) -> tuple[list[BatchCreated], list[BatchError]]:
    """Create what each item asks for, in order, each in a savepoint of its own."""
    made: list[BatchCreated] = []
    failed: list[BatchError] = []
    for index, item in enumerate(items):
        extra = _extra_of(item)
        try:
            async with session.begin_nested():
                bot_id = await create(item)
        except SitinError as error:
            failed.append(
                BatchError(
                    index=index,
                    code=item_code(error),
                    message=error.message,
                    details=item_details(error),
                    extra=extra,
                )
            )
        except SQLAlchemyError:
            log.exception("batch_item_failed", index=index)
            failed.append(
                BatchError(
                    index=index,
                    code="BOT_CREATE_FAILED",
                    message="Something went wrong inside this service; try this one again.",
                    details=None,
                    extra=extra,
                )
            )
        else:
            made.append(BatchCreated(index=index, bot_id=bot_id, extra=extra))
    return made, failed


def item_code(error: SitinError) -> str:
    """The error's code as batches tell it: without the prefix."""
    bare = error.code.removeprefix("FST_ERR_")
    return "VALIDATION_ERROR" if bare == "VALIDATION" else bare


def item_details(error: SitinError) -> str | None:
    """The error's details as batches tell them: of what does not validate, which issues it has."""
    return error.message if error.status == HTTPStatus.BAD_REQUEST else error.details


def _extra_of(item: Any) -> dict[str, Any] | None:
    extra = item.get("extra") if isinstance(item, dict) else None
    return extra if isinstance(extra, dict) and is_storable(extra) else None
