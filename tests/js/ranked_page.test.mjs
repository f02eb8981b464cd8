// The page of ranked lists: the pure functions of mswin_viz/view/widgets/js/ranked_page.mjs. Run: node --test tests/js/
import assert from "node:assert/strict";
import { test } from "node:test";

import { orderOf } from "../../mswin_viz/view/widgets/js/ranked_page.mjs";

const queries = [0.5, null, 0.1, 0.5].map((ap) => ({ lists: [{ ap }] }));

test("queries stand as they were saved, or by a list's precision, those without one last", () => {
  assert.deepEqual(orderOf(queries, -1, true), [0, 1, 2, 3]);
  assert.deepEqual(orderOf(queries, 0, true), [2, 0, 3, 1]);
  assert.deepEqual(orderOf(queries, 0, false), [0, 3, 2, 1]);
});
