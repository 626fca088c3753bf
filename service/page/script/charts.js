// Small charts as SVG, each with its numbers as a table for whoever does not see it.

import { h, s, table } from "./dom.js";

const WIDTH = 620;
const HEIGHT = 200;
const LEFT = 48;
const BOTTOM = 24;
const TOP = 8;

const text = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });

/** Stacked bars: `rows` are [label, {series: number}], one bar each, in the order of `series`. */
export function stackedBars(title, series, rows) {
  const totals = rows.map(([, values]) => series.reduce((sum, name) => sum + (values[name] ?? 0), 0));
  const top = nice(Math.max(...totals, 2));
  const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const step = (WIDTH - LEFT) / Math.max(rows.length, 1);
  const every = Math.ceil(rows.length / 7);
  const bars = rows.flatMap(([label, values], i) => {
    let from = 0;
    const parts = series.map((name, k) => {
      const value = values[name] ?? 0;
      const made = s("rect", {
        class: `series-${k + 1}`, x: LEFT + i * step + step * 0.12, width: Math.max(1, step * 0.76),
        y: y(from + value), height: Math.max(0, y(from) - y(from + value)),
      }, s("title", {}, `${label}: ${name} ${text(value)}`));
      from += value;
      return made;
    });
    const tick = i % every === 0
      ? [s("text", { x: LEFT + (i + 0.5) * step, y: HEIGHT - 6, "text-anchor": "middle" }, label.slice(5))]
      : [];
    return [...parts, ...tick];
  });
  const total = totals.reduce((sum, each) => sum + each, 0);
  return figure(
    title,
    [h("ul", { class: "legend" }, series.map((name, k) => h("li", {}, swatch(k), name))), drawing(`${title}: ${text(total)} in all`, HEIGHT, [...grid(top, y), ...bars])],
    table(title, ["Day", ...series], rows.map(([label, values]) => [label, ...series.map((name) => text(values[name] ?? 0))]), { hideCaption: true }),
  );
}

/** Horizontal bars, a pair for each row: `rows` are [label, first, second]. */
export function pairedBars(title, names, unit, rows) {
  const most = Math.max(...rows.map(([, , second]) => second), 1);
  const line = 30;
  const x = (value) => (value / most) * (WIDTH - 190);
  const bars = rows.flatMap(([label, first, second], i) => [
    s("text", { x: 0, y: i * line + 19 }, label),
    s("rect", { class: "series-2", x: 90, y: i * line + 6, width: Math.max(1, x(second)), height: 9 }),
    s("rect", { class: "series-1", x: 90, y: i * line + 15, width: Math.max(1, x(first)), height: 9 }),
    s("text", { x: 96 + x(second), y: i * line + 19 }, `${text(first)} / ${text(second)} ${unit}`),
  ]);
  return figure(
    title,
    [h("ul", { class: "legend" }, names.map((name, k) => h("li", {}, swatch(k), name))), drawing(title, rows.length * line + 4, bars)],
    table(title, ["Stage", ...names.map((name) => `${name} (${unit})`)], rows.map(([label, ...values]) => [label, ...values.map(text)]), { hideCaption: true }),
  );
}

function figure(title, parts, numbers) {
  return h("figure", { class: "panel" }, h("figcaption", {}, title), parts, h("details", {}, h("summary", {}, "As a table"), numbers));
}

function drawing(label, height, parts) {
  return s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label }, parts);
}

function swatch(k) {
  return s("svg", { class: "chart", viewBox: "0 0 11 11", "aria-hidden": "true" }, s("rect", { class: `series-${k + 1}`, width: 11, height: 11, rx: 2 }));
}

function grid(top, y) {
  return [0, top / 2, top].flatMap((value) => [
    s("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    s("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, text(value)),
  ]);
}

/** The next number over `value` that reads well and halves well. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((each) => each * power).find((each) => each >= value);
}
