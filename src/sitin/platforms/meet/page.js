// Beside Meet's own scripts: tells the runner what the page shows and what its channels say.
// The tables come from facts.py. A message is JSON text; binary messages begin with a byte that
// tells where they come from: 1 the data channel, 2 the request at the start.
(() => {
  const facts = MEET_FACTS;
  const emit = (message) => globalThis.__sitin && globalThis.__sitin.emit(message);
  const emitBytes = (origin, bytes) => {
    const message = new Uint8Array(bytes.byteLength + 1);
    message[0] = origin;
    message.set(new Uint8Array(bytes), 1);
    emit(message.buffer);
  };
  if (window !== window.top) return;

  // --- what the channels say ---------------------------------------------------------------------
  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = new Proxy(Native, {
    construct(target, args) {
      const connection = new target(...args);
      connection.addEventListener("datachannel", ({ channel }) => {
        if (channel.label !== facts.channel) return;
        channel.addEventListener("message", ({ data }) => {
          if (data instanceof ArrayBuffer) emitBytes(1, data);
          else if (data instanceof Blob) data.arrayBuffer().then((bytes) => emitBytes(1, bytes));
        });
      });
      return connection;
    },
  });
  const fetch = globalThis.fetch;
  globalThis.fetch = function (resource, ...rest) {
    const answer = fetch.call(this, resource, ...rest);
    const url = typeof resource === "string" ? resource : resource && resource.url;
    if (url && String(url).includes(facts.sync))
      answer
        .then((response) => response.clone().text())
        .then((text) => emitBytes(2, new TextEncoder().encode(text)))
        .catch(() => {});
    return answer;
  };

  // --- what the page shows -----------------------------------------------------------------------
  const plain = (text) => text.replaceAll("\u2019", "'").replaceAll("\u00a0", " ");
  const visible = (element, [width, height]) => {
    const box = element.getBoundingClientRect();
    return box.width >= width && box.height >= height && getComputedStyle(element).visibility !== "hidden";
  };
  const any = (selectors) => selectors.some((selector) => document.querySelector(selector));

  let admitted = false;
  let controlsSeen = 0;
  const inCall = () =>
    any(facts.admittedBy) ||
    facts.controls.filter((selector) => document.querySelector(selector)).length >= facts.controlsNeeded;

  const before = () => {
    if ([...document.querySelectorAll(facts.captchaFrame)].some((one) => visible(one, facts.captchaSize)))
      return ["captcha", "a visible CAPTCHA"];
    const text = plain(document.body.innerText);
    const rule = facts.before.find((one) => text.includes(one.text));
    if (rule) return [rule.state, rule.text];
    const heading = [...document.querySelectorAll("h1")].map((one) => plain(one.innerText));
    if (heading.some((one) => facts.loginHeadings.every((part) => one.includes(part))))
      return ["login_required", "a heading that asks to sign in"];
    if (inCall()) return ["admitted", ""];
    return null;
  };

  const during = () => {
    for (const element of document.querySelectorAll(facts.endScreen)) {
      const text = plain(element.innerText);
      const rule = facts.endTexts.find((one) => text.includes(one.text));
      if (rule) return [rule.state, rule.text];
    }
    if (inCall()) controlsSeen = performance.now();
    else if (performance.now() - controlsSeen > facts.goneAfter * 1000)
      return ["ended", "the controls of the call are gone"];
    return ["admitted", ""];
  };

  // Who is there as far as the tiles show it: for the day on which the channels are not understood.
  let tilesSaid = "";
  const tellTiles = () => {
    const people = new Map();
    for (const tile of document.querySelectorAll(facts.tile)) {
      const id = tile.dataset.participantId;
      const name = tile.querySelector(facts.tileName);
      if (facts.noTiles.includes(id) || !name || people.size >= 500) continue;
      const self = tile.matches(facts.tileSelf) || tile.querySelector(facts.tileSelf) !== null;
      people.set(id, { id, name: plain(name.innerText).trim().slice(0, 200), self });
    }
    const now = JSON.stringify({ tiles: [...people.values()] });
    if (now === tilesSaid) return;
    tilesSaid = now;
    emit(now);
  };

  let said = "";
  let asking = false;
  let admittedAt = 0;
  const look = () => {
    if (!document.body) return;
    const found = admitted ? during() : before();
    if (!found) return;
    const [state, text] = found;
    if (state === "admitted" && !admitted) {
      admitted = true;
      controlsSeen = admittedAt = performance.now();
    }
    if (state === "admitted" && performance.now() - admittedAt > facts.tilesAfter * 1000) tellTiles();
    const asked = admitted && document.querySelector(facts.consentButton) !== null;
    if (asked && !asking) emit(JSON.stringify({ state: "consent" }));
    asking = asked;
    const now = `${state}:${text}`;
    if (now === said) return;
    said = now;
    emit(JSON.stringify({ state, text, url: location.href }));
  };

  // When anything changes, at most five times a second; and now and then anyway.
  let due = false;
  let looked = -Infinity;
  const soon = () => {
    if (due) return;
    due = true;
    setTimeout(
      () => {
        due = false;
        looked = performance.now();
        look();
      },
      Math.max(0, looked + 200 - performance.now()),
    );
  };
  const watch = () => {
    new MutationObserver(soon).observe(document, {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true,
      attributeFilter: ["aria-label", "class", "hidden", "style"],
    });
    setInterval(look, 2000);
    look();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", watch);
  else watch();
})();
