"""Engines that run on this machine, each in a process of its own at low priority."""

from sitin.providers.transcription.local.engine import LocalProcessEngine

__all__ = ["LocalProcessEngine"]
