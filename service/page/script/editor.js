// Boxes over the original: what was found can be left visible, what was not can be added, by mouse and by keyboard.

import { inside, leftVisible, overlap } from "./areas.js";
import { announce, h, s } from "./dom.js";
import { boxList } from "./boxlist.js";

const SAME = 0.6;

/** The editor of `item`. `changed()` is called after each change; `offer.exclude` says whether boxes may be removed. */
export function editor(item, offer, marginOf, changed) {
  const panorama = item.result.projection === "equirectangular";
  const detections = item.result.receipt.detections ?? [];
  const base = h("img", { src: item.before, alt: `${item.path}, original`, draggable: "false" });
  const drawing = s("svg", { class: "boxes", role: "group", "aria-label": "Boxes" });
  const stage = h("div", { class: "editor" }, base, drawing);
  const list = h("div", { class: "boxlist" });
  let size = [0, 0];
  let made = item.regions.reduce((most, each) => Math.max(most, each.id), 0);

  const leftOf = (detection) => item.left.find((each) => overlap(each.box, detection.box) > SAME);
  const model = {
    item, detections, mayLeave: offer.exclude,
    size: () => size,
    isLeft: (detection) => Boolean(leftOf(detection)),
    toggle(detection) {
      if (!offer.exclude) return announce("This deployment does not allow found objects to be left visible.");
      const found = leftOf(detection);
      if (found) item.left = item.left.filter((each) => each !== found);
      else item.left.push({ box: detection.box, area: leftVisible(detection, marginOf(detection.class)) });
      announce(found ? `The ${detection.class} is hidden again.` : `The ${detection.class} will be left visible.`);
      return edited();
    },
    point(i) {
      drawing.querySelector(`[data-id="found-${i}"]`)?.focus();
    },
    add(box = null) {
      const [width, height] = size;
      made += 1;
      const region = { id: made, box: box ?? [width * 0.4, height * 0.4, width * 0.6, height * 0.6] };
      item.regions.push(region);
      edited();
      drawing.querySelector(`[data-id="region-${region.id}"]`)?.focus();
      announce(`Box ${region.id} is added. Arrow keys move it, with Shift they change its size, Delete removes it.`);
    },
    change(region, box) {
      const [first] = inside(box, ...size, false);
      if (first) region.box = first;
      edited();
    },
    remove(region) {
      item.regions = item.regions.filter((each) => each !== region);
      announce(`Box ${region.id} is removed.`);
      edited();
    },
  };

  const edited = () => {
    item.edited = true;
    draw();
    changed();
  };

  function draw() {
    const focused = document.activeElement?.closest("[data-id]")?.dataset.id;
    const within = (root) => focused && root.querySelector(`[data-id="${focused}"]`);
    drawing.replaceChildren(
      ...detections.flatMap((detection, i) => found(detection, i)),
      ...item.left.map((each) => rectangle(each.area, "left-area")),
      ...item.regions.map(added),
    );
    list.replaceChildren(boxList(model));
    (within(drawing) ?? within(list))?.focus();
  }

  function found(detection, i) {
    const left = model.isLeft(detection);
    const label = `${detection.class}, score ${detection.score.toFixed(2)}, ${left ? "left visible" : "hidden"}`;
    const shapes = detection.polygon
      ? (panorama ? [-size[0], 0, size[0]] : [0]).map((by) =>
          s("polygon", { points: detection.polygon.map(([x, y]) => `${x + by},${y}`).join(" ") }))
      : inside(detection.box, ...size, panorama).map((box) => rectangle(box));
    const toggle = () => model.toggle(detection);
    return s(
      "g",
      {
        class: `found ${left ? "left" : ""}`, tabindex: "0", role: "button", "data-id": `found-${i}`,
        "aria-label": label, "aria-pressed": String(left), onclick: toggle,
        onpointerdown: (event) => event.stopPropagation(),
        onkeydown: (event) => {
          if (!["Enter", " ", "Delete", "Backspace"].includes(event.key)) return;
          event.preventDefault();
          toggle();
        },
      },
      s("title", {}, label),
      shapes,
    );
  }

  function added(region) {
    const [x1, y1, x2, y2] = region.box;
    const group = s(
      "g",
      {
        class: "added", tabindex: "0", role: "button", "data-id": `region-${region.id}`,
        "aria-label": `Added box ${region.id}, ${Math.round(x2 - x1)} by ${Math.round(y2 - y1)} pixels`,
        "aria-keyshortcuts": "Delete ArrowLeft ArrowRight ArrowUp ArrowDown",
        onkeydown: (event) => steer(event, region),
      },
      s("title", {}, `Added box ${region.id}`),
      rectangle(region.box),
    );
    const corner = s("circle", { class: "corner", cx: x2, cy: y2, r: Math.max(...size) / 110 });
    group.append(corner);
    group.addEventListener("pointerdown", (event) => drag(event, region, event.target === corner));
    return group;
  }

  function steer(event, region) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      return model.remove(region);
    }
    const step = Math.max(1, Math.round(Math.max(...size) / 200));
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [];
    if (dx === undefined) return undefined;
    event.preventDefault();
    return model.change(region, moved(region.box, dx, dy, event.shiftKey));
  }

  const at = (event) => {
    const place = drawing.getBoundingClientRect();
    return [((event.clientX - place.left) / place.width) * size[0], ((event.clientY - place.top) / place.height) * size[1]];
  };

  function drag(event, region, resize) {
    event.preventDefault();
    event.stopPropagation();
    const from = at(event);
    const start = region.box;
    follow(event, (now) => model.change(region, moved(start, now[0] - from[0], now[1] - from[1], resize)));
  }

  function follow(event, move, end = () => {}) {
    drawing.setPointerCapture(event.pointerId);
    const moving = (each) => move(at(each));
    const stop = () => {
      drawing.removeEventListener("pointermove", moving);
      end();
    };
    drawing.addEventListener("pointermove", moving);
    drawing.addEventListener("pointerup", stop, { once: true });
  }

  drawing.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    const from = at(event);
    const ghost = rectangle([...from, ...from], "ghost");
    drawing.append(ghost);
    let box = [...from, ...from];
    follow(
      event,
      (now) => {
        box = [Math.min(from[0], now[0]), Math.min(from[1], now[1]), Math.max(from[0], now[0]), Math.max(from[1], now[1])];
        place(ghost, box);
      },
      () => {
        ghost.remove();
        const [first] = inside(box, ...size, false);
        if (first && first[2] - first[0] > size[0] / 300 && first[3] - first[1] > size[1] / 300) model.add(first);
      },
    );
  });

  base.addEventListener("load", () => {
    size = [base.naturalWidth, base.naturalHeight];
    drawing.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    draw();
  });
  base.addEventListener("error", () => {
    // A format that the browser does not show: the result has the same pixels outside of its masks.
    if (base.src !== item.after) base.src = item.after;
  });
  return { stage, list, add: () => model.add(), size: () => size, panorama };
}

function moved([x1, y1, x2, y2], dx, dy, resize) {
  return resize ? [x1, y1, Math.max(x1 + 2, x2 + dx), Math.max(y1 + 2, y2 + dy)] : [x1 + dx, y1 + dy, x2 + dx, y2 + dy];
}

function rectangle(box, name = null) {
  const made = s("rect", { class: name });
  place(made, box);
  return made;
}

function place(made, [x1, y1, x2, y2]) {
  for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) made.setAttribute(name, value);
}
