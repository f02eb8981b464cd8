// Which key presses take a step back, and where they are left to the element that has them. Pure functions: node tests
// them.

const NO_TEXT = ["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"];

// Ctrl+Z, or Cmd+Z; with Shift it is "redo".
export function isUndo({ key, ctrlKey, metaKey, altKey, shiftKey }) {
  return key?.toLowerCase() === "z" && Boolean(ctrlKey) !== Boolean(metaKey) && !altKey && !shiftKey;
}

// Whether what is typed into an element is taken back there.
export function hasOwnUndo({ tagName, type, isContentEditable }) {
  return tagName === "TEXTAREA" || (tagName === "INPUT" && !NO_TEXT.includes(type)) || isContentEditable === true;
}
