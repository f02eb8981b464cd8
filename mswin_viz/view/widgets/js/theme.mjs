// Tells the kernel whether the page is dark: WebGL maps have a background of their own.
const isDark = () => {
  const { jpThemeLight } = document.body.dataset;
  if (jpThemeLight !== undefined) return jpThemeLight === "false";
  return document.body.classList.contains("vscode-dark");
};

function render({ model, el }) {
  el.style.display = "none";
  const tell = () => {
    if (model.get("is_dark") === isDark()) return;
    model.set("is_dark", isDark());
    model.save_changes();
  };
  const watching = new MutationObserver(tell);
  watching.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  tell();
  return () => watching.disconnect();
}

export default { render };
