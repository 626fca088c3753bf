// What the receipts of a period say together, for admins.

import { getJson, Problem } from "./api.js";
import { pairedBars, stackedBars } from "./charts.js";
import { announce, field, h, problemBox, table } from "./dom.js";

const OUTCOMES = ["ok", "rejected", "failed"];
const DAY = 86_400_000;

export function view() {
  const days = h("select", {}, [7, 30, 90, 365].map((each) => h("option", { value: each, selected: each === 30 }, `the last ${each} days`)));
  const body = h("div", {});
  const load = async () => {
    const until = new Date();
    const since = new Date(Date.UTC(until.getUTCFullYear(), until.getUTCMonth(), until.getUTCDate()) - (days.value - 1) * DAY);
    try {
      const found = await getJson("v1/statistics", { since: since.toISOString(), until: until.toISOString() });
      body.replaceChildren(...charts(found, since, Number(days.value)));
      announce("The dashboard is up to date.");
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      body.replaceChildren(problemBox(problem));
    }
  };
  days.addEventListener("change", load);
  load();
  return h(
    "div",
    {},
    h("h1", {}, "Dashboard"),
    h("div", { class: "period" }, field("Period", days), h("button", { type: "button", onclick: load }, "Refresh")),
    body,
  );
}

function charts(found, since, count) {
  const byDay = new Map(found.days.map((each) => [each.day, each]));
  const days = Array.from({ length: count }, (_, i) => new Date(since.getTime() + i * DAY).toISOString().slice(0, 10));
  const outcomes = days.map((day) => [day, byDay.get(day)?.outcomes ?? {}]);
  const classes = [...new Set(found.days.flatMap((each) => Object.keys(each.objects)))].sort();
  const objects = days.map((day) => [day, byDay.get(day)?.objects ?? {}]);
  const sum = (rows, name) => rows.reduce((total, [, values]) => total + (values[name] ?? 0), 0);
  const number = (value) => value.toLocaleString("en");
  const all = OUTCOMES.reduce((total, name) => total + sum(outcomes, name), 0);
  const card = (value, text) => h("div", { class: "card" }, h("strong", {}, value), h("span", {}, text));
  return [
    h(
      "div",
      { class: "cards" },
      card(number(all), "receipts"),
      OUTCOMES.map((name) => card(number(sum(outcomes, name)), name)),
      classes.map((name) => card(number(sum(objects, name)), `${name}s found`)),
    ),
    h(
      "div",
      { class: "columns" },
      stackedBars("Receipts by day and outcome", OUTCOMES, outcomes),
      classes.length ? stackedBars("Objects found by day and class", classes.slice(0, 4), objects) : null,
      found.stages.length
        ? pairedBars(`Time by stage (newest answers: ${number(found.measured)})`, ["Median", "95th percentile"], "ms",
            found.stages.map((each) => [each.stage, each.median_ms, each.p95_ms]))
        : null,
      h("div", { class: "panel" }, table("Models", ["Model", "Receipts", "Last used", "SHA-256"],
        found.models.map((each) => [`${each.name}/${each.version}`, number(each.receipts), new Date(each.last).toLocaleString(), h("code", {}, each.sha256.slice(0, 12))]))),
      h("div", { class: "panel" }, table("Callers", ["Key", "Receipts"],
        found.callers.map((each) => [each.name ?? each.caller ?? "no key needed", number(each.receipts)]))),
      h("div", { class: "panel" }, table("Problems", ["Problem", "Receipts"],
        Object.entries(found.problems).map(([slug, total]) => [h("a", { href: `problems/${slug}` }, slug), number(total)]))),
    ),
  ];
}
