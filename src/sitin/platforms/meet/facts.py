"""What Google Meet's page shows, as data: the day it changes is a day for editing this table.

Texts are English; the bot asks for that language. Every row says where it is known from: A is
attendee-labs/attendee (2026-08-19), V is Vexa-ai/vexa (2026-08-21), S is screenappai/meeting-bot
(2026-06-18), M is Meeting-BaaS/meet-teams-bot (2025-06-11; M2: single files up to 2026-09). None
was seen in a live meeting by this project.
"""

from dataclasses import dataclass
from enum import StrEnum

from sitin.contract.codes import RecordingMode

AS_OF = "2026-09"


class State(StrEnum):
    """What the page says about the bot's place in the meeting."""

    WAITING = "waiting"
    WAITING_FOR_HOST = "waiting_for_host"
    ADMITTED = "admitted"
    DENIED = "denied"
    NO_RESPONSE = "no_response"
    BLOCKED = "blocked"
    LOGIN_REQUIRED = "login_required"
    NOT_FOUND = "not_found"
    CAPTCHA = "captcha"
    REMOVED = "removed"
    ENDED = "ended"
    CONSENT = "consent"
    """Inside the call, a dialog tells of somebody else's recording."""
    AWAY = "away"
    """The browser is on a page that is not Meet's."""


@dataclass(frozen=True, slots=True)
class TextRule:
    """A state told by a text anywhere on the page, before the bot is admitted."""

    state: State
    text: str
    source: str


BEFORE_ADMISSION: tuple[TextRule, ...] = (
    # The first row that is found holds. Waiting comes before the controls of a call, because a
    # lobby shows a leave button and the bot's own tile as well [V].
    TextRule(State.WAITING_FOR_HOST, "Waiting for the host to join", "A"),
    TextRule(State.DENIED, "Someone in the call denied your request to join", "A"),
    TextRule(State.DENIED, "denied your request", "V"),
    TextRule(State.DENIED, "weren't allowed to join", "V"),
    TextRule(State.NO_RESPONSE, "No one responded to your request to join the call", "A"),
    TextRule(State.DENIED, "Ask to join again", "V"),
    TextRule(State.BLOCKED, "You can't join this video call", "A"),
    TextRule(State.BLOCKED, "There is a problem connecting to this video call", "A"),
    TextRule(State.LOGIN_REQUIRED, "Your sign-in credentials might have changed", "M2"),
    TextRule(State.NOT_FOUND, "Check your meeting code", "A"),
    TextRule(State.NOT_FOUND, "Invalid video call name", "A"),
    TextRule(State.NOT_FOUND, "Your meeting code has expired", "A"),
    TextRule(State.NOT_FOUND, "The meeting code you entered doesn't work", "A"),
    TextRule(State.REMOVED, "You've been removed from the meeting", "A"),
    TextRule(State.ENDED, "Your host ended the meeting for everyone", "A"),
    TextRule(State.DENIED, "You left the meeting", "A"),
    TextRule(State.WAITING, "Asking to be let in", "A V"),
    TextRule(State.WAITING, "Asking to join", "V S"),
    TextRule(State.WAITING, "You'll join the call when someone lets you in", "V"),
    TextRule(State.WAITING, "until a meeting host brings you into the call", "V"),
    TextRule(State.WAITING, "until someone admits you to the call", "M2"),
    TextRule(State.WAITING, "Waiting for the host to let you in", "V"),
)

LOGIN_HEADINGS = ("Sign in", "your Google Account")
"""An ``h1`` that holds both asks for a login [A]."""
HOSTS = ("meet.google.com",)
LOGIN_HOSTS = ("accounts.google.com",)

