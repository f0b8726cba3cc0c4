// Put before the page's own scripts: takes what RTCPeerConnection receives as encoded frames.
// The runner puts its options in (see hook.py). Knows no platform.
(() => {
  const options = SITIN_OPTIONS;
  const Native = globalThis.RTCPeerConnection;
  if (!Native || globalThis.__sitin) return;

  // One worker per document, made when there is something to say.
  let worker = null;
  const toWorker = (message, transfer) => {
    if (!worker) {
      const source = new Blob([options.worker], { type: "text/javascript" });
      worker = new Worker(URL.createObjectURL(source), { name: "sitin" });
      worker.onmessage = ({ data }) => onWorkerMessage(data);
      worker.onerror = ({ message, lineno }) => console.error(`sitin worker: ${message} (line ${lineno})`);
      worker.postMessage({ open: options.url, taking: options.video ? "all" : "audio" });
    }
    worker.postMessage(message, transfer || []);
  };

  // Where no WebSocket to the runner opens, batches go through a function that the runner exposes.
  const onWorkerMessage = (data) => {
    if (data.batch) {
      const bytes = new Uint8Array(data.batch);
      let text = "";
      for (let i = 0; i < bytes.length; i += 0x8000)
        text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
      globalThis.__sitinBatch(btoa(text));
    }
    if (data.restore) restorePage();
  };

  // For the platform's page script and for the runner.
  const sitin = {
    emit: (message) => {
      if (typeof message === "string") toWorker({ text: message });
      else {
        const bytes = message.slice(0);
        toWorker({ bytes }, [bytes]);
      }
    },
    command: (message) => toWorker({ command: message }),
    recordTab: (settings) => recordTab(settings),
    stopTab: () => stopTab(),
  };
  Object.defineProperty(globalThis, "__sitin", { value: Object.freeze(sitin) });

  // --- receivers ---------------------------------------------------------------------------------
  // A transform has to be there before the first packet. A receiver that the page makes itself is seen
  // in addTransceiver; one that the other side's offer makes is seen in the track event.
  const tracks = new WeakMap();
  let lastTrack = 0;

  const tap = (receiver, transceiver) => {
    if (tracks.has(receiver)) return;
    const { kind } = receiver.track;
    if (kind === "video" && !options.video) {
      transceiver.direction = "inactive";
      return;
    }
    const id = ++lastTrack;
    tracks.set(receiver, id);
    toWorker({ track: id });
    try {
      receiver.transform = new RTCRtpScriptTransform(worker, { id, kind });
    } catch (error) {
      report({ type: "untappable", kind, why: String(error) });
    }
  };

  const report = (message) => toWorker({ report: JSON.stringify(message) });

  const announce = ({ receiver, track, streams }) => {
    const id = tracks.get(receiver);
    if (id === undefined) return;
    const say = (state) =>
      report({ type: "track", id, kind: track.kind, stream: streams[0] ? streams[0].id : "", state });
    say("live");
    track.addEventListener("ended", () => say("ended"));
  };

  const addTransceiver = Native.prototype.addTransceiver;
  Native.prototype.addTransceiver = function (...args) {
    const transceiver = addTransceiver.apply(this, args);
    tap(transceiver.receiver, transceiver);
    return transceiver;
  };
  const addTrack = Native.prototype.addTrack;
  Native.prototype.addTrack = function (...args) {
    const sender = addTrack.apply(this, args);
    const transceiver = this.getTransceivers().find((one) => one.sender === sender);
    if (transceiver) tap(transceiver.receiver, transceiver);
    return sender;
  };
  globalThis.RTCPeerConnection = new Proxy(Native, {
    construct(target, args) {
      const connection = new target(...args);
      connection.addEventListener("track", (event) => {
        tap(event.receiver, event.transceiver);
        announce(event);
      });
      return connection;
    },
  });

  // A page that transforms the frames itself (end-to-end encryption) keeps them: what we would get is
  // not what was said. The runner then records the tab.
  // A browser without the interface has neither; making ours has been reported as failed then.
  const { get: getTransform, set: setTransform } =
    Object.getOwnPropertyDescriptor(RTCRtpReceiver.prototype, "transform") ?? {};
  if (setTransform) Object.defineProperty(RTCRtpReceiver.prototype, "transform", {
    configurable: true,
    enumerable: true,
    get: getTransform,
    set(transform) {
      const ours = worker && tracks.has(this) && getTransform.call(this) === null;
      if (!ours) report({ type: "untappable", kind: this.track.kind, why: "the page transforms frames" });
      setTransform.call(this, transform);
    },
  });
  const { createEncodedStreams } = RTCRtpReceiver.prototype;
  if (createEncodedStreams)
    RTCRtpReceiver.prototype.createEncodedStreams = function (...args) {
      report({ type: "untappable", kind: this.track.kind, why: "the page transforms frames" });
      if (setTransform) setTransform.call(this, null);
      return createEncodedStreams.apply(this, args);
    };

  // --- sound -------------------------------------------------------------------------------------
  // Nobody listens to the bot's page. An element that would only play sound gets no stream while the
  // tracks are taken: mixing and playing it would cost a fifth of an audio-only bot.
  const source = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  const play = HTMLMediaElement.prototype.play;
  const withheld = new Map();
  const soundOnly = (stream) =>
    stream instanceof MediaStream && stream.getAudioTracks().length > 0 && stream.getVideoTracks().length === 0;
  if (!options.sound) {
    Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
      configurable: true,
      enumerable: true,
      get() {
        return withheld.has(this) ? withheld.get(this) : source.get.call(this);
      },
      set(stream) {
        withheld.delete(this);
        if (soundOnly(stream)) withheld.set(this, stream);
        else source.set.call(this, stream);
      },
    });
    HTMLMediaElement.prototype.play = function () {
      return withheld.has(this) ? Promise.resolve() : play.call(this);
    };
  }
  const restorePage = () => {
    for (const [element, stream] of withheld) {
      source.set.call(element, stream);
      play.call(element).catch(() => {});
    }
    withheld.clear();
    Object.defineProperty(HTMLMediaElement.prototype, "srcObject", source);
    HTMLMediaElement.prototype.play = play;
  };

  // --- the tab -----------------------------------------------------------------------------------
  let recorder = null;
  const recordTab = async ({ width, height, frameRate, bitsPerSecond, mimeType, sliceMs, keyframeMs }) => {
    const stream = await navigator.mediaDevices.getDisplayMedia({
      preferCurrentTab: true,
      selfBrowserSurface: "include",
      video: { width, height, frameRate },
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    recorder = new MediaRecorder(stream, {
      mimeType,
      videoBitsPerSecond: bitsPerSecond,
      videoKeyFrameIntervalDuration: keyframeMs,
    });
    recorder.ondataavailable = async ({ data }) => {
      if (data.size === 0) return;
      const chunk = await data.arrayBuffer();
      toWorker({ tab: chunk }, [chunk]);
    };
    const started = new Promise((resolve) => (recorder.onstart = resolve));
    recorder.start(sliceMs);
    await started;
    return { at: performance.timeOrigin + performance.now(), audio: stream.getAudioTracks().length };
  };
  const stopTab = async () => {
    if (!recorder || recorder.state === "inactive") return;
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.stop();
    await stopped;
    for (const track of recorder.stream.getTracks()) track.stop();
    await new Promise((resolve) => setTimeout(resolve, 0));
    toWorker({ flush: true });
  };
})();
