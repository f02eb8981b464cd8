// The board: rows of pictures, columns of heatmaps. The traits of HeatmapBoard (heatmap.py) and the values of the
// controls it watches are the whole state; whatever only changes the display is done here and now.
import { GONE, watchKernel } from "./kernel.mjs";
import { keepKeys } from "./keys.mjs";
import { node, roomBelow } from "./nodes.mjs";
import { bytesOf, readFloats } from "./numbers.mjs";
import { captionOf, isSameImage, labelOf, panelOf, pictureStatus, readColumn, readPyramid, statusOf, withRanges } from "./panels.mjs";
import { fitted, layoutOf, paintBackdrop, paintHeatmap, paintImage, readLook, themeOf } from "./paint.mjs";
import { describe, hitTest } from "./windows.mjs";

const PATIENCE = 150; // ms until what is out of date pales
const STATUS = { busy: "working …", stale: "out of date" };
const ROW_NAMES = 110; // width of a column of names, CSS pixels
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

async function decode(view) {
  const bytes = bytesOf(view);
  if (!bytes.byteLength) return null;
  return createImageBitmap(new Blob([bytes])).catch((error) => {
    console.error(`mswin-board: a picture cannot be decoded (${error.message})`);
    return null;
  });
}

// The controls' values by name, kept up to date; `changed` is called with each change. A menu's value is not here, only
// its position among `values`.
async function watchControls(model, controls, signal, changed) {
  const asked = {};
  const found = {};
  await Promise.all(Object.entries(model.get(controls)).map(async ([name, [reference, trait, values]]) => {
    const control = await model.widget_manager.get_model(reference.replace("IPY_MODEL_", ""));
    found[name] = control;
    const valueNow = () => (values ? values[control.get(trait)] : control.get(trait));
    const read = () => {
      asked[name] = valueNow();
      changed(name, asked[name]);
    };
    asked[name] = valueNow();
    control.on(`change:${trait}`, read);
    signal.addEventListener("abort", () => control.off(`change:${trait}`, read));
  }));
  return { asked, controls: Object.values(found) };
}

// ---- what the kernel sends besides traits -----------------------------------------------------

