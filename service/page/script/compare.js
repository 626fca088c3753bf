// Before and after, one over the other. The slider is a range input, so arrow keys and screen readers work as usual.

import { h } from "./dom.js";

/** The comparison of two picture addresses. `before` may be a format that the browser cannot show. */
export function compare(before, after, name) {
  const range = h("input", { type: "range", min: 0, max: 100, value: 50, step: 1, "aria-label": "Share of the original that is shown" });
  const original = h("img", { class: "before", src: before, alt: "", draggable: "false" });
  const stage = h(
    "div",
    { class: "compare" },
    h("img", { class: "after", src: after, alt: `${name}, anonymized`, draggable: "false" }),
    original,
    h("span", { class: "tag left", "aria-hidden": "true" }, "Before"),
    h("span", { class: "tag right", "aria-hidden": "true" }, "After"),
    h("span", { class: "divider", "aria-hidden": "true" }),
    range,
  );
  const move = () => {
    stage.style.setProperty("--share", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} percent original`);
  };
  range.addEventListener("input", move);
  original.addEventListener("error", () => {
    stage.classList.add("only-after");
    range.disabled = true;
    stage.after(h("p", { class: "hint" }, "This browser cannot show the format of the original, so only the result is shown."));
  });
  move();
  return stage;
}
