// What ipywidgets leaves out for those who do not see the page: the state of its toggle buttons, and the names of its
// sliders, menus and of what else has its name beside it.

// The name of a part from what stands around it; empty where nothing does.
export function nameOf(part) {
  const widget = part.closest(".jupyter-widgets");
  return widget?.querySelector(".widget-label")?.textContent.trim() || part.title || widget?.title || "";
}

// Whether a label names it: ipywidgets gives a menu without a description an empty one.
export const hasLabel = (part) => [...(part.labels ?? [])].some((label) => label.textContent.trim() !== "");

// The state of a toggle button, and whether it is said already.
export function pressed(button) {
  const now = String(button.classList.contains("mod-active"));
  return { now, isSaid: button.getAttribute("aria-pressed") === now };
}

function mark(view) {
  for (const button of view.querySelectorAll(".widget-toggle-button, .widget-toggle-buttons button")) {
    const { now, isSaid } = pressed(button);
    if (!isSaid) button.setAttribute("aria-pressed", now);
  }
  for (const part of view.querySelectorAll("[role=slider], .noUi-handle, input, select, textarea")) {
    if (part.hasAttribute("aria-label") || hasLabel(part)) continue;
    const name = nameOf(part);
    if (name) part.setAttribute("aria-label", name);
  }
}

// From now on, until the signal is aborted: parts come late, and buttons are pressed.
export function keepAccessible(view, signal) {
  const watching = new MutationObserver(() => mark(view));
  watching.observe(view, { subtree: true, childList: true, attributeFilter: ["class"] });
  signal.addEventListener("abort", () => watching.disconnect());
  mark(view);
}
