// Runs beside the page: reads encoded frames, sends them to the runner in batches, and gives the
// page's decoder a tiny stand-in instead. The layout of a record is told in frames.py.
const RECORD = { audio: 1, video: 2, report: 3, text: 4, bytes: 5, tab: 6 };
const HEADER = 32;
const CAPACITY = 1 << 20;
// 500 ms: half as many messages as 250 ms, each of which the browser's control channel repeats.
const BATCH_MS = 500;
// An Opus packet of at most 3 bytes is silence (RFC 6716, section 3.1; RFC 7587, section 3.1.3).
const SILENCE_BYTES = 3;
// Silence is not sent on but for the time of every tenth packet (0.2 s), without its payload: packets
// come late and never early, and by those few the runner knows how late when somebody begins to speak.
const SILENCE_TOLD = 10;

let socket = null;
let throughPage = false;
let buffer = new Uint8Array(CAPACITY);
let view = new DataView(buffer.buffer);
let used = 0;
let waiting = [];
let waitingBytes = 0;

// What is done with frames: {taking: "all" | "audio" | "nothing"}; which video tracks are sent.
let taking = "all";
let selected = null; // null: every track
const transformers = new Map();

const open = (url) => {
  socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    for (const batch of waiting) socket.send(batch);
    waiting = [];
    waitingBytes = 0;
  };
  socket.onmessage = ({ data }) => obey(JSON.parse(data));
  socket.onerror = socket.onclose = () => {
    // Refused by the page's surroundings: go through the page. Lost later: the runner is gone.
    if (waiting !== null && !throughPage) {
      throughPage = true;
      for (const batch of waiting) postMessage({ batch: batch.buffer }, [batch.buffer]);
      waiting = null;
    }
  };
  setInterval(flush, BATCH_MS);
};

// Which video tracks run, sent or not: a track that is not sent has to be known to be chosen.
const running = new Set();

const flush = () => {
  if (running.size > 0) {
    report({ type: "running", ids: [...running] });
    running.clear();
  }
  send();
};

const send = () => {
  if (used === 0) return;
  const batch = buffer.slice(0, used);
  used = 0;
  if (throughPage) postMessage({ batch: batch.buffer }, [batch.buffer]);
  else if (socket && socket.readyState === WebSocket.OPEN) socket.send(batch);
  else if (waiting !== null && waitingBytes < 8 * CAPACITY) {
    waiting.push(batch);
    waitingBytes += batch.length;
  }
};

const record = (type, track, flags, sources, rtp, sequence, received, width, height, data) => {
  const length = data.byteLength;
  const needed = HEADER + 4 * sources.length + length;
  if (used + needed > buffer.length) send();
  if (needed > buffer.length) {
    buffer = new Uint8Array(needed);
    view = new DataView(buffer.buffer);
  }
  view.setUint8(used, type);
  view.setUint8(used + 1, flags);
  view.setUint8(used + 2, sources.length);
  view.setUint8(used + 3, 0);
  view.setUint32(used + 4, track, true);
  view.setUint32(used + 8, length, true);
  view.setUint32(used + 12, rtp, true);
  view.setUint32(used + 16, sequence, true);
  view.setFloat64(used + 20, received, true);
  view.setUint16(used + 28, width, true);
  view.setUint16(used + 30, height, true);
  used += HEADER;
  for (const source of sources) {
    view.setUint32(used, source, true);
    used += 4;
  }
  buffer.set(new Uint8Array(data), used);
  used += length;
};

const plain = (type, data) => record(type, 0, 0, [], 0, 0, performance.timeOrigin + performance.now(), 0, 0, data);
const report = (message) => plain(RECORD.report, new TextEncoder().encode(JSON.stringify(message)));

const obey = ({ take, select, keyframe, flush: now }) => {
  if (take !== undefined) {
    taking = take;
    if (take === "nothing" || take === "beside") postMessage({ restore: true });
  }
  if (select !== undefined) selected = select === null ? null : new Set(select);
  if (keyframe !== undefined) {
    const transformer = transformers.get(keyframe);
    if (transformer) transformer.sendKeyFrameRequest().catch(() => {});
  }
  if (now) {
    report({ type: "flushed" });
    flush();
  }
};

