// A receipt for people: what was done, by which models, and whether signature and picture hold.

import { get, getJson, Problem } from "./api.js";
import { sha256Of, signatureState } from "./digest.js";
import { save } from "./download.js";
import { h, table } from "./dom.js";

/** The receipt; `blob` is the picture that it is about, if it is at hand. */
export function receiptView(receipt, blob = null) {
  const signature = h("dd", {}, receipt.signature ? "being checked …" : "not signed: the deployment has no signing key");
  const digest = h("dd", {}, h("code", {}, receipt.output.sha256 ?? "–"));
  const size = ({ width, height }) => (width ? `${width} × ${height} px` : "");
  const bytes = (count) => (count ? `${(count / 1024).toLocaleString("en", { maximumFractionDigits: 0 })} KiB` : "–");
  if (receipt.signature) check(receipt, signature);
  if (blob && receipt.output.sha256) {
    sha256Of(blob).then((found) => {
      const same = found === receipt.output.sha256;
      digest.append(" ", verdict(same, same ? "this picture" : "NOT this picture"));
    });
  }
  const rows = [
    ["Id", h("code", {}, receipt.id)],
    ["Outcome", receipt.problem ? `${receipt.outcome}: ${receipt.problem}` : receipt.outcome],
    ["Received", new Date(receipt.received_at).toLocaleString()],
    ["API key", receipt.caller ? h("code", {}, receipt.caller) : "none needed"],
    ["Reference", receipt.source_ref ?? "–"],
    ["Input", `${receipt.input.format ?? "–"} ${size(receipt.input)} ${bytes(receipt.input.bytes)}`],
    ["Output", `${receipt.output.format ?? "–"} ${bytes(receipt.output.bytes)}, ${REWRITE[receipt.output.rewrite]}`],
    ["Found", Object.entries(receipt.counts).map(([name, count]) => `${name} ${count}`).join(", ") || "–"],
    ["Second search", receipt.residual ? `${receipt.residual.count} found, ${receipt.residual.outcome}` : "not asked for"],
    ["Models", receipt.models.map((each) => h("div", {}, `${each.name}/${each.version} `, h("code", {}, each.sha256.slice(0, 12))))],
    ["Engine", `${receipt.engine ?? "–"}, ${receipt.tiles} tiles`],
    ["Policy", h("code", {}, receipt.policy_digest ?? "–")],
  ];
  return h(
    "div",
    { class: "receipt" },
    h(
      "dl",
      {},
      rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      h("dt", {}, "SHA-256"), digest,
      h("dt", {}, "Signature"), signature,
    ),
    h(
      "details",
      {},
      h("summary", {}, "Time by stage"),
      table("Milliseconds by stage", ["Stage", "ms"], Object.entries(receipt.timings_ms).map(([stage, spent]) => [stage, spent.toFixed(1)]), { hideCaption: true }),
    ),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", class: "small", onclick: () => save(new Blob([JSON.stringify(receipt, null, 2)], { type: "application/json" }), `${receipt.id}.json`) }, "Save the receipt"),
      receipt.signature
        ? h("button", { type: "button", class: "small", onclick: () => saveProof(receipt) }, "Save the signed proof")
        : null,
    ),
  );
}

const REWRITE = { patch: "only changed under the masks", full: "encoded anew", none: "no picture" };

function verdict(good, text) {
  return h("strong", { class: good ? "good" : "bad" }, `${good ? "✓" : "✗"} ${text}`);
}

async function check(receipt, place) {
  try {
    const [proof, keys] = await Promise.all([
      getJson(`v1/receipts/${receipt.id}/proof`),
      getJson(".well-known/veil-keys.json"),
    ]);
    const same = proof.signature === receipt.signature && proof.receipt.output.sha256 === receipt.output.sha256;
    const state = same ? signatureState(proof, keys.keys) : { good: false, text: "it is of another receipt" };
    place.replaceChildren(verdict(state.good, state.text));
  } catch (problem) {
    place.textContent = problem instanceof Problem ? `could not be checked: ${problem.title}` : "could not be checked";
  }
}

async function saveProof(receipt) {
  save(await (await get(`v1/receipts/${receipt.id}/proof`)).blob(), `${receipt.id}.receipt.json`);
}
