"""Adapters to services outside: object stores, transcription engines and calendars."""
