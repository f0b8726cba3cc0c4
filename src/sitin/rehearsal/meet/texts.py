"""The sentences by which people and bots know where they are on Meet's page.

Each is one of those that open-source bots look for in live meetings; who reads it is told by a
letter: A attendee-labs/attendee 77e990ed (2026-08-19), M Meeting-BaaS/meet-teams-bot c4c83449
(2025-06-11), M2 the same, later versions, V Vexa-ai/vexa 4647c96e (2026-08-21). Everything else on
the page is in our own words.
"""

SCREENS: dict[str, tuple[str, ...]] = {
    # Before the door.
    "lobby": (
        "Asking to be let in",  # A, V
        "Please wait until a meeting host brings you into the call",  # V
    ),
    "waiting_for_host": ("Waiting for the host to join",),  # A
    "sign_in": ("Sign in with your Google Account",),  # A
    "cannot_join": ("You can't join this video call",),  # A
    "connection_problem": ("There is a problem connecting to this video call",),  # A
    "not_found": ("Check your meeting code", "The meeting code you entered doesn't work"),  # A
    "expired": ("Your meeting code has expired",),  # A
    "invalid_name": ("Invalid video call name",),  # A
    "denied": ("Someone in the call denied your request to join",),  # A
    "no_response": ("No one responded to your request to join the call",),  # A
    # After the call.
    "left": ("You left the meeting",),  # A
    "removed": ("You've been removed from the meeting",),  # A
    "ended": ("Your host ended the meeting for everyone",),  # A
}
"""screen → its heading and what stands below it."""

CONSENTS: dict[str, str] = {
    "recorded": "This video call is being recorded",  # A
    "transcribed": "This video call is being transcribed",  # A
    "gemini": "Gemini is taking notes",  # A
}


def screen_texts(screen: str, *, curly: bool) -> list[str]:
    """The sentences of a screen, with typographic apostrophes if ``curly``."""
    texts = SCREENS.get(screen, ())
    return [text.replace("'", "’") if curly else text for text in texts]
