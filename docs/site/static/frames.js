// Frames of explorers are as high as the page in them says it is.
window.addEventListener("message", ({ data, source }) => {
  if (!Number.isFinite(data?.mswinVizHeight)) return;
  for (const frame of document.querySelectorAll("iframe.live-view"))
    if (frame.contentWindow === source) frame.style.height = `${data.mswinVizHeight + 2}px`;
});
