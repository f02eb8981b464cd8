// The buttons of a view's sections (section_bar.py). What is unfolded stands on the view's root, where the style sheet
// looks for it; nothing waits for the kernel.
import { keepKeys } from "./keys.mjs";
import { node } from "./nodes.mjs";
import { hasOwnUndo, isUndo } from "./undo.mjs";

// The keys that are unfolded after a press.
export function toggled(unfolded, key) {
  return unfolded.includes(key) ? unfolded.filter((other) => other !== key) : [...unfolded, key];
}

function render({ model, el }) {
  el.classList.add("mswin-section-bar");
  el.replaceChildren();
  const root = () => el.closest(".mswin-explorer");
  const stop = new AbortController();
  keepKeys(el, stop.signal);
  const button = (text, hint, act) => {
    const made = Object.assign(node(el, "button", "mswin-chip", text), { title: hint, type: "button" });
    made.addEventListener("click", act);
    return made;
  };
  const sections = model.get("sections").map(({ key, label, hint }) => {
    const made = button(label, hint, () => {
      model.set("unfolded", toggled(model.get("unfolded"), key));
      model.save_changes();
    });
    made.dataset.section = key;
    return made;
  });
  const undo = button("undo", "One step back, of controls, display, images and pins (Ctrl+Z).", () => model.send({ kind: "undo" }));
  undo.classList.add("mswin-undo");
  const reset = button("reset", "Every control, panel and pin as at first; the image stays.", () => model.send({ kind: "reset" }));
  reset.classList.add("mswin-reset");
  window.addEventListener("keydown", (event) => { // before the notebook, whose own undo it would be
    if (!isUndo(event) || hasOwnUndo(event.target) || !root()?.contains(event.target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (model.get("can_undo")) model.send({ kind: "undo" });
  }, { capture: true, signal: stop.signal });
  const whole = button("full screen", "The explorer alone on the screen; Escape leads back.", () =>
    (document.fullscreenElement ? document.exitFullscreen() : root()?.requestFullscreen()));
  whole.classList.add("mswin-full-screen");
  whole.disabled = !document.fullscreenEnabled;

  const fold = () => {
    const view = root();
    if (view) view.dataset.unfolded = model.get("unfolded").join(" ");
    for (const made of sections) {
      const { section } = made.dataset;
      made.setAttribute("aria-expanded", String(model.get("unfolded").includes(section)));
      const part = [...view?.querySelectorAll(".mswin-section") ?? []].find(({ classList }) => classList.contains(`mswin-section-${section}`));
      if (!part) continue;
      part.id ||= `${model.model_id ?? "mswin"}-${section}`;
      made.setAttribute("aria-controls", part.id);
    }
  };
  const allow = () => {
    undo.hidden = model.get("can_undo") === null; // in a saved page
    undo.disabled = !model.get("can_undo");
  };
  const mark = () => whole.setAttribute("aria-pressed", String(root() !== null && document.fullscreenElement === root()));
  const sight = new ResizeObserver(fold); // first shown: only then has it a place in a view
  sight.observe(el);
  document.addEventListener("fullscreenchange", mark);
  model.on("change:unfolded", fold);
  model.on("change:can_undo", allow);
  fold();
  allow();
  mark();
  return () => {
    stop.abort();
    sight.disconnect();
    document.removeEventListener("fullscreenchange", mark);
    model.off("change:unfolded", fold);
    model.off("change:can_undo", allow);
  };
}

export default { render };
