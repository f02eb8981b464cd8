// What may be uploaded at once.
import assert from "node:assert/strict";
import { test } from "node:test";

import { MOST_BYTES, refusal } from "../../mswin_viz/view/widgets/js/upload.mjs";

test("files that fit in one message are sent, others are refused with their size and a way out", () => {
  assert.equal(refusal([{ size: MOST_BYTES - 5 }, { size: 5 }]), "");
  const words = refusal([{ size: MOST_BYTES }, { size: 2 ** 20 }]);
  assert.match(words, /8 MB together: got 9\.0 MB; type the path/);
  assert.match(refusal([]), /no file/);
});
