// The thumbnail strip's search and keys: the pure functions of mswin_viz/view/widgets/js/strip.mjs. Run: node --test tests/js/
import assert from "node:assert/strict";
import { test } from "node:test";

import { found, labelOf, needsScores, sorted, stepTo } from "../../mswin_viz/view/widgets/js/strip.mjs";

const ITEMS = [
  { name: "000001_cam1", pid: 1, camid: 1, caption: "a black vest", modalities: ["RGB", "NI"] },
  { name: "000001_cam2", pid: 1, camid: 2, caption: "a black vest", modalities: ["RGB"] },
  { name: "000012_cam1", pid: 12, camid: 1, caption: "a red coat", modalities: ["RGB", "NI", "TI"] },
  { name: "own", pid: -1, camid: -1, caption: null, modalities: ["RGB"] },
];

test("a search finds identities and cameras by number, not by part of a number", () => {
  assert.deepEqual(found(ITEMS, "id 1", "", ""), [0, 1]);
  assert.deepEqual(found(ITEMS, "id:12", "", ""), [2]);
  assert.deepEqual(found(ITEMS, "person 1 camera 2", "", ""), [1]);
});

test("a search finds words of names and captions, all of them", () => {
  assert.deepEqual(found(ITEMS, "BLACK", "", ""), [0, 1]);
  assert.deepEqual(found(ITEMS, "black cam2", "", ""), [1]);
  assert.deepEqual(found(ITEMS, "purple", "", ""), []);
});

test("camera and modality narrow a search", () => {
  assert.deepEqual(found(ITEMS, "", "1", ""), [0, 2]);
  assert.deepEqual(found(ITEMS, "", "", "NI"), [0, 2]);
  assert.deepEqual(found(ITEMS, "coat", "1", "TI"), [2]);
});

test("arrow keys go through what was found and stop at its ends", () => {
  assert.equal(stepTo("ArrowRight", [0, 2, 5], 2), 5);
  assert.equal(stepTo("ArrowRight", [0, 2, 5], 5), 5);
  assert.equal(stepTo("ArrowLeft", [0, 2, 5], 2), 0);
  assert.equal(stepTo("End", [0, 2, 5], 0), 5);
  assert.equal(stepTo("ArrowRight", [2, 5], 3), 2);
  assert.equal(stepTo("x", [2, 5], 2), null);
  assert.equal(stepTo("ArrowLeft", [], 2), null);
});

test("a thumbnail is told in words", () => {
  assert.equal(labelOf(ITEMS[2]), "id 12, camera 1, 000012_cam1: a red coat");
  assert.equal(labelOf(ITEMS[3]), "own");
});

const SCORES = [[0.2, 0.1], [0.1, 0.3], null, [0.3, 0.25]]; // plain and enhanced

test("images are sorted by identity, camera, score and its change, unknown ones last", () => {
  const every = [3, 2, 1, 0];
  assert.deepEqual(sorted([0, 1, 2, 3], ITEMS, "as read"), [0, 1, 2, 3]);
  assert.deepEqual(sorted(every, ITEMS, "identity"), [0, 1, 2, 3]);
  assert.deepEqual(sorted(every, ITEMS, "camera"), [0, 2, 1, 3]);
  assert.deepEqual(sorted(every, ITEMS, "score, highest first", SCORES), [1, 3, 0, 2]);
  assert.deepEqual(sorted(every, ITEMS, "most raised first", SCORES), [1, 3, 0, 2]);
  assert.deepEqual(sorted(every, ITEMS, "most lowered first", SCORES), [0, 3, 1, 2]);
  assert.deepEqual(sorted(every, ITEMS, "most lowered first"), [0, 1, 2, 3]); // before there are scores
});

test("a search narrows by score and change, and fits no image without one", () => {
  assert.deepEqual(found(ITEMS, "score>0.2", "", "", SCORES), [1, 3]);
  assert.deepEqual(found(ITEMS, "change < 0", "", "", SCORES), [0, 3]);
  assert.deepEqual(found(ITEMS, "plain>.15 black", "", "", SCORES), [0]);
  assert.deepEqual(found(ITEMS, "score>-1", "", "", []), []);
  assert.ok(needsScores("change>0", "as read"));
  assert.ok(needsScores("", "most raised first"));
  assert.ok(!needsScores("a score of words", "camera"));
});

test("a thumbnail tells its score", () => {
  assert.equal(labelOf(ITEMS[3], [0.2, 0.1]), "own; score 0.100, plain 0.200");
});
