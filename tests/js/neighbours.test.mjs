// Ranked neighbours: the pure functions of mswin_viz/view/widgets/js/neighbours.mjs. Run: node --test tests/js/
import assert from "node:assert/strict";
import { test } from "node:test";

import { movedWords, neighbourWords, SIGNS } from "../../mswin_viz/view/widgets/js/neighbours.mjs";

test("a neighbour says where it stands by plain features", () => {
  assert.equal(movedWords(null, 1, 8), "");
  assert.equal(movedWords(0, 1, 8), "plain: > 8");
  assert.equal(movedWords(3, 3, 8), "same rank");
  assert.equal(movedWords(5, 2, 8), "plain: 5");
  assert.equal(movedWords(5, 2, 8, "base"), "base: 5");
});

test("marks are signs and words, not colours alone", () => {
  assert.equal(new Set(Object.values(SIGNS)).size, 3);
  const item = { label: "id 3, camera 2", similarity: 0.91234, measure: "cosine", mark: "wrong", plain_rank: 4 };
  assert.equal(neighbourWords(item, 2, "enhanced CLS"), "rank 2, enhanced CLS: id 3, camera 2, cosine 0.912, wrong, rank 4 by plain CLS");
  assert.match(neighbourWords(item, 2, "windows", "baseline"), /wrong, rank 4 by baseline$/);
  assert.equal(neighbourWords({ ...item, plain_rank: null }, 2, "x"), "rank 2, x: id 3, camera 2, cosine 0.912, wrong");
});