ADMITTED_BY = (
    'button[aria-label="Turn on captions"]',
    'button[aria-label="Turn off captions"]',
)
"""Any of these is there only inside a call [A]."""
CONTROLS = (
    'div[role="region"][aria-label="Call controls"]',
    '[aria-label^="Chat with everyone"]',
    '[aria-label="People"]',
    '[aria-label="Meeting details"]',
    '[aria-label="Send a reaction"]',
    '[aria-label="Meeting tools"]',
)
CONTROLS_NEEDED = 4
"""So many of the controls together are a call as well [M2]."""

END_SCREEN = ".roSPhc, h1"
"""Where the page says that the call is over; never the whole page, which holds chat [A]."""
END_TEXTS: tuple[TextRule, ...] = (
    TextRule(State.REMOVED, "You've been removed from the meeting", "A"),
    TextRule(State.ENDED, "Your host ended the meeting for everyone", "A"),
    TextRule(State.ENDED, "The call ended", "M"),
    TextRule(State.ENDED, "Meeting ended", "V"),
    TextRule(State.ENDED, "Call ended", "V"),
    TextRule(State.ENDED, "Connection lost", "V"),
    TextRule(State.ENDED, "You left the meeting", "A"),
)
CAPTCHA_FRAME = 'iframe[src*="recaptcha"]'
CAPTCHA_SIZE = (120, 40)
"""An invisible frame is on every page; only one of at least this size asks a person [V]."""

GONE_AFTER = 20.0
"""Seconds without any control of a call after which it counts as ended [V]."""

# --- joining -----------------------------------------------------------------------------------

NAME_FIELD = (
    'input[type="text"][aria-label="Your name"]',
    'input[jsname][type="text"]',
    'input[type="text"]:not([aria-hidden="true"])',
)
DISMISS = (
    "Continue without microphone and camera",
    "Use without an account",
    "Dismiss",
    "Got it",
)
"""Buttons of dialogs before the call, by text [S M M2]."""
DIALOG = '[role="dialog"][aria-modal="true"][aria-label="Others may see your video differently"]'
"""A dialog before the call whose button nobody wrote down; Escape closes it [A]."""
TURN_OFF = ("Turn off microphone", "Turn off camera")
"""Labels of what is still on [A]."""
JOIN_TEXTS = (
    "Ask to join",
    "Ask to join anyway",
    "Join now",
    "Join the call now",
    "Join anyway",
    "Join here too",
    "Join meeting",
    "Enter meeting",
    "Join",
)
"""What the button says, the usual first [A M]."""
CONSENT_BUTTON = 'div[aria-modal="true"][role="dialog"] button[data-mdc-dialog-action="ok"]'
"""After admission: "This video call is being recorded", "Gemini is taking notes" [A]."""
MORE_OPTIONS = 'button[aria-label="More options"]'
LAYOUT_ENTRY = ("Change layout", "Adjust view")
"""The entry of the menu that opens the dialog of layouts [A]."""
LAYOUTS = {RecordingMode.SPEAKER_VIEW: "Sidebar", RecordingMode.GALLERY_VIEW: "Tiled"}
"""How the dialog calls what a recording shows [A]."""
DIALOG_CLOSE = '[aria-modal="true"] button[aria-label="Close"]'
LEAVE_BUTTON = (
    'button[jsname="CQylAd"][aria-label="Leave call"]',
    'button[aria-label*="Leave"]',
)
LEAVE_CONFIRM = "Just leave the meeting"

# --- who is there, by the page -----------------------------------------------------------------

TILE = "[data-participant-id]"
"""A participant's picture; the attribute is the id that the channels use [V]."""
TILE_NAME = "span.notranslate"
TILE_SELF = "[data-self-name]"
NO_TILES = ("visual_effects",)
"""What bears the attribute and is nobody [V]."""
TILES_AFTER = 10.0
"""Seconds in the call after which the tiles are told; a channel that is read told long since."""

# --- the page's own requests -------------------------------------------------------------------

SYNC_REQUEST = "MeetingSpaceService/SyncMeetingSpaceCollections"
COLLECTIONS_CHANNEL = "collections"
