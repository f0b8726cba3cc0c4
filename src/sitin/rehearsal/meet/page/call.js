// The call: pictures in a grid, a toolbar, panels for people and chat, captions.

import { camera, microphone } from "./entrance.js";
import { dialog, h, iconButton, show, textButton, toggleButton } from "./dom.js";
import { Media, syncSpace } from "./media.js";
import { fadeWhenIdle, openMenu } from "./menus.js";

const SPEAKING = ["Oaajhc", "HX2H7", "wEsLMd", "OgVli"];
const SILENT = "gjg47c";

/** Everything that is on the screen during a call. */
export class Call {
  constructor({ tell, visitor, options, consent }) {
    this.tell = tell;
    this.tiles = [];
    this.elements = new Map();
    this.streams = new Map();
    this.speaking = new Set();
    this.panel = null;
    this.feeders = [];
    this.audio = options.audio_elements ? [0, 1, 2].map(() => h("audio", { autoplay: true })) : [];
    this.grid = h("main", { class: "grid" });
    this.side = h("aside", {});
    this.captionLines = h("div", { role: "region", "aria-label": "Captions", class: "captions" });
    this.messages = [];
    this.layout = options.layout;
    this.chatButton = iconButton("Chat with everyone", "chat", () => this.toggle("chat"));
    this.greeting = h("div", { "aria-live": "polite", class: "unseen" }, "You have joined the call");
    this.bar = this.toolbar(options);
    show(this.grid, this.side, this.captionLines, this.bar, this.greeting, ...this.audio);
    fadeWhenIdle(this.bar);
    if (consent) this.askConsent(consent);
    this.media = new Media({
      tell,
      onPicture: (stream) => this.pictureCame(stream),
      onSound: (stream, number) => this.soundCame(stream, number),
    });
    syncSpace(visitor);
  }

  toolbar(options) {
    return h(
      "div",
      { role: "region", "aria-label": "Call controls", class: "toolbar" },
      microphone(options.microphone_on),
      camera(options.camera_on),
      toggleButton(
        { on: "Turn off captions", off: "Turn on captions" },
        { on: "CC", off: "cc" },
        false,
        (on) => this.setCaptions(on),
        { jsname: "r8qRAd" },
      ),
      iconButton("Send a reaction", "smile", () => {}),
      iconButton("Share screen", "share", () => {}),
      iconButton("More options", "more", () => this.openMenu(), { jsname: "NakZHc" }),
      iconButton("Leave call", "leave", () => this.tell({ type: "leave" }), { jsname: "CQylAd", class: "icon leave" }),
      iconButton("Meeting details", "info", () => {}),
      iconButton("People", "people", () => this.toggle("people")),
      this.chatButton,
      iconButton("Meeting tools", "tools", () => {}),
    );
  }

  // -- what the server tells ----------------------------------------------------------------------

  setTiles(tiles) {
    this.tiles = tiles;
    const ids = new Set(tiles.map((tile) => tile.id));
    for (const [id, element] of this.elements) {
      if (!ids.has(id)) {
        element.remove();
        this.elements.delete(id);
      }
    }
    for (const tile of tiles) this.setTile(tile);
    this.arrange();
    this.renderPanel();
  }

  setSpeaking(devices) {
    this.speaking = new Set(devices);
    for (const [id, element] of this.elements) {
      const sign = element.querySelector(".voice");
      const speaks = this.speaking.has(id);
      element.classList.toggle("speaks", speaks);
      sign.className = speaks ? `voice ${SPEAKING.join(" ")}` : `voice ${SILENT}`;
      if (speaks) this.lastSpeaker = id;
    }
    this.arrange();
  }

  addCaption({ id, name, text }) {
    let line = this.captionLines.querySelector(`[data-caption="${id}"]`);
    if (!line) {
      line = h("p", { "data-caption": id }, h("b", {}, name), h("span", {}));
      this.captionLines.append(line);
      while (this.captionLines.childElementCount > 3) this.captionLines.firstChild.remove();
    }
    line.lastChild.textContent = text;
  }

  addMessage(message) {
    this.messages.push(message);
    if (this.panel !== "chat") this.chatButton.setAttribute("aria-label", "Chat with everyone - New message");
    this.renderPanel();
  }

  close() {
    this.media.close();
  }

  // -- pictures and sound -------------------------------------------------------------------------

