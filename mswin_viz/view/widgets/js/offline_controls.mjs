// ipywidgets' boxes and controls, as plain elements with ipywidgets' classes: what a saved page shows in their place.
import { node } from "./nodes.mjs";

// An element that follows a model: `show` is called now and with each change of these traits.
function follow(model, names, show) {
  names.forEach((name) => model.on(`change:${name}`, show));
  show();
}

function labelled(model, kind) {
  const el = Object.assign(document.createElement("div"), { className: `widget-inline-hbox ${kind}` });
  const label = node(el, "label", "widget-label", model.get("description") ?? "");
  const { description_width } = model.get("style") ?? {};
  if (description_width && description_width !== "initial") label.style.width = description_width;
  label.hidden = !label.textContent;
  return { el, label };
}

function named(label, control, model) {
  control.id = `mswin-control-${model.model_id}`;
  label.htmlFor = control.id;
  control.title = label.title = model.get("tooltip") ?? "";
}

function box(kind) {
  return (model, build) => {
    const el = Object.assign(document.createElement("div"), { className: `widget-box ${kind}` });
    el.append(...model.get("children").map(build));
    return el;
  };
}

// Words that were made before: a template of the page, by its name.
function html(model) {
  const el = Object.assign(document.createElement("div"), { className: "widget-html" });
  const content = node(el, "div", "widget-html-content");
  follow(model, ["value"], () => {
    const value = model.get("value");
    if (value instanceof Node) return content.replaceChildren(value);
    const template = value ? document.getElementById(value) : null;
    content.replaceChildren(...(template ? [template.content.cloneNode(true)] : []));
  });
  return el;
}

function menu(model) {
  const { el, label } = labelled(model, "widget-dropdown");
  const select = node(el, "select", "");
  named(label, select, model);
  if (!label.textContent) select.setAttribute("aria-label", select.title);
  follow(model, ["_options_labels"], () => select.replaceChildren(...model.get("_options_labels").map((words) => new Option(words))));
  follow(model, ["index"], () => (select.selectedIndex = model.get("index") ?? -1));
  select.addEventListener("change", () => model.set("index", select.selectedIndex));
  return el;
}

function press(button, isPressed) {
  button.classList.toggle("mod-active", isPressed);
  button.setAttribute("aria-pressed", String(isPressed));
}

function buttons(model) {
  const { el, label } = labelled(model, "widget-toggle-buttons");
  const group = node(el, "div", "");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", label.textContent);
  const [words, hints] = [model.get("_options_labels"), model.get("tooltips") ?? []];
  const each = words.map((text, at) => {
    const button = Object.assign(node(group, "button", "widget-toggle-button", text), { type: "button", title: hints[at] ?? "" });
    button.addEventListener("click", () => model.set("index", at));
    return button;
  });
  follow(model, ["index"], () => each.forEach((button, at) => press(button, at === model.get("index"))));
  return el;
}

function toggle(model) {
  const el = Object.assign(document.createElement("button"), { className: "widget-toggle-button", type: "button", textContent: model.get("description") });
  el.title = model.get("tooltip") ?? "";
  el.addEventListener("click", () => model.set("value", !model.get("value")));
  follow(model, ["value"], () => press(el, model.get("value")));
  return el;
}

function checkbox(model) {
  const el = Object.assign(document.createElement("div"), { className: "widget-checkbox" });
  const label = node(el, "label", "widget-label-basic");
  const input = Object.assign(node(label, "input", ""), { type: "checkbox" });
  label.append(` ${model.get("description")}`);
  label.title = model.get("tooltip") ?? "";
  input.addEventListener("change", () => model.set("value", input.checked));
  follow(model, ["value"], () => (input.checked = model.get("value")));
  return el;
}

function slider(model) {
  const { el, label } = labelled(model, "widget-slider");
  const input = Object.assign(node(el, "input", ""), { type: "range" });
  const number = node(el, "output", "widget-readout");
  const [min, max, step] = ["min", "max", "step"].map((name) => model.get(name));
  Object.assign(input, { min, max, step });
  named(label, input, model);
  input.addEventListener("input", () => model.set("value", Number(input.value)));
  follow(model, ["value"], () => {
    input.value = model.get("value");
    number.textContent = model.get("value").toFixed(step < 1 ? 2 : 0);
  });
  return el;
}

const VIEWS = {
  BoxModel: box("widget-box"), HBoxModel: box("widget-hbox"), VBoxModel: box("widget-vbox"), HTMLModel: html, DropdownModel: menu,
  ToggleButtonsModel: buttons, ToggleButtonModel: toggle, CheckboxModel: checkbox, FloatSliderModel: slider, IntSliderModel: slider,
};

// The element of a model; one of our own is drawn by its script.
export function built(model, scripts, build) {
  const own = model.get("script");
  const el = own === undefined ? VIEWS[model.get("_model_name")](model, build) : document.createElement("div");
  el.classList.add("jupyter-widgets", ...model.get("_dom_classes") ?? []);
  for (const [name, value] of Object.entries(model.get("layout") ?? {})) el.style.setProperty(name.replaceAll("_", "-"), value);
  if (own !== undefined) scripts[own].render({ model, el });
  return el;
}
