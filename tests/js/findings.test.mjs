import assert from "node:assert/strict";
import { test } from "node:test";

import { toggled } from "../../mswin_viz/view/widgets/js/findings.mjs";

test("a click chooses a finding, another one no longer", () => {
  assert.deepEqual(toggled([], 3), [3]);
  assert.deepEqual(toggled([3, 1], 3), [1]);
  assert.deepEqual(toggled([3], 1), [3, 1]);
});
