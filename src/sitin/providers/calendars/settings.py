"""The operator's settings of calendar platforms. Read once by cli, handed to the registry.

An address of an API may end in its version (``/calendar/v3``, ``/v1.0``) or not.
"""

from pydantic import HttpUrl
from pydantic_settings import BaseSettings, SettingsConfigDict


class CalendarSettings(BaseSettings):
    """Each field is the environment variable of the same name with ``SITIN_`` before it."""

    model_config = SettingsConfigDict(env_prefix="SITIN_", extra="ignore", env_ignore_empty=True)

    google_token_url: HttpUrl = HttpUrl("https://oauth2.googleapis.com/token")
    google_api_url: HttpUrl = HttpUrl("https://www.googleapis.com")
    microsoft_login_url: HttpUrl = HttpUrl("https://login.microsoftonline.com")
    microsoft_graph_url: HttpUrl = HttpUrl("https://graph.microsoft.com")
