// The connection: three recvonly audio lines, one recvonly video line per picture, two data channels.

/** Receives what is heard and seen. */
export class Media {
  /**
   * @param tell sends a message to the server
   * @param onPicture called with a MediaStream whenever a picture begins
   * @param onSound called with each of the three audio tracks' streams, and its number
   */
  constructor({ tell, onPicture, onSound }) {
    this.tell = tell;
    this.busy = false;
    this.again = false;
    this.begun = false;
    this.sounds = 0;
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    for (let i = 0; i < 3; i++) this.pc.addTransceiver("audio", { direction: "recvonly" });
    this.captions = this.pc.createDataChannel("captions", { ordered: true });
    this.channels = [];
    this.pc.addEventListener("datachannel", (event) => this.channels.push(event.channel));
    this.pc.addEventListener("track", (event) => {
      if (event.track.kind === "audio") onSound(new MediaStream([event.track]), this.sounds++);
      else onPicture(event.streams[0]);
    });
    // Fires for new lines, and also when somebody changes a line's direction: a page that is to
    // receive less has to say so. The first offer waits until it is known how many pictures there are.
    this.pc.addEventListener("negotiationneeded", () => {
      if (this.begun) this.offer();
    });
  }

  /** Have this many video lines and offer anew. */
  want(videos) {
    const have = this.pc.getTransceivers().filter((line) => line.receiver.track.kind === "video").length;
    for (let i = have; i < videos; i++) this.pc.addTransceiver("video", { direction: "recvonly" });
    // New lines make the browser say that an offer is needed, but not for the very first one.
    if (!this.begun || have >= videos) this.offer();
    this.begun = true;
  }

  async offer() {
    if (this.busy || this.pc.signalingState !== "stable") {
      this.again = true;
      return;
    }
    this.busy = true;
    this.again = false;
    await this.pc.setLocalDescription();
    this.tell({ type: "offer", sdp: this.pc.localDescription.sdp });
  }

  async answered(sdp) {
    await this.pc.setRemoteDescription({ type: "answer", sdp });
    this.busy = false;
    if (this.again) await this.offer();
  }

  close() {
    this.pc.close();
  }
}

/** Ask who is there, as Meet's page does when it enters a call. */
export async function syncSpace(visitor) {
  const path = "/$rpc/google.rtc.meetings.v1.MeetingSpaceService/SyncMeetingSpaceCollections";
  const reply = await fetch(location.origin + path, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf", "x-visitor": visitor },
    body: "",
  });
  await reply.text();
}
