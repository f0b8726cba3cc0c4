"""What can be wrong with a script or with what a live control asks for. For the whole room."""

from sitin.kit.errors import OperatorError, SitinError


class ScriptError(OperatorError):
    """A script that cannot be held; the message names the field and what would be right."""

    code = "REHEARSAL_SCRIPT"
    status = 400
    title = "Script cannot be held"


class ControlError(SitinError):
    """A control that does not fit the meeting as it is now."""

    code = "REHEARSAL_CONTROL"
    status = 409
    title = "Not possible now"


class UnknownMeetingError(SitinError):
    """No meeting is held under this code."""

    code = "REHEARSAL_UNKNOWN_MEETING"
    status = 404
    title = "No such meeting"
