// What stands in for a kernel in a saved page: models with the traits that were saved, and answers that were computed
// before. Pure: node tests it.

// Values of a page: {"$": n} stands for the n-th of the values that occur more than once, {"$b": n} for the n-th run of
// bytes (base64). Each is read once, when it is first needed.
export class PageValues {
  constructor({ values, buffers }) {
    Object.assign(this, { values, buffers, read: new Map(), bytes: new Map() });
  }

  of(value) {
    if (Array.isArray(value)) return value.map((one) => this.of(one));
    if (value === null || typeof value !== "object") return value;
    if ("$" in value) return once(this.read, value.$, () => this.of(this.values[value.$]));
    if ("$b" in value) return once(this.bytes, value.$b, () => viewOf(this.buffers[value.$b]));
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, this.of(one)]));
  }
}

function once(kept, key, make) {
  if (!kept.has(key)) kept.set(key, make());
  return kept.get(key);
}

function viewOf(text) {
  return new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

// One widget's traits, with what Jupyter's models have that our scripts use. Nothing is sent anywhere: `heard` gets what
// would go to the kernel.
export class OfflineModel {
  constructor(id, traits, { find = () => undefined, heard = () => {} } = {}) {
    Object.assign(this, { model_id: id, traits, heard, listeners: new Map() });
    this.widget_manager = { get_model: async (other) => find(other) };
  }

  get(name) {
    return this.traits[name];
  }

  set(name, value) {
    if (Object.is(this.traits[name], value)) return;
    this.traits[name] = value;
    this.tell(`change:${name}`, this, value);
  }

  save_changes() {}

  send(content) {
    this.heard(this, content);
  }

  on(event, react) {
    this.listeners.set(event, [...this.listeners.get(event) ?? [], react]);
  }

  off(event, react) {
    this.listeners.set(event, (this.listeners.get(event) ?? []).filter((other) => other !== react));
  }

  tell(event, ...words) {
    for (const react of this.listeners.get(event) ?? []) react(...words);
  }
}

// The value of a control: of a menu, what stands at its position among `values`.
export function valueOf(model, [trait, values]) {
  return values ? values[model.get(trait)] : model.get(trait);
}

// Answers by the values of the controls they depend on, as {axes: [[control, trait, values or null]], answers: {key: answer}}.
export class AnswerTable {
  constructor({ axes, answers }, models) {
    Object.assign(this, { axes, answers, models });
  }

  // The values that are chosen now.
  get chosen() {
    return this.axes.map(([id, ...place]) => valueOf(this.models[id], place));
  }

  // The answer to the chosen values, or to these; undefined where the page holds none.
  answer(chosen = this.chosen) {
    return this.answers[JSON.stringify(chosen)];
  }
}
