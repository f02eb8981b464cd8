import assert from "node:assert/strict";
import test from "node:test";
import { AnswerTable, OfflineModel, PageValues, valueOf } from "../../mswin_viz/view/widgets/js/offline_model.mjs";
import { columnIn, pinnedNumbers } from "../../mswin_viz/view/widgets/js/offline_pins.mjs";

const base64 = (numbers) => Buffer.from(new Uint8Array(Float32Array.from(numbers).buffer)).toString("base64");

test("values are read through every reference, and each one once", () => {
  const values = new PageValues({ values: ["a long text", [{ $: 0 }, { $b: 0 }]], buffers: [base64([1.5, -2])] });
  const read = values.of({ list: { $: 1 }, plain: [1, null, true, "x"] });
  assert.equal(read.list[0], "a long text");
  assert.deepEqual([...new Float32Array(read.list[1].buffer)], [1.5, -2]);
  assert.deepEqual(read.plain, [1, null, true, "x"]);
  assert.equal(values.of({ $: 1 }), values.of({ $: 1 }));
});

test("a model tells its listeners of a change, once, and not when nothing changes", () => {
  const model = new OfflineModel("w1", { value: 1 });
  const heard = [];
  const react = (_model, value) => heard.push(value);
  model.on("change:value", react);
  model.set("value", 1);
  model.set("value", 2);
  model.off("change:value", react);
  model.set("value", 3);
  assert.deepEqual(heard, [2]);
  assert.equal(model.get("value"), 3);
});

test("messages to the kernel come to the page, and other models are found by id", async () => {
  const heard = [];
  const model = new OfflineModel("w1", {}, { find: (id) => `model ${id}`, heard: (from, content) => heard.push([from.model_id, content.kind]) });
  model.send({ kind: "reset" });
  assert.deepEqual(heard, [["w1", "reset"]]);
  assert.equal(await model.widget_manager.get_model("w7"), "model w7");
});

test("a menu's value stands at its position", () => {
  const menu = new OfflineModel("m", { index: 1, value: "wrong" });
  assert.equal(valueOf(menu, ["index", ["norm", "share"]]), "share");
  assert.equal(valueOf(menu, ["value", null]), "wrong");
});

test("an answer is found by the values of its controls; there may be none", () => {
  const models = { s: new OfflineModel("s", { selected: 2 }), m: new OfflineModel("m", { index: 0 }) };
  const table = new AnswerTable({ axes: [["s", "selected", null], ["m", "index", ["é", "b"]]], answers: { '[2,"é"]': "first", '[2,"b"]': "second" } }, models);
  assert.equal(table.answer(), "first");
  models.m.set("index", 1);
  assert.equal(table.answer(), "second");
  models.s.set("selected", 0);
  assert.equal(table.answer(), undefined);
  assert.equal(table.answer([2, "é"]), "first");
});

const column = (values) => ({ key: "scale-2", title: "scale 2", origin: "trained", unit: "norm", signed: false, words: "", scale: 2, stride: 2, tile: null, values });

test("the numbers of a pinned window are those of its row, by every value that has one", () => {
  const page = { values: [], buffers: [base64([1, 2, 3, 4]), base64([0.001, 0.002, 0.003, 0.004]), base64([NaN, NaN, NaN, NaN])] };
  const answer = (n) => ({ changes: { b: { columns: [column({ $b: n })], pyramid: {} } } });
  const models = { m: new OfflineModel("m", { index: 0 }) };
  const answers = { '["norm"]': answer(0), '["share"]': answer(1), '["push"]': answer(2) };
  const table = new AnswerTable({ axes: [["m", "index", ["norm", "share", "push"]]], answers }, models);
  const about = { values: new PageValues(page), labels: { norm: "norm", share: "share", push: "push", channel: "no such" }, axis: 0, thousandths: ["share"] };
  const rows = pinnedNumbers({ key: "scale-2", row: 1, window: 0 }, table, { ...about, board: "b", scale: 1, grid: [1, 4], nRows: 2 });
  assert.deepEqual(rows, [["norm", "3"], ["share", "3 thousandths"]]);
});

test("of the free windows the column is that of the scale", () => {
  const all = [1, 2, 3, 4, 12, 34, 123, 1234]; // one row, scales 1 to 4 of four tokens
  const pyramid = { key: "free", unit: "norm", signed: false, titles: ["1", "2", "3", "4"], origins: ["", "", "", ""], words: ["", "", "", ""], values: { $b: 0 } };
  const values = new PageValues({ values: [], buffers: [base64(all)] });
  const found = (scale) => columnIn({ changes: { b: { columns: [], pyramid } } }, values, { board: "b", key: "free", scale, grid: [1, 4], nRows: 1 });
  assert.deepEqual([...found(2).values[0]], [12, 34]);
  assert.deepEqual([...found(3).values[0]], [123]);
  assert.equal(found(4).title, "4");
});
