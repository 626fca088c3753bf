// Pictures from the visitor: chosen, or dropped, single ones or whole folders.

import { h } from "./dom.js";

const SUFFIXES = /\.(jpe?g|png|webp|tiff?|bmp|avif|hei[cf]|jp2|j2k)$/i;

/** Whether a file looks like a picture; the service decides by its content. */
function picture(file) {
  return file.type.startsWith("image/") || SUFFIXES.test(file.name);
}

/** A place to drop files and folders on, with buttons for the keyboard. `take` gets [{file, path}] and what was left. */
export function dropZone(text, take, { folders = true } = {}) {
  const files = h("input", { type: "file", multiple: true, accept: "image/*,.heic,.heif,.jp2", hidden: true });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true });
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      give([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      input.value = "";
    });
  }
  const give = (found) => {
    const pictures = found.filter(({ file }) => picture(file));
    take(pictures, found.length - pictures.length);
  };
  const zone = h(
    "div",
    { class: "drop" },
    h("p", {}, text),
    h(
      "div",
      { class: "row center" },
      h("button", { type: "button", class: "main", onclick: () => files.click() }, "Choose pictures"),
      folders ? h("button", { type: "button", onclick: () => folder.click() }, "Choose a folder") : null,
    ),
    files,
    folders ? folder : null,
  );
  let depth = 0;
  const over = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  zone.addEventListener("dragenter", () => over(1));
  zone.addEventListener("dragleave", () => over(-1));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    over(-depth);
    // Entries are only there during the event: all are taken before the first is waited for.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const plain = [...event.dataTransfer.files].map((file) => ({ file, path: file.name }));
    give(entries.length ? (await Promise.all(entries.map((entry) => walk(entry, "")))).flat() : plain);
  });
  return zone;
}

async function walk(entry, above) {
  const path = above + entry.name;
  if (entry.isFile) return [{ file: await new Promise((found, failed) => entry.file(found, failed)), path }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A reader answers in portions, an empty one at the end.
    const portion = await new Promise((got, failed) => reader.readEntries(got, failed));
    if (!portion.length) break;
    for (const each of portion) found.push(...(await walk(each, `${path}/`)));
  }
  return found;
}
