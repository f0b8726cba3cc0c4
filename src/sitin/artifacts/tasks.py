"""The jobs of artifacts."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from sitin.artifacts.service import Artifacts
from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.jobs.interface import JobHandler, JobPayload, RetryLaterError, Task

_ASK_AGAIN = timedelta(seconds=30)


class PurgeArtifacts(JobPayload):
    """Delete every object of a bot from the store."""

    task: ClassVar[Task] = Task.PURGE_ARTIFACTS
    bot_id: UUID


class Purging:
    """Handles ``PurgeArtifacts``; done twice, it finds nothing to do."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def handler(self) -> JobHandler[PurgeArtifacts]:
        """For the worker."""
        return JobHandler(PurgeArtifacts, self.purge)

    async def purge(self, job: PurgeArtifacts) -> None:
        """Delete; a store that does not let us is asked again for as long as it takes."""
        try:
            await self._artifacts.purge(job.bot_id)
        except RetriableError as error:
            wait = _ASK_AGAIN if error.after is None else timedelta(seconds=error.after)
            raise RetryLaterError(wait) from error
        except ActionRequiredError as error:
            raise RetryLaterError(_ASK_AGAIN) from error
