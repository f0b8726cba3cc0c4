"""What the demo prints: progress while it runs, the report at its end."""

from datetime import datetime
from itertools import pairwise

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sitin.cli.demo.outcome import Outcome

_SENTENCES = {
    "queued": "the bot waits for its turn",
    "joining_call": "a browser opens the meeting",
    "in_waiting_room": "it has asked to be let in",
    "in_call_not_recording": "it is in the call",
    "in_call_recording": "it records",
    "call_ended": "the host has ended the meeting",
    "recording_succeeded": "the files are stored",
    "transcribing": "the recording is transcribed",
    "completed": "everything is there",
    "failed": "the bot has failed",
}


class Progress:
    """Live on a terminal; a line a step elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._rows: list[tuple[str, str]] = []
        self._clock = ""

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def step(self, what: str) -> None:
        """Something that the demo does."""
        self._add("demo", what)

    def status(self, code: str) -> None:
        """A status that a webhook has told."""
        self._add(code, _SENTENCES.get(code, ""))

    def clock(self, seconds: float, total: float) -> None:
        """How far the meeting is."""
        self._clock = f"{_minutes(seconds)} of {_minutes(total)} of the meeting"
        self._refresh()

    def _add(self, what: str, sentence: str) -> None:
        self._rows.append((what, sentence))
        if self._console.is_terminal:
            self._refresh()
        else:
            self._console.print(f"{what}: {sentence}", highlight=False)

    def _refresh(self) -> None:
        if not self._console.is_terminal:
            return
        table = Table.grid(padding=(0, 2))
        for what, sentence in self._rows:
            table.add_row(Text(what, style="dim" if what == "demo" else "bold cyan"), sentence)
        self._live.update(Group(table, Text(self._clock, style="green")), refresh=True)


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Status history, who spoke how long, the transcript, the artifacts."""
    parts = (_statuses(outcome), _speakers(outcome), _transcript(outcome), _files(outcome))
    for part in parts:
        console.print(part, soft_wrap=part is parts[-1])
        console.print()


def print_links(console: Console, outcome: Outcome) -> None:
    """The service's own signed addresses of the artifacts, while it goes on."""
    console.print("Its artifacts, without the key:")
    for name in outcome.files:
        console.print(f"  {name:18}{outcome.bot[name]}", soft_wrap=True, highlight=False)


def _statuses(outcome: Outcome) -> RenderableType:
    table = Table(title="Status history", title_justify="left")
    for column in ("status", "at (UTC)", "after"):
        table.add_column(column)
    rows = outcome.statuses
    times = [datetime.fromisoformat(one["created_at"]) for one in rows]
    gaps = [0.0, *((later - earlier).total_seconds() for earlier, later in pairwise(times))]
    for row, time, gap in zip(rows, times, gaps, strict=True):
        table.add_row(
            row["code"], f"{time:%H:%M:%S}.{time.microsecond // 1000:03d}", f"{gap:.2f} s"
        )
    return table


def _speakers(outcome: Outcome) -> RenderableType:
    table = Table(title="Who spoke how long", title_justify="left")
    table.add_column("speaker")
    table.add_column("seconds", justify="right")
    for name, seconds in outcome.spoke.items():
        table.add_row(name, f"{seconds:.1f}")
    return table


def _transcript(outcome: Outcome) -> RenderableType:
    engine = outcome.bot["transcription_provider"]
    table = Table(title=f"Transcript (by {engine})", title_justify="left")
    for column in ("from", "speaker", "what was understood"):
        table.add_column(column)
    for one in outcome.utterances:
        table.add_row(_minutes(one["start"]), str(one["speaker"]), str(one["text"]))
    return table


def _files(outcome: Outcome) -> RenderableType:
    rows = [*outcome.files.items(), *(("participant", path) for path in outcome.participants)]
    lines = [Text(f"Artifacts in {rows[0][1].parent}", style="italic")] if rows else []
    for name, path in rows:
        # The link is for terminals that know them; elsewhere the path is one to copy.
        link = Text(str(path), style=f"link {path.as_uri()}", no_wrap=True)
        lines.append(Text(f"  {name:18}", no_wrap=True) + link)
    return Group(*lines)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
