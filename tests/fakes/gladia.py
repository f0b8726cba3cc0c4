"""A Gladia v2 of our own on loopback, kept right by the vendor's SDK (tests/providers).

It speaks HTTP, so that the adapter's own client is under test, and keeps what it was given. What it
"hears" is told by the test; how long it takes is counted in looks at the job, not in time.
"""

import asyncio
import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import av
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "gladia-test-key"
OTHER_KEY = "gladia-customers-key"


@dataclass
class Upload:
    """An audio file it was given."""

    audio_url: str
    filename: str
    size: int
    sha256: str
    duration: float
    key: str


@dataclass
class Job:
    """An order for one upload."""

    id: str
    key: str
    body: dict[str, Any]
    upload: Upload | None
    created_at: datetime
    looks_left: int
    error_code: int | None = None

    @property
    def status(self) -> str:
        if self.looks_left > 1:
            return "queued"
        if self.looks_left == 1:
            return "processing"
        return "done" if self.error_code is None else "error"


@dataclass
class Fault:
    """An answer given instead of the right one, so many times."""

    method: str
    path: str
    status: int
    times: int
    headers: Mapping[str, str]
    body: dict[str, Any] | str | None
    after: bool
    """Whether the request is acted on all the same: an answer lost on its way."""


Hearing = Callable[[Upload], list[dict[str, Any]]]


def utterance(
    text: str, start: float, end: float, *, speaker: int = 0, language: str = "en"
) -> dict[str, Any]:
    """An utterance as the API gives it, its words spread evenly."""
    words = text.split()
    each = (end - start) / max(1, len(words))
    return {
        "text": text,
        "language": language,
        "start": start,
        "end": end,
        "confidence": 0.9,
        "channel": 0,
        "speaker": speaker,
        "words": [
            {
                "word": f" {word}",
                "start": start + number * each,
                "end": start + (number + 1) * each,
                "confidence": 0.9,
            }
            for number, word in enumerate(words)
        ],
    }


