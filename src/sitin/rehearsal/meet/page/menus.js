// The menu behind "More options": how the pictures are laid out, and the settings.

import { dialog, h, iconButton, textButton } from "./dom.js";

const LAYOUTS = { Tiled: "tiled", Spotlight: "spotlight", Sidebar: "sidebar" };

const LANGUAGES = { "en-US": "English", "de-DE": "German", "fr-FR": "French", "es-ES": "Spanish" };

const IDLE_AFTER = 3000;

/** Open the menu; `choose` is called with the layout that somebody takes. */
export function openMenu({ layout, choose }) {
  const menu = h("ul", { role: "menu", class: "menu" });
  const entry = (text, open) =>
    h("li", { role: "menuitem", tabindex: "0", on: { click: () => (menu.remove(), open()) } }, h("span", {}, text));
  menu.append(
    entry("Adjust view", () => openLayouts(layout, choose)),
    entry("Settings", () => openSettings()),
  );
  document.getElementById("root").append(menu);
}

/** A toolbar that is not needed is not seen; it is there all the same. */
export function fadeWhenIdle(bar) {
  let timer;
  const wake = () => {
    bar.classList.remove("idle");
    clearTimeout(timer);
    timer = setTimeout(() => bar.classList.add("idle"), IDLE_AFTER);
  };
  document.addEventListener("mousemove", wake);
  wake();
}

function open(label, closeLabel, ...children) {
  const element = dialog(label, ...children, iconButton(closeLabel, "close", () => element.remove()));
  document.getElementById("root").append(element);
}

function openLayouts(layout, choose) {
  const choices = Object.entries(LAYOUTS).map(([name, value]) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name: "layout", checked: value === layout, on: { change: () => choose(value) } }),
      h("span", {}, name),
    ),
  );
  open("Adjust view", "Close", h("h2", {}, "Adjust view"), ...choices);
}

function openSettings() {
  const place = h("div", {});
  const captions = h(
    "ul",
    { "aria-label": "Meeting language", role: "listbox" },
    ...Object.entries(LANGUAGES).map(([code, name]) =>
      h("li", { "data-value": code, role: "option", tabindex: "0", on: { click: (event) => choose(event.currentTarget) } }, name),
    ),
  );
  const choose = (item) => {
    for (const other of captions.children) other.setAttribute("aria-selected", String(other === item));
  };
  open(
    "Settings",
    "Close dialog",
    textButton("Captions", () => place.replaceChildren(captions), { jsname: "z4Tpl", "aria-label": "Captions" }),
    place,
  );
}
