"""The operator's settings of transcription. Read once by cli, handed to ``build_engines``."""

from typing import Literal

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class TranscriptionSettings(BaseSettings):
    """Each field is the environment variable of the same name with ``SITIN_`` before it."""

    model_config = SettingsConfigDict(env_prefix="SITIN_", extra="ignore", env_ignore_empty=True)

    gladia_url: HttpUrl = HttpUrl("https://api.gladia.io")
    gladia_api_key: SecretStr | None = None

    whisper_model: str | None = None
    """A directory with a CTranslate2 model, or a name that faster-whisper knows and downloads."""
    whisper_device: Literal["auto", "cpu", "cuda"] = "auto"
    whisper_compute_type: str = "default"
    """CTranslate2's word for the precision, e.g. ``int8`` on a CPU, ``float16`` on a GPU."""

    transcription_default: Literal["gladia", "faster-whisper", "pocketsphinx"] | None = None
    """The engine for requests whose provider has no key; unset, the best one that is set up."""
    transcription_processes: int | None = Field(default=None, ge=1)
    """How many local engines run at once on this machine; unset, one per core."""
