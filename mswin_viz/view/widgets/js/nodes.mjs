// The elements that the widgets are made of.

export function node(parent, tag, name, text = "") {
  const made = Object.assign(document.createElement(tag), { className: name, textContent: text });
  parent.append(made);
  return made;
}
