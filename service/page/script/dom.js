// Elements without markup in strings: nothing that a picture, a key or a server says can become HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `given`: attributes, or properties and `on…` listeners; children are nodes, text, or null for none. */
export function h(tag, given = {}, ...children) {
  return fill(document.createElement(tag), given, children);
}

/** The same for SVG. */
export function s(tag, given = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), given, children);
}

function fill(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Says `text` to those who listen instead of looking. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

let fields = 0;

/** A labelled form field; the hint describes the input, it is not part of its name. */
export function field(label, input, hint = null) {
  fields += 1;
  input.id ||= `field-${fields}`;
  if (hint) input.setAttribute("aria-describedby", `${input.id}-hint`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    input,
    hint && h("small", { class: "hint", id: `${input.id}-hint` }, hint),
  );
}

/** A table with a caption and one header row; the first cell of each row is its header. */
export function table(caption, heads, rows, { hideCaption = false } = {}) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: hideCaption ? "unseen" : null }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h("tr", {}, row.map((cell, i) => (i === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell)))),
        ),
      ),
    ),
  );
}

/** What a problem document says: what happened, the details, what to do. */
export function problemBox(problem) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("strong", {}, problem.title),
    h("p", {}, problem.detail),
    problem.problems?.length
      ? h("ul", {}, problem.problems.map((each) => h("li", {}, h("code", {}, each.pointer || "/"), ` ${each.detail}`)))
      : null,
    problem.remedy ? h("p", { class: "remedy" }, problem.remedy) : null,
    problem.requestId ? h("p", { class: "hint" }, "Request ", h("code", {}, problem.requestId)) : null,
  );
}
