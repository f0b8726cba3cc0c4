"""A person with a browser who visits a rehearsal, for end-to-end tests.

The browser is Debian's Chromium without any of sitin's own bot code: what it sees is what the page
and the protocols give.
"""

import base64
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from playwright.async_api import BrowserContext, Page

from sitin.platforms.meet import wire_pb2 as wire
from sitin.rehearsal import Meeting
from sitin.rehearsal.marks import FrameMark, read_bits
from tests.waiting import until

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
)

# Notes what arrives before the page's own script can: channels, tracks, frames' marks, sources.
SPY = """
(() => {
  const spy = (window.spy = { pcs: [], messages: [], frames: {}, sources: [], synced: null });
  const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
  const note = (channel) => {
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      spy.messages.push([channel.label, base64(data)]);
    });
  };
  async function readFrames(track, frames) {
    const processor = new MediaStreamTrackProcessor({ track, maxBufferSize: 100 });
    const reader = processor.readable.getReader();
    for (;;) {
      const { value: frame, done } = await reader.read();
      if (done) return;
      const { codedWidth: width, codedHeight: height } = frame;
      const rect = { x: 0, y: 0, width, height: Math.floor(height / 36) * 2 };
      const data = new Uint8Array(frame.allocationSize({ rect }));
      const [luma] = await frame.copyTo(data, { rect });
      const row = luma.offset + luma.stride * Math.floor(rect.height / 2);
      let bits = "";
      for (let i = 0; i < 32; i++) {
        bits += data[row + Math.floor(((i + 0.5) * width) / 32)] > 128 ? "1" : "0";
      }
      frames.push([bits, height, Date.now()]);
      frame.close();
    }
  }
  const createDataChannel = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...args) {
    const channel = createDataChannel.apply(this, args);
    note(channel);
    return channel;
  };
  window.RTCPeerConnection = new Proxy(RTCPeerConnection, {
    construct(target, args) {
      const pc = new target(...args);
      spy.pcs.push(pc);
      pc.addEventListener("datachannel", ({ channel }) => note(channel));
      pc.addEventListener("track", ({ track, streams }) => {
        if (track.kind === "video") readFrames(track, (spy.frames[streams[0].id] = []));
      });
      return pc;
    },
  });
  const realFetch = window.fetch;
  window.fetch = async (...args) => {
    const response = await realFetch(...args);
    if (response.url.endsWith("/SyncMeetingSpaceCollections")) {
      spy.synced = await response.clone().text();
    }
    return response;
  };
  setInterval(() => {
    const pc = spy.pcs.at(-1);
    if (!pc || pc.connectionState !== "connected") return;
    const receivers = pc.getReceivers().filter(({ track }) => track.kind === "audio");
    const levels = (receiver) =>
      receiver.getContributingSources().map(({ source, audioLevel }) => [source, audioLevel]);
    spy.sources.push([Date.now(), receivers.map(levels)]);
  }, 50);
})();
"""


