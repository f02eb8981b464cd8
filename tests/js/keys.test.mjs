// Which keys are a view's own, and when a kernel is gone.
import assert from "node:assert/strict";
import { test } from "node:test";

import { watchKernel } from "../../mswin_viz/view/widgets/js/kernel.mjs";
import { isOwnKey } from "../../mswin_viz/view/widgets/js/keys.mjs";

test("plain keys are the view's own; with Ctrl, Alt or Meta they are Jupyter's", () => {
  for (const key of ["d", "D", "ArrowLeft", "Enter", "Escape"]) assert.ok(isOwnKey({ key }));
  assert.ok(isOwnKey({ key: "D", shiftKey: true }));
  for (const name of ["ctrlKey", "altKey", "metaKey"]) assert.ok(!isOwnKey({ key: "s", [name]: true }));
  assert.ok(!isOwnKey({})); // what a browser fills in by itself
});

class Signal {
  slots = new Set();
  connect = (slot) => this.slots.add(slot);
  disconnect = (slot) => this.slots.delete(slot);
  emit = (value) => [...this.slots].forEach((slot) => slot(null, value));
}

function watched() {
  const kernel = { statusChanged: new Signal(), disposed: new Signal() };
  const events = new Map();
  const model = { widget_manager: { kernel }, on: (name, react) => events.set(name, react), off: (name) => events.delete(name) };
  const stop = new AbortController();
  const seen = { count: 0 };
  watchKernel(model, stop.signal, () => (seen.count += 1));
  return { kernel, events, stop, seen };
}

test("a kernel that dies, restarts or is shut down is gone, once", () => {
  for (const status of ["dead", "restarting", "autorestarting", "terminating"]) {
    const { kernel, events, seen } = watched();
    kernel.statusChanged.emit(status);
    kernel.statusChanged.emit("starting");
    events.get("comm_live_update")();
    kernel.disposed.emit();
    assert.equal(seen.count, 1, status);
  }
});

test("work, rest and a lost connection are no end", () => {
  const { kernel, seen } = watched();
  for (const status of ["busy", "idle", "unknown", "starting"]) kernel.statusChanged.emit(status);
  assert.equal(seen.count, 0);
});

test("nothing is watched once the widget has left the page", () => {
  const { kernel, events, stop, seen } = watched();
  stop.abort();
  kernel.statusChanged.emit("dead");
  assert.equal(seen.count, 0);
  assert.equal(events.size + kernel.statusChanged.slots.size + kernel.disposed.slots.size, 0);
});

test("a front end without a kernel in sight is watched by its messages alone", () => {
  const events = new Map();
  let count = 0;
  watchKernel({ on: (name, react) => events.set(name, react) }, new AbortController().signal, () => (count += 1));
  events.get("comm_live_update")();
  assert.equal(count, 1);
});
