// What a person sees in one picture, class by class, and the recall that all verdicts give.

import { Problem } from "./api.js";
import { announce, field, h, problemBox, table } from "./dom.js";

/** A form for each class; `record({class, seen, missed})` stores a verdict. */
export function verdictForms(classes, record) {
  return h("div", { class: "verdicts" }, classes.map((name) => verdictForm(name, record)));
}

function verdictForm(name, record) {
  const seen = h("input", { type: "number", min: 0, max: 10_000, value: 0, required: true });
  const missed = h("input", { type: "number", min: 0, max: 10_000, value: 0, required: true });
  const said = h("p", { class: "hint", role: "status" });
  const failed = h("div", {});
  const send = async (event) => {
    event.preventDefault();
    failed.replaceChildren();
    missed.setCustomValidity(Number(missed.value) > Number(seen.value) ? "Not more than there are." : "");
    if (!form.reportValidity()) return;
    const verdict = { class: name, seen: Number(seen.value), missed: Number(missed.value) };
    try {
      await record(verdict);
      said.textContent = `Recorded: ${verdict.seen} seen, ${verdict.missed} missed.`;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      failed.replaceChildren(problemBox(problem));
    }
  };
  const form = h(
    "form",
    { onsubmit: send, "aria-label": `Verdict on ${name}s` },
    h("h3", {}, `${name}s`),
    h("div", { class: "fields" }, field("In the picture", seen), field("Not hidden", missed)),
    h("div", { class: "row" },
      h("button", { type: "submit", class: "main" }, "Record"),
      h("button", { type: "button", onclick: (event) => { seen.value = 0; missed.value = 0; send(event); } }, `No ${name} here`)),
    said,
    failed,
  );
  for (const input of [seen, missed]) input.addEventListener("input", () => missed.setCustomValidity(""));
  return form;
}

const share = (value) => (value === null ? "–" : `${(value * 100).toFixed(1)} %`);

/** The state of a sample, as the service counts it. */
export function recallTable({ sample, reviewed, classes }) {
  announce(`${reviewed} of ${sample.receipts.length} pictures are reviewed.`);
  return [
    h("h3", {}, `Reviewed: ${reviewed} of ${sample.receipts.length}`),
    classes.length
      ? table("Recall by class", ["Class", "Pictures", "Seen", "Missed", "Recall", "At least (95 %)", "Clean pictures, at least"],
          classes.map((each) => [each.class, each.pictures, each.seen, each.missed, share(each.recall), share(each.recall_bound), share(each.clean_bound)]))
      : h("p", { class: "hint" }, "No verdict yet: the bound on the recall follows from them."),
  ];
}
