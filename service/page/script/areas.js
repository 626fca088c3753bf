// Boxes in pixels of the upright picture: [x1, y1, x2, y2].

const CERTAIN = 0.35;
const LEAST = 12;

/** The area that leaves a detection visible: its box, and what its mask adds (margin, shape, feathered edge). */
export function leftVisible(detection, margin) {
  const [x1, y1, x2, y2] = detection.polygon ? bounds(detection.polygon) : detection.box;
  const dx = Math.max(LEAST, (x2 - x1) * (margin + CERTAIN));
  const dy = Math.max(LEAST, (y2 - y1) * (margin + CERTAIN));
  return [x1 - dx, y1 - dy, x2 + dx, y2 + dy];
}

export function bounds(points) {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Intersection over union. */
export function overlap(a, b) {
  const side = (i) => Math.max(0, Math.min(a[i + 2], b[i + 2]) - Math.max(a[i], b[i]));
  const both = side(0) * side(1);
  const size = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
  return both / (size(a) + size(b) - both || 1);
}

/** `box` inside a picture of this size; in a panorama what goes on beyond a side comes back on the other. */
export function inside(box, width, height, panorama) {
  const [x1, y1, x2, y2] = box;
  const rows = [Math.max(0, y1), Math.min(height, y2)];
  const pieces = panorama ? [-width, 0, width].map((by) => [x1 + by, x2 + by]) : [[x1, x2]];
  return pieces
    .map(([from, to]) => [Math.max(0, from), rows[0], Math.min(width, to), rows[1]])
    .filter(([a, b, c, d]) => c - a >= 1 && d - b >= 1)
    .map((each) => each.map((value) => Math.round(value * 10) / 10));
}

/** The options `regions` and `exclude` of a picture's boxes, those without any left out. */
export function areaOptions(item, width, height, panorama) {
  const text = (boxes) => JSON.stringify(boxes.flatMap((box) => inside(box, width, height, panorama)));
  const given = {};
  if (item.regions.length) given.regions = text(item.regions.map((each) => each.box));
  if (item.left.length) given.exclude = text(item.left.map((each) => each.area));
  return given;
}
