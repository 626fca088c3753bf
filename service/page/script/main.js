// Which view is shown, who is looking, and what they may see.

import { getJson, Problem } from "./api.js";
import { h, problemBox } from "./dom.js";
import { ask, known } from "./key.js";

const VIEWS = {
  "": { title: "Pictures", load: () => import("./pictures.js") },
  review: { title: "Review", load: () => import("./review.js") },
  dashboard: { title: "Dashboard", load: () => import("./dashboard.js") },
};

const content = document.getElementById("content");
const shown = new Map(); // name → element: pictures and boxes stay while another view is looked at
let offer = null;

async function main() {
  // A file that misses the drop zone must not make the browser leave this page for it.
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  const keyButton = document.getElementById("key-button");
  keyButton.addEventListener("click", async () => {
    if (await ask()) location.reload();
  });
  try {
    offer = await getJson("v1/options");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    content.replaceChildren(h("div", { class: "panel narrow" }, h("h1", {}, "Veil"), problemBox(problem)));
    keyButton.hidden = problem.status !== 401 && problem.status !== 403;
    return;
  }
  keyButton.hidden = !known();
  document.getElementById("who").textContent = offer.key ? `Role ${offer.role}` : "";
  for (const link of document.querySelectorAll("[data-roles]")) {
    link.hidden = !link.dataset.roles.split(" ").includes(offer.role);
  }
  window.addEventListener("hashchange", () => show(true));
  await show(false);
}

async function show(moved) {
  const name = /^#\/(\w*)/.exec(location.hash)?.[1] ?? "";
  const view = VIEWS[name];
  if (!view) return;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === `#/${name}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${view.title} – Veil`;
  if (!shown.has(name)) {
    let part;
    try {
      part = await view.load();
    } catch {
      // A browser remembers that a module did not come: asking for it again helps only in a page that is loaded anew.
      if (!moved && !isReload()) location.reload();
      else content.replaceChildren(notLoaded());
      return;
    }
    shown.set(name, part.view(offer));
  }
  content.replaceChildren(shown.get(name));
  if (moved) content.focus();
}

function isReload() {
  return performance.getEntriesByType("navigation")[0]?.type === "reload";
}

function notLoaded() {
  const problem = {
    title: "This page did not come completely",
    detail: "The connection failed before all of its parts had arrived.",
    remedy: "Check the network and load the page again. Pictures in other views of this tab go with that: save them first.",
  };
  const again = h("button", { type: "button", class: "main", onclick: () => location.reload() }, "Load the page again");
  return h("div", { class: "panel narrow" }, h("h1", {}, "Veil"), problemBox(problem), again);
}

main();
