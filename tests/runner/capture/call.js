// A call between two connections of one page: a moving picture and a tone from one to the other.
window.call = async ({ videos = 1, audio = true, codec = "video/VP8", config = {}, onTrack } = {}) => {
  const far = new RTCPeerConnection();
  const near = new RTCPeerConnection(config);
  far.onicecandidate = ({ candidate }) => candidate && near.addIceCandidate(candidate);
  near.onicecandidate = ({ candidate }) => candidate && far.addIceCandidate(candidate);
  const streams = [];
  for (let i = 0; i < videos; i++) {
    const canvas = document.createElement("canvas");
    canvas.width = 320;
    canvas.height = 180;
    const context = canvas.getContext("2d");
    let n = 0;
    setInterval(() => {
      context.fillStyle = `hsl(${(n++ * 7) % 360} 80% 50%)`;
      context.fillRect(0, 0, 320, 180);
    }, 40);
    const stream = canvas.captureStream(25);
    far.addTrack(stream.getVideoTracks()[0], stream);
    streams.push(stream);
  }
  if (audio) {
    const sound = new AudioContext();
    const oscillator = sound.createOscillator();
    const target = sound.createMediaStreamDestination();
    oscillator.connect(target);
    oscillator.start();
    far.addTrack(target.stream.getAudioTracks()[0], target.stream);
    streams.push(target.stream);
  }
  for (const transceiver of far.getTransceivers()) {
    const { kind } = transceiver.sender.track;
    const wanted = RTCRtpSender.getCapabilities(kind).codecs.filter(
      (one) => kind === "audio" || one.mimeType === codec || one.mimeType === "video/rtx",
    );
    transceiver.setCodecPreferences(wanted);
  }
  window.received = [];
  near.addEventListener("track", (event) => {
    window.received.push(event);
    if (onTrack) onTrack(event);
    const element = document.createElement(event.track.kind === "video" ? "video" : "audio");
    element.muted = event.track.kind === "video";
    element.autoplay = true;
    element.srcObject = event.streams[0];
    document.body.append(element);
  });
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  window.near = near;
  window.far = far;
  return streams.map((stream) => stream.id);
};
window.inbound = async (kind) =>
  [...(await window.near.getStats()).values()].filter((one) => one.type === "inbound-rtp" && one.kind === kind);
