"""What a visitor sees and hears in the call, with a real browser over real WebRTC."""

import base64
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from sitin.platforms.meet import wire_pb2 as wire
from sitin.rehearsal import Truth
from sitin.rehearsal.film import height_at
from sitin.rehearsal.marks import FrameMark
from tests.rehearsal.conftest import Arrive, Hold
from tests.rehearsal.sounds import tone, write_wav

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ADA, BEN, CHLOE = "Ada Martin", "Ben Okafor", "Chloé Dubois"


def say(
    directory: Path, at: float, who: str, seconds: float, text: str = "hello"
) -> dict[str, Any]:
    path = write_wav(directory / f"{at}.wav", tone((seconds, True)))
    return {"do": "say", "at": at, "who": who, "text": text, "audio": str(path)}


def numbers(frames: Iterable[tuple[FrameMark, int, float]]) -> list[int]:
    return [mark.frame for mark, _, _ in frames]


Samples = list[tuple[float, set[str]]]


def speakers_at(truth: Truth, moment: float) -> frozenset[str] | None:
    """Who spoke at a moment; ``None`` where a turn begins or ends within 150 ms of it."""
    turns = [(turn.speaker, turn.start.timestamp(), turn.end.timestamp()) for turn in truth.turns]
    if any(abs(moment - edge) < 0.15 for _, *edges in turns for edge in edges):
        return None
    return frozenset(speaker for speaker, start, end in turns if start < moment < end)


def agreement(truth: Truth, samples: Samples, delay: float) -> dict[frozenset[str], float]:
    """By who speaks, the share of samples that say so if the browser plays ``delay`` s later."""
    verdicts: dict[frozenset[str], list[bool]] = {}
    for at, heard in samples:
        speakers = speakers_at(truth, at - delay)
        if speakers is not None:
            verdicts.setdefault(speakers, []).append(heard == speakers)
    return {speakers: sum(said) / len(said) for speakers, said in verdicts.items()}


async def test_voices_come_on_pooled_tracks_told_apart_by_source(
    tmp_path: Path, hold: Hold, arrive: Arrive
) -> None:
    meeting = await hold(
        timeline=[
            say(tmp_path, 0.8, ADA, 0.8, "one"),
            say(tmp_path, 2.0, BEN, 0.8, "two"),
            say(tmp_path, 3.2, ADA, 1.3, "three"),
            say(tmp_path, 3.7, BEN, 1.3, "four"),
        ]
    )
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await guest.until("spy.messages.length > 0")
    roster = await guest.roster()
    for name in (ADA, BEN):
        tile = f'.speaks[data-participant-id="{roster.device(name)}"]'
        await guest.sees(f"{tile} .Oaajhc.HX2H7.wEsLMd.OgVli")
    await meeting.played()
    await guest.until("spy.sources.at(-1)[1].flat().every(([, level]) => level < 0.01)")
    await guest.sees(f'[data-participant-id="{roster.device(ADA)}"] .gjg47c')
    truth = meeting.truth
    assert [(turn.speaker, turn.text) for turn in truth.turns] == [
        (ADA, "one"),
        (BEN, "two"),
        (ADA, "three"),
        (BEN, "four"),
    ]
    names = {roster.source(name): name for name in (ADA, BEN)}
    samples: Samples = []
    tracks_of: dict[str, set[int]] = {ADA: set(), BEN: set()}
    for at, tracks in await guest.sources():
        assert len(tracks) == 3
        heard = {
            (names[source], track)
            for track, sources in enumerate(tracks)
            for source, level in sources
            if level >= 0.01
        }
        for name, track in heard:
            tracks_of[name].add(track)
        samples.append((at, {name for name, _ in heard}))
    # A browser reports a source when it plays the packet; how long that takes is its own affair.
    best = max(
        (agreement(truth, samples, delay / 20) for delay in range(16)),
        key=lambda shares: sum(shares.values()),
    )
    for speakers in ((), (ADA,), (BEN,), (ADA, BEN)):
        assert best[frozenset(speakers)] >= 0.8, best
    # One after another they share the first track; at once they need two.
    assert tracks_of == {ADA: {0}, BEN: {0, 1}}
    received = await guest.stats("audio")
    assert sorted(item["totalAudioEnergy"] > 0 for item in received) == [False, True, True]
    # Pauses are sent as packets of three bytes, so that nothing has to be concealed.
    assert min(item["packetsReceived"] for item in received) > 150