function download(name, buffer) {
  const url = URL.createObjectURL(new Blob([bytesOf(buffer)]));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// Without the clipboard (an insecure page, a refusal) the text is shown, selected, to be copied by hand.
async function copy(text, says) {
  try {
    await navigator.clipboard.writeText(text);
    says.textContent = "State copied.";
  } catch {
    says.textContent = "Copy the state from here: ";
    const box = Object.assign(node(says, "textarea", "mswin-board-state"), { value: text, readOnly: true });
    box.setAttribute("aria-label", "state of the explorer");
    box.select();
  }
}

// ---- the page ----------------------------------------------------------------------------------

function heatmapNode(row, key) {
  const el = node(row, "div", "mswin-heatmap");
  el.dataset.key = key;
  const title = node(el, "div", "mswin-heatmap-title");
  const canvas = node(el, "canvas", "mswin-heatmap-canvas");
  Object.assign(canvas, { tabIndex: 0 });
  canvas.setAttribute("role", "img");
  const status = node(el, "div", "mswin-heatmap-status");
  const foot = node(el, "div", "mswin-heatmap-foot");
  return { el, title, canvas, status, origin: node(foot, "span", "mswin-origin"), caption: node(foot, "span", "mswin-heatmap-caption") };
}

// `hasNames`: names stand before the rows; else above the pictures.
function buildRows(parent, names, columns, hasNames) {
  parent.replaceChildren();
  parent.classList.toggle("mswin-named-rows", hasNames);
  return names.map((name) => {
    const row = node(parent, "div", "mswin-board-row");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", name);
    if (hasNames) node(row, "div", "mswin-row-name", name);
    const picture = node(row, "div", "mswin-picture");
    const title = node(picture, "div", "mswin-heatmap-title", hasNames ? "" : name);
    title.title = name;
    const image = node(picture, "canvas", "mswin-picture-canvas");
    image.setAttribute("role", "img");
    image.setAttribute("aria-label", `picture: ${name}`);
    const status = node(picture, "div", "mswin-heatmap-status");
    return { picture, image, status, backdrop: document.createElement("canvas"), cells: new Map(columns.map(({ key }) => [key, heatmapNode(row, key)])) };
  });
}

function buildChips(parent, columns, hidden, { toggle, toggleCaptions, hasCaptions }) {
  const focused = [...parent.children].indexOf(document.activeElement);
  parent.replaceChildren();
  node(parent, "span", "mswin-board-chips-label", "panels");
  for (const { key, title } of columns) {
    const chip = node(parent, "button", "mswin-chip", key === "free" ? "free" : title);
    chip.setAttribute("aria-pressed", String(!hidden.includes(key)));
    chip.title = "Show or hide this panel.";
    chip.addEventListener("click", () => toggle(key));
  }
  const chip = node(parent, "button", "mswin-chip mswin-chip-captions", "captions");
  chip.title = "What each panel's numbers are, and its windows, a line each.";
  chip.setAttribute("aria-pressed", String(hasCaptions));
  chip.addEventListener("click", toggleCaptions);
  parent.children[focused]?.focus();
}

// Whether what a node shows differs from what it was last drawn with.
function isNew(drawnOn, state) {
  const same = drawnOn.drawn?.every((value, at) => value === state[at]);
  drawnOn.drawn = state;
  return !same;
}

function writeWords(cell, column, units, { status, isGone, absent }, label) {
  cell.title.textContent = cell.title.title = column.title;
  cell.origin.textContent = column.origin;
  cell.origin.dataset.origin = column.origin.split(" ")[0];
  cell.caption.textContent = captionOf(column, units);
  cell.status.textContent = statusWords(status, isGone) || absent;
  cell.el.classList.toggle("mswin-absent", Boolean(absent));
  cell.el.setAttribute("aria-busy", String(status === "busy" && !isGone));
  cell.el.classList.toggle("mswin-heatmap-stale", status in STATUS);
  cell.canvas.setAttribute("aria-label", label);
}

// What waits for a kernel that is gone waits for ever.
const statusWords = (status, isGone) => (status === "busy" && isGone ? GONE : STATUS[status] ?? "");

function writeStatus({ picture, status }, now, isGone) {
  status.textContent = statusWords(now, isGone);
  picture.classList.toggle("mswin-heatmap-stale", now in STATUS);
}

// Shown in the top layer (where the browser has popovers), so that no cell of the notebook clips it.
function placeTip(tip, lines, { x, y } = {}) {
  if (!lines) {
    if (!tip.hidden) tip.hidePopover?.();
    tip.hidden = true;
    return;
  }
  tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
  if (tip.hidden) {
    tip.hidden = false;
    tip.showPopover?.();
  }
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 14 + width > window.innerWidth ? x - 10 - width : x + 14;
  const top = Math.min(y + 14, window.innerHeight - height - 4);
  Object.assign(tip.style, { left: `${Math.max(0, left)}px`, top: `${Math.max(0, top)}px` });
}

function writeList(list, columns) {
  list.replaceChildren(...columns.map(({ title, words }) => {
    const line = document.createElement("li");
    line.append(Object.assign(document.createElement("b"), { textContent: title }), `: ${words}`);
    return line;
  }));
}

const DATA = ["columns", "grid_rows", "grid_cols", "answered", "failed", "free_is_fused", "fits"];
const LOOK = ["cmap", "auto", "cmaps", "lut", "opacity", "threshold", "outline"];
const VIEW = ["shared", "width", "hidden", "captions", "pinned", "order", "lists_words"];

function render({ model, el }) {
  el.classList.add("mswin-board");
  el.replaceChildren();
  const [body, chips, says, tip] = ["rows", "chips", "says", "tip"].map((name) => node(el, "div", `mswin-board-${name}`));
  says.setAttribute("aria-live", "polite");
  Object.assign(tip, { popover: "manual", hidden: true });
  const list = node(el, "ul", "mswin-words");
  const now = { asked: {}, controls: [], pictures: [], sent: [], every: [], shown: [], statuses: {}, hover: -1, rows: [] };
  const dirty = { rows: true, data: true, pyramid: true, look: true, theme: true, size: true };
  const stop = new AbortController();
  let frame = 0;
  const grid = () => [model.get("grid_rows"), model.get("grid_cols")];
  const once = (name) => {
    const was = dirty[name];
    dirty[name] = false;
    return was;
  };

  // ---- from traits to what is drawn ----
  const refreshRows = async () => {
    while (once("rows")) { // set again where newer pictures come while these are decoded
      now.pictures = await Promise.all(model.get("rows").map(({ image }) => decode(image)));
    }
    body.removeAttribute("aria-busy");
  };
  const refreshData = () => {
    const nRows = model.get("rows").length;
    if (once("data")) {
      const old = new Map(now.sent.map((column) => [column.key, column]));
      now.sent = model.get("columns").map((column) => readColumn(column, ...grid(), nRows, old.get(column.key)));
    }
    if (once("pyramid")) {
      const sent = model.get("pyramid");
      const read = sent.values?.byteLength ? readPyramid(sent, ...grid(), nRows) : null;
      now.pyramid = read?.isWhole ? read : null;
    }
    const fits = now.pyramid ? model.get("fits") : null;
    const about = { answered: model.get("answered"), failed: model.get("failed"), fused: model.get("free_is_fused"), fits };
    now.statuses = Object.fromEntries(now.sent.map((column) => [column.key, statusOf(column, now.asked, about)]));
    now.picture = pictureStatus(now.asked, about);
    const hidden = model.get("hidden");
    const { scale } = now.asked;
    const thousandths = model.get("thousandths");
    now.every = now.sent.map((column) => (now.statuses[column.key] === "live" ? now.pyramid.at(scale) : column));
    now.differences = model.get("rows").map((row) => Boolean(row.is_difference));
    now.shown = withRanges(now.every.filter(({ key }) => !hidden.includes(key)), model.get("shared"), now.differences)
      .map((column) => ({ ...column, factor: thousandths.includes(column.unit) ? 1000 : 1 }));
  };
  // Why a row of a column has no number: a model has no such panel. "" where it has.
  const absence = (column, row) => (column.absent?.includes(row) ? model.get("absences")[now.differences[row] ? "difference" : "value"] : "");
  const refreshNodes = () => {
    const names = model.get("rows").map(({ name }) => name);
    const built = JSON.stringify([names, now.shown.map(({ key }) => key), now.sent.map(({ key }) => key), model.get("hidden"), model.get("captions")]);
    if (built !== now.built) {
      now.built = built;
      now.rows = buildRows(body, names, now.shown, now.differences.includes(true));
      now.rows.forEach((row, at) => row.cells.forEach((cell, key) => listen(cell.canvas, at, key)));
      const hasCaptions = model.get("captions");
      buildChips(chips, now.sent, model.get("hidden"), { toggle: toggleColumn, toggleCaptions, hasCaptions });
      markAll("mswin-captions", hasCaptions);
      now.words = "";
    }
    const words = [now.picture, now.isGone, model.get("lists_words"), ...now.shown.map(({ key, geometry, cells }) => [key, now.statuses[key], geometry, cells]).flat()];
    if (now.words && now.words.every((word, at) => word === words[at])) return;
    now.words = words;
    writeList(list, model.get("lists_words") ? now.every : []);
    pale([now.picture, ...Object.values(now.statuses)].some((status) => status in STATUS));
    now.rows.forEach((row) => writeStatus(row, now.picture, now.isGone));
    now.rows.forEach(({ cells }) => cells.forEach(({ canvas }, key) => canvas.classList.toggle("mswin-not-pinned", !isPinnable(key))));
    now.shown.forEach((column) => now.rows.forEach(({ cells }, at) => {
      const about = { status: now.statuses[column.key], isGone: now.isGone, absent: absence(column, at) };
      writeWords(cells.get(column.key), column, model.get("units"), about, labelOf(column, names[at], at));
    }));
  };
  const markAll = (name, is) => [el, el.closest(".mswin-explorer")].forEach((root) => root?.classList.toggle(name, is));
  // The words say at once that an answer is out of date; all of it pales a moment later, so that quick answers do not
  // flicker.
  const pale = (waiting) => {
    const mark = () => markAll("mswin-waiting", waiting);
    clearTimeout(now.paling);
    if (waiting) now.paling = setTimeout(mark, PATIENCE);
    else mark();
  };
  const refreshLook = () => {
    if (once("look")) now.look = readLook(model);
    if (once("theme")) now.theme = themeOf(el);
    const panels = { count: now.shown.length + 1, pictures: now.rows.length || 1, widest: model.get("width") };
    const key = JSON.stringify([panels, now.differences]);
    if (!once("size") && now.fit === key) return;
    now.fit = key;
    const room = roomBelow(el, body);
    if (now.differences.includes(true)) room.width -= ROW_NAMES;
    const { width, lines } = fitted(room, panels, grid());
    const sharp = `${width} ${window.devicePixelRatio}`;
    if (sharp !== now.sharp) now.size = layoutOf(width, ...grid()); // else nothing is drawn again
    now.sharp = sharp;
    el.classList.toggle("mswin-one-line", lines === 1);
    el.style.setProperty("--mswin-width", `${width}px`);
  };
  const paint = () => {
    const [pinned, order] = [model.get("pinned"), model.get("order")];
    const page = { size: now.size, theme: now.theme };
    now.rows.forEach((row, at) => {
      const behind = [now.pictures[at], order, now.size, now.theme];
      if (isNew(row.backdrop, behind)) paintBackdrop(row.backdrop, { image: now.pictures[at], order }, grid(), page);
      const common = [...behind, now.hover];
      if (isNew(row, common)) paintImage(row.image, row.backdrop, now.hover, grid(), page);
      for (const column of now.shown) {
        const isPinned = pinned && pinned.key === column.key && isSameImage(model.get("rows"), pinned.row, at);
        const marks = { hover: now.hover, pinned: isPinned ? pinned.window : -1 };
        const panel = panelOf(column, at, now.differences[at]);
        const cell = row.cells.get(column.key);
        const drawn = [...common, now.look, panel.geometry, panel.cells, panel.range?.lo, panel.range?.hi, marks.pinned];
        if (isNew(cell, drawn)) paintHeatmap(cell.canvas, panel, now.look, row.backdrop, marks, page);
      }
    });
  };
  const draw = async () => {
    try {
      await refreshRows();
      refreshData();
      refreshNodes();
      refreshLook();
      paint();
      el.dataset.drawn = String(Number(el.dataset.drawn ?? 0) + 1); // lets a test wait for the drawing
    } finally {
      frame = 0;
    }
  };
  const schedule = () => {
    if (dirty.rows) body.setAttribute("aria-busy", "true"); // the rows on screen are the old ones until pictures are decoded
    frame ||= requestAnimationFrame(draw);
  };

  // ---- hands ----
  const toggleColumn = (key) => {
    const hidden = model.get("hidden");
    model.set("hidden", hidden.includes(key) ? hidden.filter((own) => own !== key) : [...hidden, key]);
    model.save_changes();
  };
  const toggleCaptions = () => {
    model.set("captions", !model.get("captions"));
    model.save_changes();
  };
  const columnOf = (key) => now.shown.find((column) => column.key === key);
  const point = (token, row, key, at) => {
    const column = columnOf(key);
    const panel = column && { ...panelOf(column, row, now.differences[row]), places: model.get("places") };
    const absent = panel && absence(column, row);
    const lines = token < 0 || !panel ? null : absent ? [absent] : describe(token, panel);
    placeTip(tip, lines, at);
    if (token !== now.hover) schedule();
    now.hover = token;
    return lines;
  };
  const isPinnable = (key) => model.get("pinnable")?.includes(key) ?? true;
  const pin = (row, key) => {
    const column = isPinnable(key) ? columnOf(key) : null;
    const ids = column?.geometry.cover[now.hover] ?? [];
    if (!ids.length) return;
    const window = ids[0];
    const old = model.get("pinned");
    now.controls.forEach((control) => control.save_changes()); // the window is one of the scale that is drawn
    const again = old && old.key === key && old.row === row && old.window === window;
    model.set("pinned", again ? null : { key, row, window });
    model.save_changes();
  };
  const listen = (canvas, row, key) => {
    const follow = ({ type, offsetX, offsetY, clientX, clientY }) => {
      if (!now.size) return;
      const inside = type !== "pointerleave";
      const token = inside ? hitTest(offsetX, offsetY, now.size.width, now.size.height, ...grid()) : -1;
      point(token, row, key, { x: clientX, y: clientY });
    };
    canvas.addEventListener("pointermove", follow);
    canvas.addEventListener("pointerleave", follow);
    canvas.addEventListener("click", (event) => {
      follow(event);
      pin(row, key);
    });
    canvas.addEventListener("blur", () => point(-1, row, key));
    canvas.addEventListener("keydown", (event) => {
      const [rows, cols] = grid();
      if (event.key in STEPS) {
        const [down, across] = STEPS[event.key];
        const at = now.hover < 0 ? [0, 0] : [Math.floor(now.hover / cols) + down, (now.hover % cols) + across];
        const [r, c] = [Math.max(0, Math.min(rows - 1, at[0])), Math.max(0, Math.min(cols - 1, at[1]))];
        const box = canvas.getBoundingClientRect();
        const place = { x: box.left + ((c + 1) * now.size.width) / cols, y: box.top + (r * now.size.height) / rows };
        says.textContent = point(r * cols + c, row, key, place).join(", ");
      } else if (event.key === "Enter" || event.key === " ") pin(row, key);
      else if (event.key === "Escape") point(-1, row, key);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  };

  // ---- life ----
  const mark = (...names) => () => {
    names.forEach((name) => (dirty[name] = true));
    schedule();
  };
  const listeners = [
    ...DATA.map((name) => [`change:${name}`, mark("data")]),
    ...LOOK.map((name) => [`change:${name}`, mark("look")]),
    ...VIEW.map((name) => [`change:${name}`, schedule]),
    ["change:rows", mark("rows", "data", "pyramid")],
    ["change:pyramid", mark("pyramid")],
    ["msg:custom", ({ kind, name, text }, buffers) => (kind === "copy" ? copy(text, says) : download(name, buffers[0]))],
  ];
  listeners.forEach(([event, react]) => model.on(event, react));
  keepKeys(el, stop.signal);
  watchKernel(model, stop.signal, () => {
    now.isGone = true;
    schedule();
  });
  watchControls(model, "watched", stop.signal, schedule).then(({ asked, controls }) => {
    Object.assign(now, { asked, controls });
    schedule();
  });
  const follow = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  watchControls(model, "followed", stop.signal, follow).then(({ asked }) =>
    Object.entries(asked).forEach(([name, value]) => follow(name, value)));
  const sight = new ResizeObserver(() => { // first shown, shown again, another width, or less height
    const view = el.closest(".mswin-explorer");
    if (view !== now.view) sight.observe((now.view = view) ?? el); // what is unfolded above takes of the height
    mark("size", "theme")();
  });
  sight.observe(el);
  window.addEventListener("resize", mark("size"), { signal: stop.signal });
  const theme = new MutationObserver(mark("theme"));
  theme.observe(document.body, { attributeFilter: ["data-jp-theme-name", "data-jp-theme-light", "data-vscode-theme-kind"] });
  schedule();
  return () => {
    stop.abort();
    listeners.forEach(([event, react]) => model.off(event, react));
    cancelAnimationFrame(frame);
    clearTimeout(now.paling);
    sight.disconnect();
    theme.disconnect();
  };
}

export default { render };
