"""Between bots and transcripts: the order after a recording, and what its answer does to the bot.

Wired by cli; the answer comes as a job.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.lifecycle import Lifecycle, lock
from sitin.bots.models import Bot
from sitin.contract.recording import Recording
from sitin.jobs.interface import JobHandler
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.transcripts.service import TranscriptionOrder, TranscriptService
from sitin.transcripts.tasks import Transcribed


class Transcription:
    """Orders transcripts and takes the answers."""

    def __init__(
        self,
        *,
        database: Database,
        transcripts: TranscriptService,
        lifecycle: Lifecycle,
        keyring: Keyring,
    ) -> None:
        self._database = database
        self._transcripts = transcripts
        self._lifecycle = lifecycle
        self._keyring = keyring

    async def order(self, session: AsyncSession, bot: Bot, recording: Recording) -> None:
        """Have a stored recording transcribed; joins the caller's transaction."""
        sealed = bot.transcription_api_key
        order = TranscriptionOrder(
            provider=bot.transcription_provider or "gladia",
            api_key=None if sealed is None else self._keyring.decrypt(sealed),
            params=bot.transcription_params or {},
        )
        await self._transcripts.request(session, bot.id, order=order, recording=recording)

    def handler(self) -> JobHandler[Transcribed]:
        """For the worker."""
        return JobHandler(Transcribed, self.finish)

    async def finish(self, answer: Transcribed) -> None:
        """Bring the bot to its end; told twice, it changes nothing."""
        async with self._database.transaction() as session:
            bot = await lock(session, answer.bot_id)
            state = await self._transcripts.state(session, answer.bot_id)
            assert state is not None
            await self._lifecycle.finish_transcription(
                session,
                bot,
                provider=state.provider,
                ids=state.transcription_ids,
                error=state.failure if answer.failed else None,
                failed=answer.failed,
            )