@dataclass
class GladiaFake:
    """The service's state, and what a test may change or look at."""

    url: str = ""
    keys: set[str] = field(default_factory=lambda: {KEY, OTHER_KEY})
    hears: Hearing = lambda upload: []
    looks: int = 2
    """Looks at a job until it is done."""
    error_code: int | None = None
    """Jobs created from now on fail with it."""
    deletable: bool = True
    uploads: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    held: dict[tuple[str, str], threading.Event] = field(default_factory=dict)

    def fail_next(
        self,
        method: str,
        path: str,
        status: int,
        *,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        body: dict[str, Any] | str | None = None,
        after: bool = False,
    ) -> None:
        """Answer the next requests to paths that begin so with this status."""
        self.faults.append(Fault(method, path, status, times, headers or {}, body, after))

    def hold(self, method: str, path: str) -> threading.Event:
        """Act on requests to paths that begin so, and answer them once the event is set."""
        answered = threading.Event()
        self.held[method, path] = answered
        return answered

    def count(self, method: str, path: str) -> int:
        """How many requests came to paths that begin so."""
        return sum(m == method and p.startswith(path) for m, p in self.requests)

    # The routes.

    async def upload(self, request: Request) -> Response:
        async with request.form() as form:
            audio = form.get("audio")
            if not isinstance(audio, UploadFile):
                return _error(400, "audio must be a file", request, ["audio must be a file"])
            content = await audio.read()
            filename = audio.filename or ""
        try:
            with av.open(io.BytesIO(content), "r") as container:
                samples = sum(frame.samples for frame in container.decode(audio=0))
                seconds = samples / container.streams.audio[0].rate
        except av.error.FFmpegError:
            seconds = 0.0
        if not seconds:
            return _error(400, "the file is no audio", request)
        file_id = str(uuid4())
        upload = Upload(
            audio_url=f"{self.url}/file/{file_id}",
            filename=filename,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            duration=seconds,
            key=request.headers["x-gladia-key"],
        )
        self.uploads[upload.audio_url] = upload
        metadata = {
            "id": file_id,
            "filename": filename,
            "source": "upload",
            "extension": filename.rpartition(".")[2],
            "size": upload.size,
            "audio_duration": upload.duration,
            "number_of_channels": 1,
        }
        return JSONResponse({"audio_url": upload.audio_url, "audio_metadata": metadata})

    async def create(self, request: Request) -> Response:
        body = await request.json()
        audio_url = body.get("audio_url")
        if not isinstance(audio_url, str):
            return _error(400, "Bad request", request, ["audio_url is required"])
        for flag in ("diarization", "translation", "subtitles", "callback"):
            if not isinstance(body.get(flag, False), bool):
                return _error(400, "Bad request", request, [f"{flag} must be a boolean value"])
        job = Job(
            id=str(uuid4()),
            key=request.headers["x-gladia-key"],
            body=body,
            upload=self.uploads.get(audio_url),
            created_at=datetime.now(UTC),
            looks_left=self.looks,
            error_code=self.error_code if audio_url in self.uploads else 404,
        )
        self.jobs[job.id] = job
        result_url = f"{self.url}/v2/pre-recorded/{job.id}"
        return JSONResponse({"id": job.id, "result_url": result_url}, status_code=201)

    async def get(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _error(404, "no such job", request)
        job.looks_left = max(0, job.looks_left - 1)
        return JSONResponse(self._show(job))

    async def list(self, request: Request) -> Response:
        query = request.query_params
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", "20"))
        after = query.get("after_date")
        mine = [
            job
            for job in reversed(self.jobs.values())
            if job.key == request.headers["x-gladia-key"]
            and (after is None or job.created_at > datetime.fromisoformat(after))
        ]
        base = f"{self.url}/v2/pre-recorded"
        more = offset + limit < len(mine)
        return JSONResponse(
            {
                "first": f"{base}?offset=0&limit={limit}",
                "current": f"{base}?offset={offset}&limit={limit}",
                "next": f"{base}?offset={offset + limit}&limit={limit}" if more else None,
                "items": [self._show(job) for job in mine[offset : offset + limit]],
            }
        )

    async def delete(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _error(404, "no such job", request)
        if not self.deletable:
            return _error(403, "the job cannot be deleted yet", request)
        del self.jobs[job.id]
        self.deleted.append(job.id)
        return Response(status_code=202)

    def _job(self, request: Request) -> Job | None:
        job = self.jobs.get(request.path_params["id"])
        return job if job is not None and job.key == request.headers["x-gladia-key"] else None

    def _show(self, job: Job) -> dict[str, Any]:
        done = job.status == "done"
        shown: dict[str, Any] = {
            "id": job.id,
            "request_id": f"G-{job.id[:8]}",
            "version": 2,
            "status": job.status,
            "created_at": _time(job.created_at),
            "completed_at": _time(datetime.now(UTC)) if job.looks_left == 0 else None,
            "custom_metadata": job.body.get("custom_metadata"),
            "error_code": job.error_code if job.status == "error" else None,
            "post_session_metadata": {},
            "kind": "pre-recorded",
            "file": None,
            "request_params": None if job.status == "error" else job.body,
            "result": None,
        }
        if job.upload is not None:
            shown["file"] = {
                "id": job.upload.audio_url.rpartition("/")[2],
                "filename": job.upload.filename,
                "source": "upload",
                "audio_duration": job.upload.duration,
                "number_of_channels": 1,
            }
            if done:
                shown["result"] = self._result(job.upload)
        return shown

    def _result(self, upload: Upload) -> dict[str, Any]:
        heard = self.hears(upload)
        return {
            "metadata": {
                "audio_duration": upload.duration,
                "number_of_distinct_channels": 1,
                "billing_time": upload.duration,
                "transcription_time": 0.5,
            },
            "transcription": {
                "full_transcript": " ".join(u["text"] for u in heard),
                "languages": list(dict.fromkeys(u["language"] for u in heard)),
                "utterances": heard,
            },
        }

    def guarded(self, route: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """A route behind the key and the faults."""

        async def answer(request: Request) -> Response:
            method, path = request.method, request.url.path
            self.requests.append((method, path))
            fault = next(
                (f for f in self.faults if f.method == method and path.startswith(f.path)), None
            )
            if fault is not None:
                fault.times -= 1
                if fault.times == 0:
                    self.faults.remove(fault)
                if fault.after:
                    await route(request)
                if isinstance(fault.body, str):
                    return Response(fault.body, fault.status, headers=dict(fault.headers))
                failure = _error(fault.status, "a fault was asked for", request)
                failure.headers.update(fault.headers)
                return failure
            key = request.headers.get("x-gladia-key")
            if key is None:
                return _error(401, "no gladia key provided", request)
            if key not in self.keys:
                return _error(401, "gladia user not found", request)
            response: Response = await route(request)
            for (held_method, held_path), answered in self.held.items():
                if method == held_method and path.startswith(held_path):
                    await asyncio.to_thread(answered.wait, 60)
            return response

        return answer


@contextmanager
def serve_gladia() -> Iterator[GladiaFake]:
    """Run the service on a free port of loopback, in a thread of its own."""
    fake = GladiaFake()
    app = Starlette(
        routes=[
            Route("/v2/upload", fake.guarded(fake.upload), methods=["POST"]),
            Route("/v2/pre-recorded", fake.guarded(fake.create), methods=["POST"]),
            Route("/v2/pre-recorded", fake.guarded(fake.list), methods=["GET"]),
            Route("/v2/pre-recorded/{id}", fake.guarded(fake.get), methods=["GET"]),
            Route("/v2/pre-recorded/{id}", fake.guarded(fake.delete), methods=["DELETE"]),
        ]
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    fake.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the fake did not start"
        assert time.monotonic() < deadline, "the fake did not start in time"
        time.sleep(0.01)
    try:
        yield fake
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _error(
    status: int, message: str, request: Request, complaints: list[str] | None = None
) -> JSONResponse:
    body: dict[str, Any] = {
        "timestamp": _time(datetime.now(UTC)),
        "path": request.url.path,
        "request_id": f"G-{uuid4().hex[:8]}",
        "statusCode": status,
        "message": message,
    }
    if complaints is not None:
        body["validation_errors"] = complaints
    return JSONResponse(body, status_code=status)
