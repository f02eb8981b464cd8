// What a saved page says of the window that is pinned: its number by every value that the page holds.
import { node } from "./nodes.mjs";
import { formatNumber } from "./numbers.mjs";
import { readColumn, readPyramid } from "./panels.mjs";
import { describePlace } from "./windows.mjs";

// The column of a key in an answer, at this scale if it is that of the free windows.
export function columnIn(answer, values, { board, key, scale, grid, nRows }) {
  const { columns, pyramid } = answer?.changes?.[board] ?? {};
  const every = key === "free" ? values.of(pyramid ?? {}) : {};
  if (every.values?.byteLength) return readPyramid(every, ...grid, nRows).at(scale);
  const found = values.of(columns ?? []).find((column) => column.key === key);
  return found && readColumn(found, ...grid, nRows);
}

// Rows [value in words, number in words] for a pinned window; those that have no number are left out.
export function pinnedNumbers(pinned, table, { values, labels, axis, thousandths, ...place }) {
  const chosen = table.chosen;
  return Object.entries(labels).flatMap(([value, words]) => {
    const answer = table.answer(chosen.map((one, at) => (at === axis ? value : one)));
    const number = columnIn(answer, values, { ...place, key: pinned.key })?.values[pinned.row]?.[pinned.window];
    if (number === undefined || Number.isNaN(number)) return [];
    const isSmall = thousandths.includes(value);
    return [[words, formatNumber(number * (isSmall ? 1000 : 1)) + (isSmall ? " thousandths" : "")]];
  });
}

// A table of them; null where nothing is pinned, or the window is not one of what is drawn.
export function pinnedTable(board, slider, table, about) {
  const pinned = board.get("pinned");
  const [rows, grid] = [board.get("rows"), [board.get("grid_rows"), board.get("grid_cols")]];
  if (!pinned || pinned.row >= rows.length) return null;
  const place = { board: board.model_id, scale: slider?.get("value"), grid, nRows: rows.length };
  const column = columnIn(table.answer(), about.values, { ...place, key: pinned.key });
  if (!column || pinned.window >= column.geometry.count) return null;
  const own = column.geometry.windows.slice(pinned.window * column.geometry.scale, (pinned.window + 1) * column.geometry.scale);
  const made = document.createElement("div");
  const where = column.geometry.scale === 1 ? `Token ${pinned.window}` : `Window ${pinned.window}`;
  node(made, "b", "", `${where} of ${column.title}, ${rows[pinned.row].name}: ${describePlace(own, grid[1])}`);
  const lines = node(made, "table", "mswin-pinned");
  for (const [words, number] of pinnedNumbers(pinned, table, { ...about, ...place })) {
    const line = node(lines, "tr", "");
    node(line, "td", "", words);
    node(line, "td", "mswin-number", number);
  }
  return made;
}
