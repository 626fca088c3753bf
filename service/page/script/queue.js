// The pictures of this visit: each waits, is sent, worked on, and is done or failed. Nothing is stored anywhere.

import { anonymize, Problem } from "./api.js";

const AT_ONCE = 2;
const ATTEMPTS = 6;
const PATIENT = new Set([429, 503]);
const EXTENSIONS = {
  "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp",
  "image/tiff": "tif", "image/bmp": "bmp", "image/avif": "avif",
};

/** One picture. `regions` and `left` (left visible) are boxes [x1, y1, x2, y2] in pixels of the upright picture. */
export class Item {
  constructor(file, path) {
    this.id = crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.file = file;
    this.path = path;
    this.state = "waiting";
    this.sent = 0;
    this.problem = null;
    this.result = null; // {receipt, blob, projection}
    this.regions = [];
    this.left = [];
    this.edited = false;
    this.before = URL.createObjectURL(file);
    this.after = null;
  }

  get done() {
    return this.result !== null;
  }

  /** The path for the download: the picture's own, with the ending of what came back. */
  get target() {
    const extension = EXTENSIONS[this.result?.blob.type] ?? "img";
    const at = this.path.lastIndexOf(".");
    const stem = at > this.path.lastIndexOf("/") + 1 ? this.path.slice(0, at) : this.path;
    const own = at > 0 ? this.path.slice(at + 1).toLowerCase() : "";
    const same = own === extension || (own === "jpeg" && extension === "jpg") || (own === "tiff" && extension === "tif");
    return same ? this.path : `${stem}.${extension}`;
  }

  release() {
    for (const url of [this.before, this.after]) if (url) URL.revokeObjectURL(url);
  }
}

export class Queue extends EventTarget {
  items = [];
  #running = 0;

  /** Adds pictures; `options(item)` gives the options of each when it is sent. */
  add(found, options) {
    const added = found.map(({ file, path }) => new Item(file, path));
    this.items.push(...added);
    for (const item of added) this.#plan(item, options);
    return added;
  }

  /** Sends a picture again, with what its options are now. */
  again(item, options) {
    if (item.state === "sending" || item.state === "working") return;
    this.#plan(item, options);
  }

  remove(item) {
    item.abort?.abort();
    item.state = "removed";
    item.release();
    this.items = this.items.filter((each) => each !== item);
    this.#changed(item);
  }

  #plan(item, options) {
    item.state = "waiting";
    item.options = options;
    item.problem = null;
    this.#changed(item);
    this.#next();
  }

  #next() {
    while (this.#running < AT_ONCE) {
      const item = this.items.find((each) => each.state === "waiting");
      if (!item) return;
      this.#running += 1;
      this.#work(item).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  async #work(item) {
    item.abort = new AbortController();
    const signal = item.abort.signal;
    const progress = (share) => {
      item.sent = share;
      item.state = share < 1 ? "sending" : "working";
      this.#changed(item);
    };
    for (let attempt = 1; ; attempt += 1) {
      item.state = "sending";
      item.sent = 0;
      this.#changed(item);
      try {
        const result = await anonymize(item.file, item.options(item), { progress, signal });
        if (item.after) URL.revokeObjectURL(item.after);
        item.after = URL.createObjectURL(result.blob);
        Object.assign(item, { result, state: "done", edited: false });
        break;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Problem && PATIENT.has(error.status) && error.retryAfter && attempt < ATTEMPTS) {
          item.state = "busy";
          this.#changed(item);
          await new Promise((wake) => setTimeout(wake, error.retryAfter * 1000));
          if (signal.aborted) return;
          continue;
        }
        item.problem = error instanceof Problem ? error : broken(error);
        item.state = "failed";
        break;
      }
    }
    this.#changed(item);
  }

  #changed(item) {
    this.dispatchEvent(new CustomEvent("change", { detail: item }));
  }
}

function broken(error) {
  return new Problem(0, { title: "The answer cannot be read", detail: error.message, remedy: "Try again." });
}
