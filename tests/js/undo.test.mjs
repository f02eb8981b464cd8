// Which keys take a step back in a view, and what may be pasted.
import assert from "node:assert/strict";
import { test } from "node:test";

import { MOST_CHARACTERS, whyNot } from "../../mswin_viz/view/widgets/js/paste.mjs";
import { hasOwnUndo, isUndo } from "../../mswin_viz/view/widgets/js/undo.mjs";

test("Ctrl+Z and Cmd+Z take a step back; alone, with Shift or Alt they do not", () => {
  assert.ok(isUndo({ key: "z", ctrlKey: true }));
  assert.ok(isUndo({ key: "Z", ctrlKey: true })); // with caps lock
  assert.ok(isUndo({ key: "z", metaKey: true }));
  for (const press of [{ key: "z" }, { key: "y", ctrlKey: true }, { key: "z", ctrlKey: true, shiftKey: true }]) assert.ok(!isUndo(press));
  assert.ok(!isUndo({ key: "z", ctrlKey: true, altKey: true }));
  assert.ok(!isUndo({ key: "z", ctrlKey: true, metaKey: true }));
  assert.ok(!isUndo({ ctrlKey: true })); // what a browser fills in by itself
});

test("text fields keep their own undo, sliders, boxes and pictures do not", () => {
  for (const type of ["text", "number", "search", ""]) assert.ok(hasOwnUndo({ tagName: "INPUT", type }));
  assert.ok(hasOwnUndo({ tagName: "TEXTAREA" }));
  assert.ok(hasOwnUndo({ tagName: "DIV", isContentEditable: true }));
  for (const type of ["range", "checkbox", "radio"]) assert.ok(!hasOwnUndo({ tagName: "INPUT", type }));
  for (const tagName of ["CANVAS", "BUTTON", "SELECT", "DIV"]) assert.ok(!hasOwnUndo({ tagName }));
});

test("a text of a fair length is pasted; none, or an endless one, is refused with a way out", () => {
  assert.equal(whyNot('{"version": 2}'), "");
  assert.equal(whyNot("x".repeat(MOST_CHARACTERS)), "");
  assert.match(whyNot(" \n"), /no text; copy a state first, or paste it here/);
  assert.match(whyNot("x".repeat(MOST_CHARACTERS + 1)), /at most 1048576 characters: got 1048577; copy it again/);
});
