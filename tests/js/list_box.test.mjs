// List boxes: what mswin_viz/view/widgets/js/list_box.mjs does on keys and clicks. Run: node --test tests/js/
import assert from "node:assert/strict";
import { test } from "node:test";

import { optionNode, showListBoxes, stepAmong, toggled } from "../../mswin_viz/view/widgets/js/list_box.mjs";

test("arrow keys walk a row, change rows, and stop at every end", () => {
  assert.deepEqual(stepAmong("ArrowRight", 0, 2, [8, 8]), [0, 3]);
  assert.deepEqual(stepAmong("ArrowRight", 0, 7, [8, 8]), [0, 7]);
  assert.deepEqual(stepAmong("ArrowLeft", 1, 0, [8, 8]), [1, 0]);
  assert.deepEqual(stepAmong("ArrowDown", 0, 5, [8, 8]), [1, 5]);
  assert.deepEqual(stepAmong("ArrowDown", 1, 5, [8, 8]), [1, 5]);
  assert.deepEqual(stepAmong("ArrowUp", 1, 5, [8, 8]), [0, 5]);
  assert.deepEqual(stepAmong("End", 0, 1, [8, 3]), [0, 7]);
  assert.deepEqual(stepAmong("Home", 1, 2, [8, 3]), [1, 0]);
  assert.equal(stepAmong("b", 0, 0, [8, 8]), null);
});

test("a shorter row is entered at its end", () => {
  assert.deepEqual(stepAmong("ArrowDown", 0, 6, [8, 3]), [1, 2]);
});

test("up and down stay in a row of its own unless it stands on several lines", () => {
  assert.deepEqual(stepAmong("ArrowDown", 0, 1, [4]), [0, 1]);
  assert.deepEqual(stepAmong("ArrowDown", 0, 1, [4], true), [0, 2]);
  assert.deepEqual(stepAmong("ArrowUp", 0, 0, [4], true), [0, 0]);
});

test("a click chooses, another one no longer", () => {
  assert.deepEqual(toggled([], 3), [3]);
  assert.deepEqual(toggled([3, 1], 3), [1]);
  assert.deepEqual(toggled([3], 1), [3, 1]);
});

// ---- the whole of it, on elements that have no more than it uses ------------------------------------

class Element extends EventTarget {
  children = [];
  dataset = {};
  attributes = {};
  classList = { add() {} };

  append(child) {
    child.parentNode = this;
    this.children.push(child);
  }

  replaceChildren() {
    this.children = [];
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  contains(other) {
    return this === other || this.children.some((child) => child.contains(other));
  }

  closest() {
    return this;
  }

  focus() {
    document.activeElement = this;
  }
}

function shown(t, rows, more = {}) {
  const frames = [];
  const stubs = {
    document: { createElement: () => new Element(), activeElement: null },
    window: new EventTarget(),
    requestAnimationFrame: (draw) => frames.push(draw),
    cancelAnimationFrame() {},
  };
  Object.assign(globalThis, stubs);
  t.after(() => Object.keys(stubs).forEach((name) => delete globalThis[name]));
  const listeners = {};
  const model = { on: (name, react) => (listeners[name] = react), off: (name) => delete listeners[name] };
  const [el, body, chosen, options] = [new Element(), new Element(), new Set(), []];
  const fill = (parent) => rows.map((numbers) => {
    const box = document.createElement("div");
    parent.append(box);
    numbers.forEach((number) => (options[number] = optionNode(box, "one", number)));
    return box;
  });
  const choose = (number) => {
    chosen.has(number) ? chosen.delete(number) : chosen.add(number);
    listeners["change:chosen"]();
  };
  const parts = { fill, choose, isChosen: (number) => chosen.has(number), filled: ["rows"], marked: "chosen", ...more };
  const stop = showListBoxes({ model, el }, body, parts);
  const happens = (type, number, key) => {
    const event = Object.assign(new Event(type, { cancelable: true }), { key });
    Object.defineProperty(event, "target", { value: options[number] });
    body.dispatchEvent(event);
    return event.defaultPrevented;
  };
  const said = (name) => options.map((option) => option[name] ?? option.attributes[name]);
  return { happens, said, options, listeners, frames, stop };
}

test("one option alone is reached by the Tab key, and it follows the keys", (t) => {
  const { happens, said, options } = shown(t, [[0, 1, 2], [3, 4]]);
  assert.deepEqual(said("tabIndex"), [0, -1, -1, -1, -1]);
  assert.equal(happens("keydown", 0, "End"), true);
  assert.deepEqual(said("tabIndex"), [-1, -1, 0, -1, -1]);
  happens("keydown", 2, "ArrowDown");
  assert.equal(document.activeElement, options[4]);
  assert.equal(happens("keydown", 4, "b"), false);
});

test("a click, Enter and the space bar choose, and the option says so", (t) => {
  const { happens, said } = shown(t, [[0, 1], [2]]);
  happens("click", 1);
  happens("keydown", 2, "Enter");
  assert.deepEqual(said("aria-selected"), ["false", "true", "true"]);
  happens("keydown", 1, " ");
  assert.deepEqual(said("aria-selected"), ["false", "false", "true"]);
});

test("the row that had the focus has it again once the options are others", (t) => {
  const { happens, options, listeners, frames } = shown(t, [[0, 1], [2, 3]]);
  happens("click", 3);
  listeners["change:rows"]();
  listeners["change:rows"]();
  assert.equal(frames.length, 1); // drawn once, however many traits changed
  frames[0]();
  assert.equal(document.activeElement, options[2]);
});

test("what was stopped hears nothing any more", (t) => {
  const { happens, said, listeners, stop } = shown(t, [[0, 1]]);
  stop();
  happens("click", 1);
  assert.deepEqual(said("aria-selected"), ["false", "false"]);
  assert.deepEqual(listeners, {});
});
