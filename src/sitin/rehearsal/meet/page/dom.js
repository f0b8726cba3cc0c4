// Building elements. The page writes no HTML strings: it has to live under the strict content
// security policy that it is served with.

/**
 * Make an element. Attributes by name; `on` holds listeners, the rest are children.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Show these elements and nothing else. */
export function show(...elements) {
  document.getElementById("root").replaceChildren(...elements);
}

/** A listener that does nothing for clicks that no person (and no driver of a browser) made. */
export function trusted(listener) {
  return (event) => {
    if (event.isTrusted) listener(event);
  };
}

/** A button whose words are in a span, as on Meet's page. */
export function textButton(text, listener, attributes = {}) {
  return h("button", { type: "button", on: { click: trusted(listener) }, ...attributes }, h("span", {}, text));
}

/** A button that is known by its label and shows a sign. */
export function iconButton(label, sign, listener, attributes = {}) {
  return h(
    "button",
    { type: "button", "aria-label": label, class: "icon", on: { click: trusted(listener) }, ...attributes },
    h("i", { "aria-hidden": "true" }, sign),
  );
}

/** A button that is known by one label when it is on and by another when it is off. */
export function toggleButton(labels, signs, on, changed, attributes = {}) {
  const button = iconButton("", "", () => set(!state), attributes);
  let state = on;
  const set = (value) => {
    state = value;
    button.setAttribute("aria-label", state ? labels.on : labels.off);
    button.firstChild.textContent = state ? signs.on : signs.off;
    button.classList.toggle("off", !state);
    changed(state);
  };
  set(on);
  return button;
}

/** A dialog in front of everything. */
export function dialog(label, ...children) {
  return h("div", { class: "shade" }, h("div", { role: "dialog", "aria-modal": "true", "aria-label": label }, ...children));
}
