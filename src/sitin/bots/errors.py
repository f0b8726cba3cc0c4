"""Errors of bots, as the API shows them and as the room's own callers see them."""

from uuid import UUID

from sitin.contract.codes import BotStatus
from sitin.kit.errors import SitinError


class BotNotFoundError(SitinError):
    """No bot of this team has this id."""

    code = "FST_ERR_BOT_NOT_FOUND_BY_ID"
    status = 404
    title = "Not Found"

    def __init__(self, bot_id: UUID) -> None:
        super().__init__(f"Your team has no bot with the id '{bot_id}'.")


class BotStatusError(SitinError):
    """The bot, or the scheduled bot, is in a status that does not allow this."""

    code = "FST_ERR_BOT_STATUS"
    status = 409
    title = "Conflict"

    def __init__(self, bot_id: UUID, status: str) -> None:
        super().__init__(
            f"Status of bot '{bot_id}' is: {status}. Operation not permitted in this state."
        )


class BotNotEditableError(SitinError):
    """A scheduled bot joins too soon to be changed any more."""

    code = "FST_ERR_BOT_STATUS"
    status = 409
    title = "Conflict"

    def __init__(self, bot_id: UUID, minutes: int) -> None:
        super().__init__(
            f"Bot '{bot_id}' joins in less than {minutes} minutes. Operation not permitted in this "
            "state."
        )


class DailyBotCapError(SitinError):
    """The team has created as many bots within a day as its plan allows."""

    code = "FST_ERR_DAILY_BOT_CAP_REACHED"
    status = 429
    title = "Too Many Requests"

    def __init__(self, created: int) -> None:
        super().__init__(
            f"Daily bot cap has been reached: {created} bots created within the last 24 hours"
        )


class BotAlreadyExistsError(SitinError):
    """The meeting has a bot of this team already, and this one wanted to be alone."""

    code = "FST_ERR_BOT_ALREADY_EXISTS"
    status = 409
    title = "Conflict"

    def __init__(self) -> None:
        super().__init__(
            "A bot of your team was sent to this meeting within the last 5 minutes; set "
            "allow_multiple_bots to true to send another."
        )


class CallbackNotConfiguredError(SitinError):
    """There is nowhere to call back to."""

    code = "FST_ERR_CALLBACK_NOT_CONFIGURED"
    status = 409
    title = "Conflict"

    def __init__(self, bot_id: UUID) -> None:
        super().__init__(
            f"Bot '{bot_id}' has no callback: give one in the body, with a url, to send it there."
        )


class NotTranscribedError(SitinError):
    """Callbacks are sent again for bots with a transcription only."""

    code = "FST_ERR_BOT_STATUS"
    status = 409
    title = "Conflict"

    def __init__(self, bot_id: UUID) -> None:
        super().__init__(
            f"Bot '{bot_id}' was created without transcription. Operation not permitted in this "
            "state."
        )


class InvalidRequestError(SitinError):
    """A field that has the right type and a value that does not work."""

    code = "FST_ERR_VALIDATION"
    status = 400
    title = "Bad Request"

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")


class InvalidMeetingPlatformError(SitinError):
    """The address is no meeting of a platform this service knows."""

    code = "FST_ERR_INVALID_MEETING_PLATFORM"
    status = 400
    title = "Bad Request"

    def __init__(self) -> None:
        super().__init__(
            "meeting_url: this is no address of a Google Meet, Microsoft Teams or Zoom meeting, "
            "such as https://meet.google.com/abc-defg-hij."
        )


class IllegalMoveError(Exception):
    """A status was to follow one that it may not follow."""

    def __init__(self, bot_id: UUID, current: BotStatus, following: BotStatus) -> None:
        super().__init__(f"bot {bot_id} is {current} and may not become {following}")
        self.current = current
        self.following = following


class StaleLeaseError(Exception):
    """Whoever speaks for the bot no longer holds its lease."""

    def __init__(self, bot_id: UUID, fencing_token: int) -> None:
        super().__init__(f"the lease {fencing_token} of bot {bot_id} is not held any more")
