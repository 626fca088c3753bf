// Files out of the page: one picture, one document, or all pictures as a ZIP that is made in the browser.

import { Zip, ZipPassThrough } from "../vendor/fflate/browser.js";
import { h } from "./dom.js";

export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name.split("/").pop() });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** All finished pictures in their folders, each with its receipt, in one ZIP. Pictures do not get smaller: stored. */
export async function saveAll(items, name) {
  const pieces = [];
  const archive = new Zip((error, data) => {
    if (error) throw error;
    pieces.push(data);
  });
  const taken = new Set();
  for (const item of items) {
    const path = free(item.target, taken);
    put(archive, path, new Uint8Array(await item.result.blob.arrayBuffer()));
    put(archive, `${path}.receipt.json`, new TextEncoder().encode(`${JSON.stringify(item.result.receipt, null, 2)}\n`));
  }
  archive.end();
  save(new Blob(pieces, { type: "application/zip" }), name);
}

function put(archive, path, data) {
  const file = new ZipPassThrough(path);
  archive.add(file);
  file.push(data, true);
}

function free(path, taken) {
  const at = path.lastIndexOf(".");
  let found = path;
  for (let n = 2; taken.has(found); n += 1) found = `${path.slice(0, at)}-${n}${path.slice(at)}`;
  taken.add(found);
  return found;
}
