// SHA-256 and Ed25519 in the page itself (noble, MIT): browsers offer theirs over https only, and Veil runs on-premise.

import { hashes, verify } from "../vendor/noble-ed25519/index.js";
import { sha256, sha512 } from "../vendor/noble-hashes/sha2.js";

hashes.sha512 = sha512;

export async function sha256Of(blob) {
  const digest = sha256(new Uint8Array(await blob.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What the signature in `proof` (the document of /v1/receipts/{id}/proof) is worth, with the service's `keys` (JWK).
 * The signed form is RFC 8785 of values without fractions: sorted keys, no spaces.
 */
export function signatureState(proof, keys) {
  const [header, value] = proof.signature.split("..");
  let kid = null;
  try {
    kid = JSON.parse(new TextDecoder().decode(bytes(header))).kid;
    const key = keys.find((each) => each.kid === kid);
    if (!key) return { good: false, text: `signed by the key ${kid}, which this service does not list` };
    const payload = text64(new TextEncoder().encode(canonical(proof.receipt)));
    const message = new TextEncoder().encode(`${header}.${payload}`);
    if (!verify(bytes(value), message, bytes(key.x))) return { good: false, text: "the signature does not fit the receipt" };
    if (key.revoked_at) return { good: false, text: `signed by the key ${kid}, revoked at ${key.revoked_at}` };
    return { good: true, text: `valid, by the key ${kid}` };
  } catch {
    return { good: false, text: "the signature cannot be read" };
  }
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
}

function text64(data) {
  let found = "";
  for (const byte of data) found += String.fromCharCode(byte);
  return btoa(found).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
