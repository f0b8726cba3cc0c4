// What is seen before and after the call.

import { dialog, h, iconButton, show, textButton, toggleButton } from "./dom.js";

/** The page on which one gives a name and asks to join. */
export function showPreJoin({ options, captcha }, ask) {
  const name = nameField(options.name_field);
  const join = textButton(options.join_button, () => ask(name.value.trim()), { jsname: "Qx7uuf", class: "primary" });
  const check = () => join.toggleAttribute("disabled", !name.value.trim());
  name.addEventListener("input", check);
  check();
  show(
    h("header", {}, "Rehearsal"),
    h(
      "main",
      { class: "prejoin" },
      h(
        "div",
        { class: "preview" },
        h("div", { class: "mirror", "data-self-name": "You" }, "Your picture"),
        h(
          "div",
          { class: "switches" },
          // What is chosen here holds in the call.
          microphone(options.microphone_on, (on) => (options.microphone_on = on)),
          camera(options.camera_on, (on) => (options.camera_on = on)),
          iconButton("Backgrounds and effects", "effects", () => {}, { "data-participant-id": "visual_effects" }),
        ),
      ),
      h(
        "div",
        { class: "ask" },
        h("h1", {}, "What should we call you?"),
        name,
        join,
        textButton("Other ways to join", () => {}, { class: "plain" }),
      ),
    ),
    ...(options.audio_elements ? audioElements() : []),
    h("iframe", { src: "/recaptcha/enterprise/anchor?size=invisible", class: "unseen", title: "reCAPTCHA" }),
    ...(captcha ? [visibleCaptcha()] : []),
  );
  showDialogs([...options.dialogs]);
}

/** The microphone's switch, which every page of Meet has. */
export function microphone(on, changed = () => {}) {
  return toggleButton({ on: "Turn off microphone", off: "Turn on microphone" }, { on: "mic", off: "mic off" }, on, changed);
}

/** The camera's switch. */
export function camera(on, changed = () => {}) {
  return toggleButton({ on: "Turn off camera", off: "Turn on camera" }, { on: "cam", off: "cam off" }, on, changed);
}

/** The three elements by which Meet plays its three tracks. */
export function audioElements() {
  return [0, 1, 2].map(() => h("audio", { autoplay: true, class: "unseen" }));
}

/** A further "Join now" after being admitted. */
export function showSecondJoin(enter) {
  show(
    h("header", {}, "Rehearsal"),
    h("main", { class: "notice" }, h("h1", {}, "You may come in"), textButton("Join now", enter, { jsname: "Qx7uuf", class: "primary" })),
  );
}

/** Waiting before the door. Leave button and own tile are here already, as on Meet's page. */
export function showWaiting({ texts }, { name, leave }) {
  const [headline, ...rest] = texts;
  show(
    h("header", {}, "Rehearsal"),
    h(
      "main",
      { class: "notice" },
      h(
        "div",
        { class: "tile small", "data-participant-id": "self", "data-self-name": name },
        h("span", { class: "notranslate" }, name),
      ),
      h("h1", {}, headline),
      ...rest.map((text) => h("p", {}, text)),
      h(
        "div",
        { class: "switches" },
        microphone(false),
        camera(false),
        h("button", { type: "button", "aria-label": "Leave call", jsname: "CQylAd", class: "icon leave", on: { click: leave } }, "leave"),
      ),
      textButton("Return to home screen", leave, { class: "plain" }),
    ),
  );
}

/** Why there is no call, or none any more. */
export function showNotice({ screen, texts }) {
  const [headline, ...rest] = texts;
  const over = ["removed", "ended", "left"].includes(screen);
  const again = screen === "left" ? [textButton("Rejoin", () => location.reload(), { class: "primary" })] : [];
  show(
    h("header", {}, "Rehearsal"),
    h(
      "main",
      { class: "notice" },
      h("h1", { class: over ? "roSPhc" : null }, headline),
      ...rest.map((text) => h("p", {}, text)),
      ...again,
      textButton("Return to home screen", () => {}, { class: "plain" }),
    ),
  );
}

function nameField(kind) {
  const names = { label: { "aria-label": "Your name" }, placeholder: { placeholder: "Your name" }, plain: {} };
  return h("input", { type: "text", jsname: "YPqjbf", autocomplete: "off", maxlength: "60", ...names[kind] });
}

function showDialogs(kinds) {
  const kind = kinds.shift();
  if (!kind) return;
  const dialogs = {
    devices: ["Microphone and camera", "May people hear and see you?", "Continue without microphone and camera"],
    got_it: ["Your picture", "Others may see it cut.", "Got it"],
    escape: ["Others may see your video differently", "Your picture may be cut for others.", null],
  };
  const [label, text, button] = dialogs[kind];
  const close = () => {
    element.remove();
    showDialogs(kinds);
  };
  const element = dialog(label, h("p", {}, text), ...(button ? [textButton(button, close)] : []));
  document.getElementById("root").append(element);
  if (!button) {
    const pressed = ({ key, isTrusted }) => {
      if (key !== "Escape" || !isTrusted) return;
      document.removeEventListener("keydown", pressed);
      close();
    };
    document.addEventListener("keydown", pressed);
  }
}

function visibleCaptcha() {
  return h(
    "div",
    { class: "shade" },
    h("iframe", { src: "/recaptcha/enterprise/bframe", width: "304", height: "78", title: "recaptcha challenge" }),
  );
}
