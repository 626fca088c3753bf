// The boxes as a list: the same changes as over the picture, with buttons and numbers.

import { h } from "./dom.js";

export function boxList(model) {
  const { item, detections } = model;
  return h(
    "div",
    {},
    h("h3", {}, `Found (${detections.length})`),
    detections.length ? null : h("p", { class: "hint" }, "Nothing was found. Drag over the picture to hide an area."),
    h(
      "ul",
      {},
      detections.map((each, i) => {
        const left = model.isLeft(each);
        return h(
          "li",
          { class: left ? "left" : null },
          h("span", { class: `mark ${left ? "left" : "found"}`, "aria-hidden": "true" }),
          h("button", { type: "button", class: "name", onclick: () => model.point(i), title: "Show it in the picture" }, `${each.class} ${each.score.toFixed(2)}`),
          model.mayLeave
            ? h("button", { type: "button", class: "small", "data-id": `list-${i}`, onclick: () => model.toggle(each) },
                left ? "Hide again" : "Leave visible", h("span", { class: "unseen" }, `: ${each.class} ${i + 1}`))
            : null,
        );
      }),
    ),
    detections.length && !model.mayLeave
      ? h("p", { class: "hint" }, "This deployment does not allow found objects to be left visible.")
      : null,
    h("h3", {}, `Added (${item.regions.length})`),
    h("ul", {}, item.regions.map((region) => addedRow(model, region))),
  );
}

function addedRow(model, region) {
  const [x1, y1, x2, y2] = region.box.map(Math.round);
  const names = ["left", "top", "right", "bottom"];
  const inputs = [x1, y1, x2, y2].map((value, i) =>
    h("input", {
      type: "number", value, min: 0, max: model.size()[i % 2], class: "tiny", "data-id": `number-${region.id}-${i}`,
      "aria-label": `Box ${region.id}, ${names[i]} in pixels`,
      onchange: () => {
        const box = inputs.map((input) => Number(input.value));
        if (box[0] < box[2] && box[1] < box[3]) model.change(region, box);
      },
    }),
  );
  return h(
    "li",
    {},
    h("span", { class: "mark added", "aria-hidden": "true" }),
    h("span", { class: "name" }, `Box ${region.id}`),
    h("span", { class: "numbers" }, inputs),
    h("button", { type: "button", class: "small", onclick: () => model.remove(region) }, "Remove",
      h("span", { class: "unseen" }, ` box ${region.id}`)),
  );
}
