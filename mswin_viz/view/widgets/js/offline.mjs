// A saved page: the widgets as they were, and answers that were computed before in place of a kernel.
import { built } from "./offline_controls.mjs";
import { AnswerTable, OfflineModel, PageValues, valueOf } from "./offline_model.mjs";
import { pinnedTable } from "./offline_pins.mjs";

function followTheme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const mark = () => (document.body.dataset.jpThemeLight = String(!dark.matches));
  dark.addEventListener("change", mark);
  mark();
}

// A page that shows this one in a frame learns how high it is, and nothing else, so that the frame can have that height.
function tellHeight() {
  if (window.parent === window) return;
  const tell = () => {
    const { marginTop, marginBottom } = getComputedStyle(document.body);
    const inside = Math.max(document.body.getBoundingClientRect().height, document.body.scrollHeight);
    const height = inside + parseFloat(marginTop) + parseFloat(marginBottom);
    window.parent.postMessage({ mswinVizHeight: Math.ceil(height) }, "*");
  };
  new ResizeObserver(tell).observe(document.body);
}

// The values of the controls that a board watches, by name.
function asked(board, models) {
  const watched = Object.entries(board.get("watched") ?? {});
  return Object.fromEntries(watched.map(([name, [reference, ...place]]) => [name, valueOf(models[reference.replace("IPY_MODEL_", "")], place)]));
}

// What the kernel would do: a new answer on each board, at once. `apply` sets traits by model.
function answering(page, models, apply) {
  const say = (words) => {
    const line = Object.assign(document.createElement("div"), { className: "mswin-message", textContent: words });
    line.setAttribute("role", "alert");
    if (page.message) models[page.message].set("value", words ? line : "");
  };
  const settle = (answer) => {
    if (!page.board) return;
    const board = models[page.board];
    const now = asked(board, models);
    if (!answer || answer.failed) return board.set("failed", now);
    const isEvery = (board.get("pyramid").values?.byteLength ?? 0) > 0;
    board.set("answered", isEvery ? { ...now, ...page.made_at } : now);
    board.set("fits", isEvery ? Object.fromEntries(Object.entries(now).filter(([name]) => !(name in page.made_at))) : {});
    board.set("failed", null);
  };
  return page.tables.map((saved, at) => {
    const table = new AnswerTable(saved, models);
    let last = "";
    const answer = () => {
      const key = JSON.stringify(table.chosen);
      if (key === last) return;
      last = key;
      const found = table.answer();
      if (found) apply(found.changes);
      if (at > 0) return; // only the first is of the board
      if (!found) {
        apply(page.fallback); // which may have an answer
        say(page.no_answer);
        if (table.answer()) return;
      }
      settle(found);
    };
    for (const [id, trait] of table.axes) models[id].on(`change:${trait}`, answer);
    answer();
    return table;
  });
}

function start(scripts) {
  followTheme();
  const page = JSON.parse(document.getElementById("mswin-page-data").textContent);
  const values = new PageValues(page);
  const models = {};
  const apply = (changes) => {
    for (const [id, traits] of Object.entries(changes))
      for (const [name, value] of Object.entries(traits)) models[id].set(name, values.of(value));
  };
  const heard = (_model, { kind }) => kind === "reset" && apply(page.reset);
  for (const [id, traits] of Object.entries(page.models)) models[id] = new OfflineModel(id, values.of(traits), { find: (other) => models[other], heard });
  const [first] = answering(page, models, apply);
  if (page.pins) {
    const [board, place] = [models[page.board], models[page.pins.html]];
    const show = () => place.set("value", pinnedTable(board, models[page.pins.scale], first, { ...values.of(page.pins), values }) ?? "");
    ["pinned", "answered"].forEach((name) => board.on(`change:${name}`, show));
    models[page.pins.scale]?.on("change:value", show);
    show();
  }
  const build = (id) => built(models[id], scripts, build);
  document.getElementById("mswin-page").append(build(page.root));
  tellHeight();
}

export default { start };
