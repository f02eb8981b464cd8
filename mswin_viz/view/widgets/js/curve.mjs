// The curve of a training: loss on the left, score on the right, drawn as SVG. The pure functions are tested in node.

const WIDTH = 340;
const HEIGHT = 150;
const EDGE = { left: 40, right: 10, top: 22, bottom: 24 };

// {lo, hi} around values, a little wider; null where none is finite.
export function span(values) {
  const finite = values.filter(Number.isFinite);
  if (!finite.length) return null;
  const [lo, hi] = [Math.min(...finite), Math.max(...finite)];
  const room = (hi - lo || Math.abs(hi) || 1) * 0.08;
  return { lo: lo - room, hi: hi + room };
}

// Points [x, y] in pixels of values at steps, of so many steps.
export function places(steps, values, range, total) {
  const wide = WIDTH - EDGE.left - EDGE.right;
  const high = HEIGHT - EDGE.top - EDGE.bottom;
  return values.map((value, i) => [
    EDGE.left + (wide * steps[i]) / Math.max(total, 1),
    EDGE.top + high * (1 - (value - range.lo) / (range.hi - range.lo)),
  ]);
}

// Moving mean over the last few values, so that single batches do not hide the course.
export function smoothed(values, over = 15) {
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - over + 1), i + 1);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

function svg(parent, kind, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

function path(points) {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function axes(chart, title, range, total) {
  const [bottom, right] = [HEIGHT - EDGE.bottom, WIDTH - EDGE.right];
  svg(chart, "text", { x: EDGE.left, y: 13, class: "mswin-curve-title" }, title);
  svg(chart, "path", { d: `M${EDGE.left} ${EDGE.top}V${bottom}H${right}`, class: "mswin-curve-axis" });
  svg(chart, "text", { x: EDGE.left, y: HEIGHT - 8 }, "0");
  svg(chart, "text", { x: right, y: HEIGHT - 8, "text-anchor": "end" }, `step ${total}`);
  if (!range) return;
  for (const [value, y] of [[range.hi, EDGE.top + 8], [range.lo, bottom]]) {
    svg(chart, "text", { x: EDGE.left - 5, y, "text-anchor": "end" }, value.toPrecision(3));
  }
}

function chart(el, label) {
  const made = svg(el, "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "mswin-curve-chart", role: "img" });
  made.setAttribute("aria-label", label);
  return made;
}

function render({ model, el }) {
  el.classList.add("mswin-curve");
  el.replaceChildren();
  const draw = () => {
    const [losses, checked, scores] = ["losses", "checked", "scores"].map((name) => model.get(name));
    const [total, plain] = [model.get("steps"), model.get("plain")];
    el.replaceChildren();
    const left = chart(el, "loss at every step");
    const steps = losses.map((_, i) => i + 1);
    const range = span(losses);
    axes(left, "loss: every batch, and mean of 15", range, total);
    if (range) {
      svg(left, "path", { d: path(places(steps, losses, range, total)), class: "mswin-curve-faint" });
      svg(left, "path", { d: path(places(steps, smoothed(losses), range, total)), class: "mswin-curve-line" });
    }
    const right = chart(el, "validation at every check");
    const reach = span(plain === null ? scores : [...scores, plain]);
    axes(right, model.get("score_name"), reach, total);
    if (reach && plain !== null) {
      const [, y] = places([0], [plain], reach, total)[0];
      svg(right, "path", { d: `M${EDGE.left} ${y}H${WIDTH - EDGE.right}`, class: "mswin-curve-plain" });
      svg(right, "text", { x: WIDTH - EDGE.right, y: y - 4, "text-anchor": "end" }, "plain CLS");
    }
    if (reach && scores.length) {
      const points = places(checked, scores, reach, total);
      svg(right, "path", { d: path(points), class: "mswin-curve-line" });
      const best = scores.indexOf(Math.max(...scores));
      points.forEach(([cx, cy], i) => svg(right, "circle", { cx, cy, r: i === best ? 4.5 : 2.5, class: "mswin-curve-dot" }));
    }
    const words = document.createElement("div");
    Object.assign(words, { className: "mswin-curve-words", textContent: model.get("status") });
    el.append(words);
  };
  let waiting = 0;
  const later = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; draw(); }); };
  for (const name of ["losses", "checked", "scores", "steps", "plain", "status", "score_name"]) {
    model.on(`change:${name}`, later);
  }
  draw();
}

export default { render };