async def test_every_frame_arrives_and_says_whose_it_is(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(video={"resolution": [{"at": 0, "height": 360}], "fps": 25})
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await guest.until("Object.values(spy.frames).filter(frames => frames.length > 25).length === 2")
    roster = await guest.roster()
    for position, name in enumerate((ADA, BEN)):
        frames = await guest.frames(roster.stream(roster.device(name)))
        assert {mark.feed for mark, _, _ in frames} == {2 * position}
        counted = numbers(frames)
        assert counted == list(range(counted[0], counted[0] + len(counted)))
        assert counted[0] == 0
    sent = {item.participant: item for item in meeting.truth.video}
    assert sent[ADA].frames == sent[ADA].last_frame - sent[ADA].first_frame + 1
    assert sent[ADA].kind == "camera"
    # The guest's own tile is the third.
    await expect(guest.page.locator("video")).to_have_count(3)


async def test_people_and_screens_come_and_go(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(
        participants=[{"name": ADA}, {"name": BEN}, {"name": CHLOE, "joins_at_start": False}]
    )
    guest = await arrive(meeting)
    await guest.enter(meeting, "Guest")
    await guest.until("Object.keys(spy.frames).length === 2")
    before = (await guest.roster()).device(ADA)

    meeting.join(CHLOE)
    await guest.until("Object.values(spy.frames).filter(f => f.length > 3).length === 3")
    await guest.roster_of(ADA, BEN, CHLOE, "Guest")

    meeting.present(BEN)
    await guest.until("Object.values(spy.frames).filter(f => f.length > 3).length === 4")
    roster = await guest.roster(lambda roster: bool(roster.screens))
    (screen,) = roster.screens
    assert screen.parent_device_id == roster.device(BEN)
    (mark, _, _), *_ = await guest.frames(roster.stream(screen.device_id))
    assert mark.feed == 3
    await guest.sees(f'[data-participant-id="{screen.device_id}"].large')
    meeting.stop_presenting(BEN)
    await guest.page.locator(".large").wait_for(state="detached")

    meeting.leave(ADA)
    await guest.page.locator(f'[data-participant-id="{before}"]').wait_for(state="detached")
    await guest.until(
        "spy.pcs[0].getTransceivers().filter(t => t.currentDirection === 'inactive').length === 2"
    )
    await guest.roster_of(BEN, CHLOE, "Guest")

    meeting.join(ADA)
    await guest.until("Object.values(spy.frames).filter(f => f.length > 3).length === 5")
    roster = await guest.roster_of(ADA, BEN, CHLOE, "Guest")
    assert roster.device(ADA) != before
    frames = await guest.frames(roster.stream(roster.device(ADA)))
    assert all(later - earlier == 1 for earlier, later in pairwise(numbers(frames)))
    assert len(meeting.truth.video) == 5


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_the_resolution_follows_the_ramp(hold: Hold, arrive: Arrive, codec: str) -> None:
    steps = [{"at": at, "height": height} for at, height in ((0, 180), (1, 360), (2, 720))]
    meeting = await hold(
        participants=[{"name": ADA}], video={"codec": codec, "resolution": steps, "fps": 10}
    )
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await guest.until("Object.values(spy.frames)[0]?.some(([, height]) => height === 720)")
    roster = await guest.roster()
    frames = await guest.frames(roster.stream(roster.device(ADA)))
    video = meeting.script.video
    assert {height for _, height, _ in frames} == {180, 360, 720}
    assert all(height == height_at(video, mark.frame // 10) for mark, height, _ in frames)
    (received,) = [item for item in await guest.stats("video") if item["framesDecoded"]]
    assert received["keyFramesDecoded"] >= 3
    assert received["pliCount"] == 0
    codec_used = await guest.page.evaluate(
        "async id => (await spy.pcs[0].getStats()).get(id).mimeType",
        received["codecId"],
    )
    assert codec_used.lower() == f"video/{codec}"


async def test_packets_are_lost_as_often_as_asked(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(network={"loss": 0.2, "seed": 3})
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await meeting.reached(4)
    received = await guest.stats("audio")
    lost = sum(item["packetsLost"] for item in received)
    total = lost + sum(item["packetsReceived"] for item in received)
    assert total > 400
    assert 0.12 < lost / total < 0.28
    video = [item for item in await guest.stats("video") if item["framesDecoded"]]
    assert sum(item["nackCount"] for item in video) > 0


async def test_packets_are_late_as_much_as_asked(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(network={"delay": 0.7, "jitter": 0.2})
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await guest.until("Object.values(spy.frames).some(frames => frames.length > 20)")
    roster = await guest.roster()
    frames = await guest.frames(roster.stream(roster.device(ADA)))
    zero = meeting.truth.clock_started_at
    assert zero is not None
    lateness = [at - zero.timestamp() - mark.frame / 10 for mark, _, at in frames]
    assert min(lateness) >= 0.69
    received = await guest.stats("audio")
    assert all(item["jitter"] > 0.01 for item in received)


async def test_a_page_may_decline_pictures(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.page.evaluate(
        """() => {
          const Real = RTCPeerConnection;
          window.RTCPeerConnection = new Proxy(Real, {
            construct(target, args) {
              const pc = new target(...args);
              pc.addEventListener("track", ({ transceiver }) => {
                if (transceiver.receiver.track.kind === "video") transceiver.direction = "inactive";
              });
              return pc;
            },
          });
        }"""
    )
    await guest.enter(meeting)
    await guest.until(
        "spy.pcs[0].getTransceivers().filter(t => t.currentDirection === 'inactive').length === 2"
    )
    counted = {item.stream_id: item.frames for item in meeting.truth.video}
    await meeting.reached(meeting.clock.now() + 1)
    assert {item.stream_id: item.frames for item in meeting.truth.video} == counted
    assert all(item["packetsReceived"] > 0 for item in await guest.stats("audio"))


async def test_the_first_reply_and_the_channel_tell_the_same(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(participants=[{"name": ADA, "host": True}, {"name": BEN, "video": False}])
    guest = await arrive(meeting)
    await guest.enter(meeting, "Grace Hopper")
    reply = wire.SyncReply.FromString(base64.b64decode(await guest.until("spy.synced")))
    await guest.until("spy.messages.length > 0")
    roster = await guest.roster_of(ADA, BEN, "Grace Hopper")
    listed = {user.device_id: user.full_name for user in reply.body.users.users}
    assert listed == {user.device_id: user.full_name for user in roster.users.values()}
    assert [user.full_name for user in roster.users.values() if user.HasField("self")] == [
        "Grace Hopper"
    ]
    assert (roster.device(BEN), wire.OUTPUT_TYPE_VIDEO) not in roster.outputs
    meeting.mute(BEN)
    meeting.camera_on(BEN)
    await guest.until("Object.keys(spy.frames).length === 2")
    ben = roster.device(BEN)
    await guest.roster(
        lambda roster: bool(roster.outputs[ben, wire.OUTPUT_TYPE_AUDIO].state.disabled)
    )
    await guest.roster(lambda roster: (ben, wire.OUTPUT_TYPE_VIDEO) in roster.outputs)


async def test_captions_come_once_they_are_on(tmp_path: Path, hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(
        timeline=[
            say(tmp_path, 0.1, ADA, 0.3, "too early"),
            say(tmp_path, 2, BEN, 1.5, "just in time"),
        ]
    )
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await meeting.reached(0.6)
    await guest.page.get_by_label("Turn on captions").click()
    await guest.sees('button[aria-label="Turn off captions"]')
    await guest.reads("just in time")
    await guest.until("spy.messages.filter(([label]) => label === 'captions').length >= 3")
    captions = await guest.captions()
    assert {caption.device_id for caption in captions} == {(await guest.roster()).device(BEN)}
    assert [caption.is_final for caption in captions] == [0, 0, 1]
    assert captions[-1].text == "just in time"


async def test_chat_goes_both_ways(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting, "Grace")
    meeting.chat(ADA, "welcome")
    await guest.page.get_by_label("Chat with everyone - New message").click()
    await guest.reads("welcome")
    await guest.page.locator('textarea[aria-label="Send a message"]').fill("thank you")
    await guest.page.keyboard.press("Enter")
    roster = await guest.roster(lambda roster: len(roster.chat) == 2)
    assert [(m.device_id, m.body.text) for m in roster.chat] == [
        (roster.device(ADA), "welcome"),
        (roster.device("Grace"), "thank you"),
    ]


async def test_the_people_panel_lists_everybody_and_the_screen(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting, "Grace")
    await guest.page.get_by_label("People", exact=True).click()
    entries = guest.page.locator('[aria-label="Participants"] [role="listitem"]')
    await expect(entries).to_have_count(3)
    for position, name in enumerate((ADA, BEN, "Grace")):
        await expect(entries.nth(position)).to_have_attribute("aria-label", name)
    meeting.present(ADA)
    await expect(entries.filter(has_text="Presentation")).to_be_visible()


async def test_layouts_are_chosen_in_a_dialog(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await guest.page.get_by_label("More options").click()
    await guest.page.get_by_text("Adjust view").click()
    await guest.page.get_by_text("Spotlight").click()
    await guest.page.locator('[aria-modal="true"] button[aria-label="Close"]').click()
    await guest.sees(".grid.one-large.alone .large")
    await expect(guest.page.locator(".tile").filter(visible=True)).to_have_count(1)


async def test_visitors_see_one_another(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    first, second = await arrive(meeting), await arrive(meeting)
    await first.enter(meeting, "First")
    await second.enter(meeting, "Second")
    await first.reads("Second")
    await first.roster_of(ADA, BEN, "First", "Second")
    await second.leave()
    await expect(first.page.get_by_text("Second")).to_have_count(0)
    await first.roster_of(ADA, BEN, "First")


async def test_without_audio_elements_the_sound_is_mixed_by_web_audio(
    tmp_path: Path, hold: Hold, arrive: Arrive
) -> None:
    meeting = await hold(prejoin={"audio_elements": False}, timeline=[say(tmp_path, 0.5, ADA, 1.5)])
    guest = await arrive(meeting)
    await expect(guest.page.locator("audio")).to_have_count(0)
    await guest.page.evaluate(
        """() => {
          const real = AudioContext.prototype.createMediaStreamSource;
          window.analysers = [];
          AudioContext.prototype.createMediaStreamSource = function (stream) {
            const source = real.call(this, stream);
            const analyser = this.createAnalyser();
            source.connect(analyser);
            window.analysers.push(analyser);
            return source;
          };
        }"""
    )
    await guest.enter(meeting)
    loudest = await guest.until(
        """() => {
          const levels = window.analysers.map((analyser) => {
            const samples = new Float32Array(analyser.fftSize);
            analyser.getFloatTimeDomainData(samples);
            return Math.max(...samples.map(Math.abs));
          });
          return levels.length === 3 && Math.max(...levels) > 0.1 && levels;
        }"""
    )
    assert sorted(level > 0.1 for level in loudest) == [False, False, True]
    await expect(guest.page.locator("audio")).to_have_count(0)