class Guest:
    """One page at a meeting's address."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def arrive(cls, context: BrowserContext, meeting: Meeting) -> "Guest":
        """Open the meeting's address."""
        page = await context.new_page()
        page.set_default_timeout(20_000)
        await page.add_init_script(SPY)
        await page.goto(f"{meeting.url}?hl=en")
        return cls(page)

    async def ask(self, name: str = "Guest", *, button: str = "Ask to join") -> None:
        """Give a name and ask to join."""
        await self.page.locator('input[type="text"]').fill(name)
        await self.page.get_by_role("button", name=button, exact=True).click()

    async def enter(self, meeting: Meeting, name: str = "Guest") -> None:
        """Ask, and be in the call with media connected."""
        await self.ask(name)
        await meeting.joined()
        await self.sees('button[aria-label="Leave call"]')

    async def leave(self) -> None:
        """Leave by the button."""
        await self.page.locator('button[jsname="CQylAd"][aria-label="Leave call"]').click()

    async def sees(self, selector: str) -> None:
        """Wait until an element is on the page."""
        await self.page.locator(selector).first.wait_for(state="attached")

    async def reads(self, text: str) -> None:
        """Wait until a text is to be read."""
        await self.page.get_by_text(text).first.wait_for()

    async def until(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true, and give its value."""
        handle = await self.page.wait_for_function(expression)
        return await handle.json_value()

    async def frames(self, stream_id: str) -> list[tuple[FrameMark, int, float]]:
        """Marks, height and time of arrival (seconds since 1970) of every frame of a stream."""
        raw = await self.page.evaluate("id => spy.frames[id] ?? []", stream_id)
        found = []
        for bits, height, at in raw:
            mark = read_bits([bit == "1" for bit in bits])
            assert mark is not None, "a frame whose marks cannot be read"
            found.append((mark, height, at / 1000))
        return found

    async def roster(self, when: "Callable[[Roster], bool]" = lambda _: True) -> "Roster":
        """Return the roster as the data channel describes it, once the condition holds.

        Media and the data channel do not arrive in order: a frame of a camera says nothing about
        the message that announces it.
        """
        roster = Roster()

        async def there() -> bool:
            nonlocal roster
            messages = await self.page.evaluate("spy.messages")
            roster = Roster.of(
                zlib.decompress(base64.b64decode(data))
                for label, data in messages
                if label == "collections"
            )
            return when(roster)

        await until(there)
        return roster

    async def roster_of(self, *names: str) -> "Roster":
        """Return the roster once exactly these are in the meeting."""
        return await self.roster(lambda roster: roster.present == set(names))

    async def captions(self) -> list[wire.Caption]:
        """Every version of every caption that has arrived."""
        messages = await self.page.evaluate("spy.messages")
        return [
            wire.CaptionEvent.FromString(base64.b64decode(data)).caption
            for label, data in messages
            if label == "captions"
        ]

    async def sources(self) -> Sequence[tuple[float, list[list[tuple[int, float]]]]]:
        """Samples of the contributing sources: seconds since 1970; source and level by track."""
        samples = await self.page.evaluate("spy.sources")
        return [(at / 1000, tracks) for at, tracks in samples]

    async def stats(self, kind: str) -> list[dict[str, Any]]:
        """The connection's ``inbound-rtp`` statistics of a kind of media."""
        found: list[dict[str, Any]] = await self.page.evaluate(
            """async kind => [...(await spy.pcs.at(-1).getStats()).values()]
                .filter(item => item.type === "inbound-rtp" && item.kind === kind)""",
            kind,
        )
        return found


class Roster:
    """Users and outputs put together from a row of changes."""

    def __init__(self) -> None:
        self.users: dict[str, wire.User] = {}
        self.outputs: dict[tuple[str, int], wire.DeviceOutput] = {}
        self.chat: list[wire.ChatMessage] = []

    @classmethod
    def of(cls, events: Any) -> "Roster":
        roster = cls()
        for event in events:
            update = wire.CollectionEvent.FromString(event).body.update
            for user in update.space.user_list.users:
                roster.users[user.device_id] = user
            for output in update.devices.outputs:
                roster.outputs[output.device_id, output.type] = output
            roster.chat += [entry.message for entry in update.space.chat]
        return roster

    @property
    def present(self) -> set[str]:
        """Names of those in the meeting, shared screens left out."""
        return {
            user.full_name
            for user in self.users.values()
            if user.status == wire.USER_STATUS_IN_MEETING and not user.parent_device_id
        }

    @property
    def screens(self) -> list[wire.User]:
        """The shared screens."""
        return [user for user in self.users.values() if user.parent_device_id]

    def device(self, name: str) -> str:
        """The device of somebody who is in the meeting."""
        (found,) = [
            user.device_id
            for user in self.users.values()
            if user.full_name == name
            and user.status == wire.USER_STATUS_IN_MEETING
            and not user.parent_device_id
        ]
        return found

    def source(self, name: str) -> int:
        """The contributing source of somebody's voice."""
        return int(self.outputs[self.device(name), wire.OUTPUT_TYPE_AUDIO].stream_id)

    def stream(self, device_id: str) -> str:
        """The MediaStream that shows a device's picture."""
        output = self.outputs[device_id, wire.OUTPUT_TYPE_VIDEO]
        assert not output.state.disabled
        return output.stream_id