  setTile(tile) {
    let element = this.elements.get(tile.id);
    if (!element) {
      element = h(
        "div",
        { class: "tile", "data-participant-id": tile.id, "data-self-name": tile.self ? tile.name : null },
        h("video", { autoplay: true, playsinline: true, muted: true }),
        h("div", { class: `voice ${SILENT}` }),
        h("div", { class: "name" }, h("span", { class: "notranslate" }, tile.name)),
      );
      element.querySelector("video").muted = true;
      this.elements.set(tile.id, element);
      this.grid.append(element);
    }
    this.attach(element, tile);
  }

  attach(element, tile) {
    const video = element.querySelector("video");
    const stream = tile.stream ? (this.streams.get(tile.stream) ?? null) : null;
    if (video.srcObject !== stream) video.srcObject = stream;
    element.classList.toggle("blank", stream === null);
  }

  pictureCame(stream) {
    this.streams.set(stream.id, stream);
    for (const tile of this.tiles) {
      if (tile.stream === stream.id) this.attach(this.elements.get(tile.id), tile);
    }
  }

  soundCame(stream, number) {
    if (this.audio[number]) {
      this.audio[number].srcObject = stream;
      return;
    }
    // The variant without elements on the page. Chromium feeds a remote track into Web Audio only
    // while some element, on the page or not, has it too.
    const feeder = new Audio();
    feeder.muted = true;
    feeder.autoplay = true;
    feeder.srcObject = stream;
    this.feeders.push(feeder);
    this.context ??= new AudioContext();
    this.context.createMediaStreamSource(stream).connect(this.context.destination);
  }

  /** A shared screen is large in every layout; who spoke last is in two of them. */
  arrange() {
    const screen = this.tiles.find((tile) => tile.presentation)?.id;
    const others = this.tiles.filter((tile) => !tile.self);
    const speaker = others.some((tile) => tile.id === this.lastSpeaker) ? this.lastSpeaker : others[0]?.id;
    const large = screen ?? (this.layout === "tiled" ? undefined : speaker);
    const columns = Math.ceil(Math.sqrt(this.tiles.length || 1));
    this.grid.classList.toggle("one-large", large !== undefined);
    this.grid.classList.toggle("alone", large !== undefined && this.layout === "spotlight");
    for (const [id, element] of this.elements) element.classList.toggle("large", id === large);
    this.grid.style.setProperty("--columns", columns);
    this.grid.style.setProperty("--rows", Math.ceil(this.tiles.length / columns));
    this.greeting.textContent = `You have joined the call. ${others.length} other ${others.length === 1 ? "person" : "people"} in the call`;
  }

  openMenu() {
    openMenu({
      layout: this.layout,
      choose: (layout) => {
        this.layout = layout;
        this.arrange();
      },
    });
  }

  // -- panels ---------------------------------------------------------------------------------------

  setCaptions(on) {
    this.captionLines.replaceChildren();
    if (this.media) this.tell({ type: "captions", on });
  }

  askConsent(text) {
    const element = dialog(
      "Recording",
      h("h2", {}, text),
      h("p", {}, "By staying you agree."),
      textButton("Join now", () => element.remove(), { "data-mdc-dialog-action": "ok" }),
    );
    document.getElementById("root").append(element);
  }

  toggle(panel) {
    this.panel = this.panel === panel ? null : panel;
    if (this.panel === "chat") this.chatButton.setAttribute("aria-label", "Chat with everyone");
    this.renderPanel();
  }

  renderPanel() {
    document.body.classList.toggle("panel-open", this.panel !== null);
    if (this.panel === "people") this.side.replaceChildren(this.people());
    else if (this.panel === "chat") this.renderChat();
    else this.side.replaceChildren();
  }

  people() {
    return h(
      "div",
      { role: "list", "aria-label": "Participants" },
      ...this.tiles.map((tile) =>
        h(
          "div",
          { role: "listitem", "aria-label": tile.name, "data-participant-id": tile.presentation ? null : tile.id },
          h("span", { class: "notranslate" }, tile.name),
          tile.presentation ? h("span", {}, "Presentation") : null,
        ),
      ),
    );
  }

  renderChat() {
    let list = this.side.querySelector("ol");
    if (!list) {
      const field = h("textarea", { "aria-label": "Send a message", maxlength: "500" });
      field.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey) return;
        event.preventDefault();
        this.write(field);
      });
      list = h("ol", { "aria-label": "Messages" });
      const send = h("button", { type: "button", on: { click: () => this.write(field) } }, h("i", {}, "send"));
      this.side.replaceChildren(list, field, send);
    }
    list.replaceChildren(...this.messages.map(({ name, text }) => h("li", {}, h("b", {}, name), h("span", {}, text))));
  }

  write(field) {
    const text = field.value.trim();
    if (text) this.tell({ type: "chat", text });
    field.value = "";
  }
}
