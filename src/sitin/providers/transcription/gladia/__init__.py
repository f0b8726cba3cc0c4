"""Gladia's pre-recorded API, version 2, behind the RemoteEngine Protocol."""

from sitin.providers.transcription.gladia.engine import GladiaEngine

__all__ = ["GladiaEngine"]
