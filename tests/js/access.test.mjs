// What a screen reader is told of ipywidgets' parts.
import assert from "node:assert/strict";
import { test } from "node:test";

import { hasLabel, keepAccessible, nameOf, pressed } from "../../mswin_viz/view/widgets/js/access.mjs";

const part = ({ label, title = "", around = "", classes = [], attributes = {}, labels = [] }) => ({
  title,
  labels,
  closest: () => ({ title: around, querySelector: () => (label === undefined ? null : { textContent: label }) }),
  classList: { contains: (name) => classes.includes(name) },
  hasAttribute: (name) => name in attributes,
  getAttribute: (name) => attributes[name] ?? null,
  setAttribute: (name, value) => { attributes[name] = value; },
  attributes,
});

test("a part is named by the label beside it, else by a tooltip, its own first", () => {
  assert.equal(nameOf(part({ label: " opacity ", title: "tip" })), "opacity");
  assert.equal(nameOf(part({ label: "", title: "tip", around: "other" })), "tip");
  assert.equal(nameOf(part({ around: "around" })), "around");
  assert.equal(nameOf({ title: "", closest: () => null }), "");
});

test("an empty label names nothing", () => {
  assert.equal(hasLabel(part({ labels: [{ textContent: " " }] })), false);
  assert.equal(hasLabel(part({ labels: [{ textContent: "" }, { textContent: "colours" }] })), true);
  assert.equal(hasLabel({}), false);
});

test("a toggle button says whether it is pressed, and says it once", () => {
  const button = part({ classes: ["mod-active"] });
  assert.deepEqual(pressed(button), { now: "true", isSaid: false });
  button.setAttribute("aria-pressed", "true");
  assert.deepEqual(pressed(button), { now: "true", isSaid: true });
  assert.deepEqual(pressed(part({ attributes: { "aria-pressed": "true" } })), { now: "false", isSaid: false });
});

test("what comes late is named, what has a name keeps it, and nothing is watched in the end", () => {
  const [buttons, parts] = [[part({ classes: ["mod-active"] })], [part({ label: "scale" })]];
  const watchers = [];
  globalThis.MutationObserver = class {
    constructor(react) { watchers.push(this); this.react = react; }
    observe() { this.isOn = true; }
    disconnect() { this.isOn = false; }
  };
  const stop = new AbortController();
  keepAccessible({ querySelectorAll: (css) => (css.includes("button") ? buttons : parts) }, stop.signal);
  assert.equal(buttons[0].attributes["aria-pressed"], "true");
  assert.equal(parts[0].attributes["aria-label"], "scale");
  parts.push(part({ label: "late" }), part({ label: "x", attributes: { "aria-label": "own" } }), part({ label: "x", labels: [{ textContent: "its own" }] }), part({}));
  watchers[0].react();
  assert.deepEqual(parts.slice(1).map(({ attributes }) => attributes["aria-label"]), ["late", "own", undefined, undefined]);
  stop.abort();
  assert.equal(watchers[0].isOn, false);
});
