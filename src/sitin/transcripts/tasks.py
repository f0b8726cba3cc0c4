"""The jobs that transcripts take and give."""

from typing import ClassVar
from uuid import UUID

from sitin.jobs.interface import JobPayload, Task


class Transcribe(JobPayload):
    """Work on a bot's transcript; handled by ``sitin.transcripts.work``."""

    task: ClassVar[Task] = Task.TRANSCRIBE
    bot_id: UUID


class Transcribed(JobPayload):
    """A bot's transcript is there, or will never be; handled by bots."""

    task: ClassVar[Task] = Task.TRANSCRIBED
    bot_id: UUID
    failed: bool


class ForgetTranscript(JobPayload):
    """Have the provider delete what it keeps; handled by ``sitin.transcripts.deletion``."""

    task: ClassVar[Task] = Task.FORGET_TRANSCRIPT
    bot_id: UUID
