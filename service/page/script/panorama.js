// A panorama that can be turned, with Photo Sphere Viewer (MIT), which ships with the service.

import { h } from "./dom.js";

/** Shows the panorama at `address` inside a new element; `close()` frees the graphics memory. */
export async function panorama(address, name) {
  const { Viewer } = await import("../vendor/photo-sphere-viewer/index.module.js");
  if (!document.querySelector("link[data-viewer]")) {
    const style = h("link", { rel: "stylesheet", href: "page/vendor/photo-sphere-viewer/index.css", "data-viewer": true });
    document.head.append(style);
    await new Promise((ready) => style.addEventListener("load", ready, { once: true }));
  }
  const stage = h("div", { class: "sphere", role: "application", "aria-label": `${name}: panorama, arrow keys turn it` });
  let viewer = null;
  return {
    stage,
    open() {
      viewer = new Viewer({
        container: stage,
        panorama: address,
        navbar: ["zoom", "move", "fullscreen"],
        keyboard: "always",
        mousewheelCtrlKey: true,
        defaultZoomLvl: 0,
      });
      viewer.addEventListener("panorama-loaded", () => stage.setAttribute("data-ready", "true"), { once: true });
      viewer.addEventListener("position-updated", ({ position }) => {
        stage.setAttribute("data-yaw", position.yaw.toFixed(3));
      });
    },
    close() {
      viewer?.destroy();
    },
  };
}
