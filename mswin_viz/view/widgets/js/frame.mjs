// What every view has in the page beside its parts: its keys are its own, its parts say to a screen reader what they are,
// and it says when no kernel answers any more.
import { keepAccessible } from "./access.mjs";
import { keepKeys } from "./keys.mjs";
import { GONE, watchKernel } from "./kernel.mjs";

const ADVICE = "What is shown is the last answer; run the cell again for a live view.";
const CLOSED = "This view was closed; run the cell again for a new one.";

// The view that a frame stands in, once both are in the page.
function whenInPage(el, signal, found) {
  const look = () => {
    if (signal.aborted) return;
    const root = el.isConnected && el.parentElement?.closest(".mswin-view");
    if (root) found(root);
    else requestAnimationFrame(look);
  };
  look();
}

// The place in the notebook's output stays when Python closes the view; it goes when the cell runs again.
function sayClosed(output) {
  if (!output?.isConnected || output.querySelector(".mswin-view")) return;
  const note = Object.assign(document.createElement("div"), { className: "mswin-frame-gone mswin-frame-closed", textContent: CLOSED });
  note.setAttribute("role", "status");
  output.after(note);
}

function render({ model, el }) {
  const stop = new AbortController();
  const place = { root: null, output: null };
  el.classList.add("mswin-frame");
  el.setAttribute("role", "status");
  whenInPage(el, stop.signal, (root) => {
    Object.assign(place, { root, output: root.parentElement });
    keepKeys(root, stop.signal);
    keepAccessible(root, stop.signal);
  });
  watchKernel(model, stop.signal, () => {
    el.textContent = `${GONE}: ${ADVICE}`;
    el.classList.add("mswin-frame-gone");
    place.root?.classList.add("mswin-gone");
  });
  return () => {
    stop.abort();
    setTimeout(() => sayClosed(place.output), 300);
  };
}

export default { render };
