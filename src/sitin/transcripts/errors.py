"""What can keep a run of a transcription from going on. Used within transcripts."""


class SupersededError(Exception):
    """Another run of the same job has begun, or the transcription is over."""