onmessage = ({ data }) => {
  if (data.open !== undefined) {
    taking = data.taking;
    open(data.open);
  } else if (data.report !== undefined) plain(RECORD.report, new TextEncoder().encode(data.report));
  else if (data.text !== undefined) plain(RECORD.text, new TextEncoder().encode(data.text));
  else if (data.bytes !== undefined) plain(RECORD.bytes, data.bytes);
  else if (data.tab !== undefined) plain(RECORD.tab, data.tab);
  else if (data.command !== undefined) obey(data.command);
  else if (data.flush) flush();
};

// --- stand-ins -------------------------------------------------------------------------------------
// A 16x16 key frame in place of each frame: the page's decoder is content and idle, and asks the
// sender for nothing. Only for codecs where that was measured; frames of others go on to be decoded.
const STAND_IN_CODECS = { "video/VP8": { codec: "vp8" } };
const standIns = new Map();

const standIn = (mimeType) => {
  if (!standIns.has(mimeType)) {
    const config = STAND_IN_CODECS[mimeType];
    standIns.set(mimeType, config ? encodeStandIn(config) : Promise.resolve(null));
  }
  return standIns.get(mimeType);
};

const encodeStandIn = async (config) => {
  let bytes = null;
  const encoder = new VideoEncoder({
    output: (chunk) => {
      bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
    },
    error: (error) => report({ type: "problem", what: `stand-in: ${error}` }),
  });
  encoder.configure({ ...config, width: 16, height: 16 });
  const black = new Uint8Array(16 * 16 * 1.5);
  black.fill(128, 16 * 16);
  const frame = new VideoFrame(black, { format: "I420", codedWidth: 16, codedHeight: 16, timestamp: 0 });
  encoder.encode(frame, { keyFrame: true });
  frame.close();
  await encoder.flush();
  encoder.close();
  return bytes.buffer;
};

// --- frames ----------------------------------------------------------------------------------------
const codecs = new Map();
const noteCodec = (id, kind, mimeType) => {
  if (codecs.get(id) === mimeType) return;
  codecs.set(id, mimeType);
  report({ type: "codec", id, kind, mimeType });
};

const NO_DATA = new ArrayBuffer(0);
const takeAudio = async (id, reader, writer) => {
  let silences = 0;
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    const silent = frame.data.byteLength <= SILENCE_BYTES;
    if (taking !== "nothing" && !(silent && silences++ % SILENCE_TOLD)) {
      const data = silent ? NO_DATA : frame.data;
      const meta = frame.getMetadata();
      noteCodec(id, "audio", meta.mimeType);
      const received = performance.timeOrigin + (meta.receiveTime ?? performance.now());
      record(RECORD.audio, id, 0, meta.contributingSources, meta.rtpTimestamp, meta.sequenceNumber ?? 0, received, 0, 0, data);
    }
    // Taken frames are not decoded here a second time.
    if (taking === "nothing" || taking === "beside") writer.write(frame);
  }
};

// Who sends repeats packets when it tries out how much the way carries, and a frame that was one
// packet then comes out again; the page's decoder knows, a file would not.
const REPEATED_WITHIN = 64;
const repetitions = () => {
  const seen = new Set();
  return ({ rtpTimestamp, spatialIndex = 0 }, { byteLength }) => {
    const frame = `${rtpTimestamp}/${spatialIndex}/${byteLength}`;
    if (seen.has(frame)) return true;
    seen.add(frame);
    if (seen.size > REPEATED_WITHIN) seen.delete(seen.values().next().value);
    return false;
  };
};

const takeVideo = async (id, reader, writer) => {
  const isRepetition = repetitions();
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    if (taking === "all") {
      const meta = frame.getMetadata();
      running.add(id);
      noteCodec(id, "video", meta.mimeType);
      if ((selected === null || selected.has(id)) && !isRepetition(meta, frame.data)) {
        const received = performance.timeOrigin + (meta.receiveTime ?? performance.now());
        const key = frame.type === "key" ? 1 : 0;
        record(RECORD.video, id, key, [], meta.rtpTimestamp, 0, received, meta.width ?? 0, meta.height ?? 0, frame.data);
      }
      const instead = await standIn(meta.mimeType);
      if (instead) frame.data = instead.slice(0);
    }
    writer.write(frame);
  }
};

onrtctransform = ({ transformer }) => {
  const { id, kind } = transformer.options;
  transformers.set(id, transformer);
  const reader = transformer.readable.getReader();
  const writer = transformer.writable.getWriter();
  const take = kind === "audio" ? takeAudio : takeVideo;
  take(id, reader, writer).catch((error) => report({ type: "problem", what: String(error) }));
};
