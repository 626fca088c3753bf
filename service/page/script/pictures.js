// The view for pictures: drop, watch the queue, look at one, correct it, download.

import { areaOptions } from "./areas.js";
import { saveAll } from "./download.js";
import { announce, h } from "./dom.js";
import { dropZone } from "./intake.js";
import { optionsForm } from "./options.js";
import { pictureView } from "./picture.js";
import { Queue } from "./queue.js";

const SAID = {
  waiting: "waiting", sending: "sending", working: "being anonymized", busy: "service is busy, waiting", done: "done", failed: "failed",
};

export function view(offer) {
  const queue = new Queue();
  const rows = new Map();
  let selected = null;
  let pane = null;

  const stale = () => pane?.refresh();
  const options = optionsForm(offer, stale);
  const requestOf = (item) => {
    const [width, height] = item.size ?? [0, 0];
    return { ...options.read(), ...areaOptions(item, width, height, item.result?.projection === "equirectangular") };
  };
  const again = (item) => options.valid() && queue.again(item, requestOf);

  const list = h("ul", { class: "queue", "aria-label": "Pictures" });
  const summary = h("p", { class: "hint", "aria-live": "polite" });
  const all = h("button", { type: "button", disabled: true, onclick: () => saveAll(queue.items.filter((each) => each.done), "anonymized.zip") }, "Download all (ZIP)");
  const clear = h("button", { type: "button", class: "quiet", disabled: true, onclick: () => [...queue.items].forEach((item) => queue.remove(item)) }, "Clear");
  const place = h("section", { class: "shown", "aria-label": "Picture" }, welcome());

  function take(found, others) {
    const large = found.filter(({ file }) => file.size > offer.max_upload_bytes).length;
    if (found.length && options.valid()) {
      const [first] = queue.add(found, requestOf);
      if (!selected) select(first);
    }
    const said = [`${found.length} pictures are added.`];
    if (others) said.push(`${others} other files are left out.`);
    if (large) said.push(`${large} are larger than this service accepts.`);
    announce(said.join(" "));
    if (others || large) summary.textContent = said.slice(1).join(" ");
  }

  function select(item) {
    selected = item;
    pane?.close();
    pane = item ? pictureView(item, offer, options, again) : null;
    place.replaceChildren(pane ? pane.element : welcome());
    for (const [each, row] of rows) {
      if (each === item) row.button.setAttribute("aria-current", "true");
      else row.button.removeAttribute("aria-current");
    }
  }

  queue.addEventListener("change", ({ detail: item }) => {
    if (item.state === "removed") {
      rows.get(item)?.row.remove();
      rows.delete(item);
      if (selected === item) select(queue.items[0] ?? null);
    } else {
      if (!rows.has(item)) addRow(item);
      showRow(item);
      if (item === selected) pane?.changed();
    }
    const done = queue.items.filter((each) => each.done).length;
    const failed = queue.items.filter((each) => each.state === "failed").length;
    all.disabled = done === 0;
    clear.disabled = queue.items.length === 0;
    summary.textContent = queue.items.length ? `${done} of ${queue.items.length} done${failed ? `, ${failed} failed` : ""}` : "";
    if (item.state === "done" || item.state === "failed") announce(`${item.path}: ${SAID[item.state]}.`);
  });

  function addRow(item) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${item.path}` });
    const state = h("span", { class: "state" });
    const button = h("button", { type: "button", class: "entry", onclick: () => select(item) },
      h("img", { src: item.before, alt: "", width: 44, height: 44, loading: "lazy", onerror: (event) => event.target.classList.add("unseen") }),
      h("span", { class: "name" }, item.path), state);
    const remove = h("button", { type: "button", class: "icon", onclick: () => queue.remove(item), "aria-label": `Remove ${item.path}`, title: "Remove" }, "×");
    const row = h("li", {}, button, remove, bar);
    rows.set(item, { row, button, bar, state });
    list.append(row);
  }

  function showRow(item) {
    const { row, bar, state } = rows.get(item);
    row.className = item.state;
    const counts = item.result ? Object.values(item.result.receipt.counts).reduce((sum, each) => sum + each, 0) : 0;
    state.textContent =
      item.state === "failed" ? item.problem.title
      : item.state === "done" ? `${counts} hidden`
      : SAID[item.state];
    bar.hidden = item.state !== "sending" && item.state !== "working";
    if (item.state === "working") bar.removeAttribute("value");
    else bar.value = item.sent;
  }

  return h(
    "div",
    { class: "pictures" },
    h(
      "section",
      { class: "side", "aria-label": "Upload" },
      h("h1", {}, "Pictures"),
      dropZone("Drop pictures or a folder here.", take),
      h("p", { class: "hint" }, "Each picture goes to this service and comes back. Neither the service nor this page keeps it."),
      h("details", { class: "panel" }, h("summary", {}, "Options"), options.form),
      h("div", { class: "row" }, all, clear),
      summary,
      list,
    ),
    place,
  );
}

function welcome() {
  return h(
    "div",
    { class: "empty" },
    h("img", { src: "page/icon.svg", alt: "", width: 72, height: 72 }),
    h("p", {}, "Faces and license plates are hidden for good; all else stays as it is."),
    h("p", { class: "hint" }, "Every picture comes back with a receipt: what was hidden, by which models, under which policy."),
  );
}
