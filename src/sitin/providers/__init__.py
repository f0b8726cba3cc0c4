"""Adapters to services outside: object stores and transcription engines."""
