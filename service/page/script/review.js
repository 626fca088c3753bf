// Review: random pictures of a period, what a person sees in each, and the recall that follows.

import { getJson, postJson, Problem } from "./api.js";
import { sha256Of } from "./digest.js";
import { announce, field, h, problemBox } from "./dom.js";
import { dropZone } from "./intake.js";
import { recallTable, verdictForms } from "./verdicts.js";

const WEEK = 7 * 86_400_000;
const AT_ONCE = 4;

export function view(offer) {
  const place = h("div", {});
  const failed = h("div", {});
  const since = h("input", { type: "datetime-local", required: true, step: 1, value: local(new Date(Date.now() - WEEK)) });
  const until = h("input", { type: "datetime-local", required: true, step: 1, value: local(new Date()) });
  const count = h("input", { type: "number", required: true, min: 1, max: 10_000, value: 50 });
  const seed = h("input", { type: "text", maxlength: 64, placeholder: "random" });
  const id = h("input", { type: "text", required: true, maxlength: 64, spellcheck: "false" });

  const attempt = (work) => async (event) => {
    event.preventDefault();
    failed.replaceChildren();
    try {
      await work();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      failed.replaceChildren(problemBox(problem));
    }
  };
  const draw = attempt(async () => {
    const wanted = { since: new Date(since.value).toISOString(), until: new Date(until.value).toISOString(), n: Number(count.value) };
    if (seed.value) wanted.seed = seed.value;
    const sample = await postJson("v1/samples", wanted);
    open(await getJson(`v1/samples/${sample.id}`));
  });
  const find = attempt(async () => open(await getJson(`v1/samples/${encodeURIComponent(id.value.trim())}`)));
  const open = (found) => place.replaceChildren(sampleView(found, offer));

  return h(
    "div",
    {},
    h("h1", {}, "Review"),
    h("p", { class: "hint" }, "Veil keeps no picture. Draw a sample, give your own copies of its pictures to this page, and say what you see: ",
      "they are matched by SHA-256 and stay in this tab."),
    h(
      "div",
      { class: "columns" },
      h("form", { class: "panel", onsubmit: draw, "aria-label": "Draw a sample" }, h("h2", {}, "Draw a sample"),
        h("div", { class: "fields periods" }, field("From", since), field("Until", until), field("Pictures", count), field("Seed", seed, "the same seed gives the same sample")),
        h("p", {}), h("button", { type: "submit", class: "main" }, "Draw")),
      h("form", { class: "panel", onsubmit: find, "aria-label": "Open a sample" }, h("h2", {}, "Open a sample"),
        field("Sample id", id), h("p", {}), h("button", { type: "submit" }, "Open")),
    ),
    failed,
    place,
  );
}

function sampleView(found, offer) {
  const { sample } = found;
  const receipts = new Map(); // id → receipt, as they arrive
  const pictures = new Map(); // SHA-256 → address of the reviewer's own copy
  const judged = new Set();
  const buttons = new Map();
  const shown = h("section", { "aria-label": "Picture of the sample" }, h("p", { class: "empty" }, "Choose a picture of the sample."));
  const recall = h("div", { class: "panel" });
  const matched = h("p", { class: "hint", role: "status" }, "");
  let selected = null;

  const update = (now) => recall.replaceChildren(...recallTable(now));
  const copyOf = (id) => pictures.get(receipts.get(id)?.output.sha256);
  const mark = (id) => {
    const flag = buttons.get(id).querySelector(".flag");
    flag.textContent = judged.has(id) ? "judged" : copyOf(id) ? "picture at hand" : "";
    flag.className = `flag ${judged.has(id) ? "good" : ""}`;
  };
  const tell = () => {
    const count = sample.receipts.filter(copyOf).length;
    matched.textContent = `${count} of ${sample.receipts.length} pictures are at hand.`;
  };

  async function take(files) {
    for (const { file } of files) {
      const digest = await sha256Of(file);
      if (!pictures.has(digest)) pictures.set(digest, URL.createObjectURL(file));
    }
    sample.receipts.forEach(mark);
    tell();
    announce(matched.textContent);
    if (selected) show(selected);
  }

  function show(id) {
    selected = id;
    for (const [each, button] of buttons) {
      if (each === id) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    const receipt = receipts.get(id);
    const copy = copyOf(id);
    const counts = receipt ? Object.entries(receipt.counts).map(([name, count]) => `${count} ${name}`).join(", ") : "";
    shown.replaceChildren(
      h("h2", {}, receipt?.source_ref ?? id),
      copy ? h("img", { class: "judged", src: copy, alt: "The anonymized picture" })
        : h("div", { class: "panel" }, h("p", {}, "Your copy of this picture is not here yet."),
            h("p", { class: "hint" }, "Its SHA-256 is ", h("code", {}, receipt?.output.sha256 ?? "…"))),
      receipt ? h("p", { class: "hint" }, `The service hid: ${counts || "nothing"}.`) : null,
      verdictForms(offer.classes.map((each) => each.name), async (verdict) => {
        update(await postJson(`v1/samples/${sample.id}/verdicts`, { receipt: id, ...verdict }));
        judged.add(id);
        mark(id);
      }),
    );
  }

  async function load() {
    const waiting = [...sample.receipts];
    const one = async () => {
      for (let id = waiting.shift(); id; id = waiting.shift()) {
        try {
          receipts.set(id, await getJson(`v1/receipts/${id}`));
          mark(id);
          if (selected === id) show(id);
        } catch (problem) {
          if (!(problem instanceof Problem)) throw problem;
          buttons.get(id).querySelector(".flag").textContent = problem.title;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    tell();
  }

  const list = h("ol", { class: "drawn", "aria-label": "Pictures of the sample" },
    sample.receipts.map((id, i) => {
      const button = h("button", { type: "button", onclick: () => show(id) }, `${i + 1}`, h("code", {}, id.slice(0, 8), "…", id.slice(-4)), h("span", { class: "flag" }));
      buttons.set(id, button);
      return h("li", {}, button);
    }));
  update(found);
  load();
  return h(
    "div",
    {},
    h("h2", {}, `Sample ${sample.id}`),
    h("p", { class: "hint" }, `${sample.receipts.length} of ${sample.population} pictures, ${new Date(sample.since).toLocaleString()} – ${new Date(sample.until).toLocaleString()}, seed `, h("code", {}, sample.seed)),
    h("div", { class: "review" },
      h("div", {}, dropZone("Drop your anonymized pictures here.", take), matched, list),
      h("div", {}, shown, recall)),
  );
}

function local(moment) {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
