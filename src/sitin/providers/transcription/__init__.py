"""Transcription engines behind one Protocol."""
