// The options of the next requests: what the caller changes is sent, everything else is the service's default.

import { field, h } from "./dom.js";

const choice = (...values) => [["", "default"], ...values.map((value) => [value, value])];

const GENERAL = [
  ["effort", "Search", choice("fast", "balanced", "thorough"), "thorough also finds objects of 8–16 pixels, and lying heads"],
  ["verify", "Check", choice("structure", "redetect"), "redetect searches the finished picture again"],
  ["residual", "If the check finds something", choice("hide", "accept", "refuse"), null],
  ["metadata", "Metadata", choice("strip", "geo", "keep"), "strip: color profile, orientation, projection only"],
  ["geo", "Position rounded to", choice("1m", "10m", "100m"), "with metadata geo or keep"],
  ["projection", "Projection", choice("auto", "planar", "equirectangular"), null],
  ["format", "Format", choice("same", "jpeg", "png", "webp", "avif", "tiff"), "HEIC and JPEG 2000 need one"],
];

/** The form. `read()` gives the options as names and values; `onchange` is called after each change. */
export function optionsForm(offer, onchange) {
  const inputs = new Map();
  const fixed = (name) =>
    offer.fixed.some((each) => each === name || name.startsWith(`${each}.`) || each.startsWith(`${name}.`));
  const add = (name, input) => {
    input.disabled = fixed(name);
    if (input.disabled) input.title = "The key does not allow this to be changed.";
    inputs.set(name, input);
    return input;
  };
  const select = (name, values) =>
    add(name, h("select", { name }, values.map(([value, text]) => h("option", { value }, text))));
  const number = (name, low, high, step, standard) =>
    add(name, h("input", { type: "number", name, min: low, max: high, step, placeholder: String(standard) }));

  const classes = offer.classes.map((each) => {
    const wanted = h("input", { type: "checkbox", checked: true, disabled: fixed("classes") });
    const group = h(
      "fieldset",
      {},
      h("legend", {}, each.name),
      h("label", { class: "check" }, wanted, ` Hide ${each.name}s`),
      h(
        "div",
        { class: "fields" },
        field("Obscure", select(`obscure.${each.name}`, choice("blur", "pixelate", "fill"))),
        field("Threshold", number(`threshold.${each.name}`, 0.01, 0.99, 0.01, each.threshold), "lower hides more"),
        field("Margin", number(`margin.${each.name}`, 0, 2, 0.05, each.margin), "of the box's own side"),
        field("Strength", number(`strength.${each.name}`, 1, 4, 0.1, each.strength), "higher is coarser"),
      ),
    );
    return { name: each.name, wanted, group };
  });
  const form = h(
    "form",
    { class: "options", "aria-label": "Options", onsubmit: (event) => event.preventDefault() },
    classes.map((each) => each.group),
    h(
      "fieldset",
      {},
      h("legend", {}, "Picture"),
      h(
        "div",
        { class: "fields" },
        GENERAL.map(([name, label, values, hint]) => field(label, select(name, values), hint)),
        field("Quality", number("quality", 50, 100, 1, "default"), "encodes a JPEG anew"),
        field("Your reference", add("source_ref", h("input", { type: "text", name: "source_ref", maxlength: 200 })),
          "kept in the receipt; no personal data"),
      ),
    ),
    h("button", { type: "reset", class: "quiet" }, "Back to the defaults"),
  );
  form.addEventListener("change", onchange);
  form.addEventListener("reset", () => setTimeout(onchange));

  const read = () => {
    const given = {};
    const wanted = classes.filter((each) => each.wanted.checked).map((each) => each.name);
    if (wanted.length < classes.length) given.classes = wanted.join(",");
    for (const [name, input] of inputs) {
      const of = name.split(".")[1];
      if (input.value !== "" && !input.disabled && (!of || wanted.includes(of))) given[name] = input.value;
    }
    return given;
  };
  const margin = (name) => {
    const given = inputs.get(`margin.${name}`)?.value;
    return given ? Number(given) : (offer.classes.find((each) => each.name === name)?.margin ?? 0);
  };
  return { form, read, margin, valid: () => form.reportValidity() };
}
