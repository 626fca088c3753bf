// One picture: compare it, correct its boxes, turn a panorama, read its receipt.

import { compare } from "./compare.js";
import { save } from "./download.js";
import { h, problemBox } from "./dom.js";
import { editor } from "./editor.js";
import { panorama } from "./panorama.js";
import { receiptView } from "./receipt.js";

/** `again(item)` sends it again. The answer has `element`, `changed()` (its state did), `refresh()`, `close()`. */
export function pictureView(item, offer, options, again) {
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Ways to look at it" });
  const body = h("div", { class: "body", role: "tabpanel", id: "picture-body", tabindex: "-1" });
  const notice = h("div", { class: "notice" });
  const actions = h("div", { class: "row actions" });
  const receipt = h("div", { class: "panel" });
  const zoom = h("select", { "aria-label": "Zoom", onchange: magnify }, [1, 2, 4, 8].map((each) => h("option", { value: each }, each === 1 ? "Fit" : `${each}×`)));
  const ways = h("div", { class: "ways" }, tabs, zoom);
  const element = h("div", { class: "picture" }, h("h2", {}, item.path), notice, ways, body, actions, receipt);
  let mode = "compare";
  let shownResult = null;
  let opened = null;

  const WAYS = {
    compare: ["Compare", () => h("div", { class: "frame" }, compare(item.before, item.after, item.path))],
    boxes: ["Boxes", boxes],
    turn: ["Turn", turn],
  };

  function boxes() {
    const made = editor(item, offer, options.margin, refresh);
    const image = made.stage.querySelector("img");
    image.addEventListener("load", () => {
      item.size = made.size();
    });
    const add = h("button", { type: "button", class: "small", onclick: made.add }, "Add a box");
    return h(
      "div",
      { class: "boxes-view" },
      h("div", { class: "frame" }, made.stage),
      h("div", { class: "beside" }, add,
        h("p", { class: "hint" }, "Drag over the picture, or add a box and move it with the arrow keys; with Shift they change its size."),
        made.list),
    );
  }

  function turn() {
    const place = h("div", { class: "hint" }, "Loading the viewer …");
    panorama(item.after, item.path).then((made) => {
      if (!place.isConnected) return;
      place.replaceWith(made.stage);
      made.open();
      opened = made;
    });
    return place;
  }

  function magnify() {
    body.style.setProperty("--zoom", zoom.value);
    body.classList.toggle("zoomed", zoom.value !== "1");
  }

  function close() {
    opened?.close();
    opened = null;
  }

  function show(next, focus = false) {
    mode = next;
    close();
    zoom.hidden = mode === "turn";
    const names = Object.keys(WAYS).filter((each) => each !== "turn" || item.result.projection === "equirectangular");
    tabs.replaceChildren(
      ...names.map((each) =>
        h("button", {
          type: "button", role: "tab", id: `tab-${each}`, "aria-selected": String(each === mode), "aria-controls": "picture-body",
          tabindex: each === mode ? "0" : "-1", onclick: () => show(each, true),
          onkeydown: (event) => {
            const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            if (by) show(names[(names.indexOf(each) + by + names.length) % names.length], true);
          },
        }, WAYS[each][0]),
      ),
    );
    body.setAttribute("aria-labelledby", `tab-${mode}`);
    body.replaceChildren(WAYS[mode][1]());
    if (focus) tabs.querySelector('[aria-selected="true"]').focus();
  }

  function refresh() {
    const busy = ["waiting", "sending", "working", "busy"].includes(item.state);
    actions.replaceChildren(
      ...[
        item.done
          ? h("button", { type: "button", class: item.edited ? null : "main", onclick: () => save(item.result.blob, item.target), disabled: busy }, "Download")
          : null,
        item.done || item.state === "failed"
          ? h("button", { type: "button", class: item.edited ? "main" : null, disabled: busy, onclick: () => again(item) },
              item.done ? "Anonymize again" : "Try again")
          : null,
        item.edited && !busy ? h("span", { class: "hint" }, "The boxes are changed: the result shown is of before.") : null,
      ].filter(Boolean),
    );
  }

  function changed() {
    refresh();
    notice.replaceChildren();
    if (item.problem) notice.append(problemBox(item.problem));
    if (!item.result) {
      ways.hidden = true;
      body.replaceChildren(h("img", { class: "alone", src: item.before, alt: `${item.path}, not anonymized yet`, onerror: (event) => event.target.remove() }));
      receipt.hidden = true;
    } else if (item.result !== shownResult) {
      shownResult = item.result;
      ways.hidden = false;
      receipt.hidden = false;
      receipt.replaceChildren(h("h3", {}, "Receipt"), receiptView(item.result.receipt, item.result.blob));
      show(mode);
    }
  }

  changed();
  return { element, changed, refresh, close };
}
