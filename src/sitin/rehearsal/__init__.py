"""Meetings held on this machine: pages that behave like the platforms', over real WebRTC.

``Rehearsal(script)`` holds one meeting; ``docs/rehearsal.md`` tells how to use it.
"""

from sitin.rehearsal.conversation import conversation, speech_from
from sitin.rehearsal.errors import ControlError, ScriptError
from sitin.rehearsal.meeting import Meeting, MeetingState
from sitin.rehearsal.script import Script, load_script
from sitin.rehearsal.server import Rehearsal, RehearsalServer
from sitin.rehearsal.truth import Truth, Turn

__all__ = [
    "ControlError",
    "Meeting",
    "MeetingState",
    "Rehearsal",
    "RehearsalServer",
    "Script",
    "ScriptError",
    "Truth",
    "Turn",
    "conversation",
    "load_script",
    "speech_from",
]
