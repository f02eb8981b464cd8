// A slider over whole numbers. The traits of ScaleSlider (scale_slider.py) are its whole state; `value` changes here at
// once, and goes to the kernel once the slider rests.
import { keepKeys } from "./keys.mjs";
import { node } from "./nodes.mjs";
import { markBeside, ranOn, steppedBy } from "./steps.mjs";

const REST = 250; // ms without a move
const PACE = 180; // ms for each place while it runs

function icon(parent, text, label) {
  const button = node(parent, "button", "mswin-slider-button", text);
  Object.assign(button, { type: "button", title: label });
  button.setAttribute("aria-label", label);
  return button;
}

function buildMarks(parent, { marks, min, max, words }, jump) {
  parent.replaceChildren(...marks.map((mark) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: mark, tabIndex: -1 });
    button.className = "mswin-slider-mark";
    button.setAttribute("aria-label", `${mark}: ${words}`);
    button.style.setProperty("--at", max > min ? (mark - min) / (max - min) : 0);
    button.addEventListener("click", () => jump(mark));
    return button;
  }));
}

function render({ model, el }) {
  el.classList.add("mswin-slider");
  const closed = new AbortController();
  keepKeys(el, closed.signal);
  el.replaceChildren();
  const name = node(el, "label", "mswin-slider-name");
  const track = node(el, "div", "mswin-slider-track");
  const range = node(track, "input", "mswin-slider-range");
  const marks = node(track, "div", "mswin-slider-marks");
  const number = node(el, "input", "mswin-slider-number");
  const before = icon(el, "«", "to the trained scale before (Page Down)");
  const play = icon(el, "▶", "run through all scales");
  const after = icon(el, "»", "to the next trained scale (Page Up)");
  Object.assign(range, { type: "range", step: 1, id: `mswin-slider-${Math.random().toString(36).slice(2)}` });
  Object.assign(number, { type: "number", step: 1 });
  range.setAttribute("role", "slider");
  name.htmlFor = range.id;
  let [rest, run] = [0, 0];
  const now = () => ({ value: model.get("value"), min: model.get("min"), max: model.get("max"), marks: model.get("marks") });

  // ---- to the model, and from there to the kernel ----
  const tell = () => {
    if (!rest) return;
    clearTimeout(rest);
    rest = 0;
    model.save_changes();
  };
  const move = (to) => {
    const { value, min, max } = now();
    const next = Math.min(max, Math.max(min, Math.round(to)));
    if (!Number.isFinite(next) || next === value) return;
    model.set("value", next);
    clearTimeout(rest);
    rest = setTimeout(tell, REST);
    if (model.get("is_followed")) tell();
  };
  const stop = () => {
    clearInterval(run);
    run = 0;
    Object.assign(play, { textContent: "▶", title: "run through all scales" });
    play.setAttribute("aria-label", play.title);
  };
  const start = () => {
    Object.assign(play, { textContent: "■", title: "stop" });
    play.setAttribute("aria-label", play.title);
    run = setInterval(() => (el.isConnected && !document.hidden ? move(ranOn(now())) : stop()), PACE);
  };
  const jump = (to) => {
    stop();
    move(to);
    range.focus({ preventScroll: true });
  };

  // ---- hands ----
  range.addEventListener("input", () => {
    stop();
    move(Number(range.value));
  });
  range.addEventListener("pointerup", tell);
  range.addEventListener("keydown", (event) => { // not left to the browser: pages around keep arrow keys from it
    const to = event.ctrlKey || event.altKey || event.metaKey ? null : steppedBy(event.key, now());
    if (to === null) return;
    jump(to);
    event.preventDefault();
    event.stopPropagation();
  });
  number.addEventListener("change", () => {
    stop();
    move(Number(number.value));
    number.value = now().value;
    tell();
  });
  before.addEventListener("click", () => jump(markBeside(now(), -1)));
  after.addEventListener("click", () => jump(markBeside(now(), 1)));
  play.addEventListener("click", () => {
    if (!run) return start();
    stop();
    tell();
  });

  // ---- from the model ----
  const show = () => {
    const { value, min, max, marks: places } = now();
    const [words, unit] = [model.get("mark_words"), model.get("unit")];
    Object.assign(range, { min, max, value });
    Object.assign(number, { min, max, value });
    range.setAttribute("aria-valuenow", value);
    range.setAttribute("aria-valuetext", [value, unit, places.includes(value) ? words : ""].filter(Boolean).join(" "));
  };
  const build = () => {
    const { min, max, marks: places } = now();
    const tooltip = model.get("tooltip") ?? "";
    name.textContent = model.get("description");
    number.setAttribute("aria-label", `${model.get("description")}, as a number`);
    range.title = name.title = tooltip;
    buildMarks(marks, { marks: places, min, max, words: model.get("mark_words") }, jump);
    for (const button of [before, after]) button.hidden = !places.length;
    for (const part of [range, number, before, play, after, ...marks.children]) part.disabled = model.get("disabled");
    show();
  };
  const rebuilt = ["min", "max", "marks", "description", "disabled", "unit", "mark_words", "tooltip"];
  const listeners = [["change:value", show], ...rebuilt.map((trait) => [`change:${trait}`, build])];
  listeners.forEach(([event, react]) => model.on(event, react));
  build();
  return () => {
    closed.abort();
    stop();
    tell();
    listeners.forEach(([event, react]) => model.off(event, react));
  };
}

export default { render };
