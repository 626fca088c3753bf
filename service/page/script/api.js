// The service's API. Addresses are relative, so the page also works behind a proxy that adds a prefix.

import { ask, headers } from "./key.js";
import { parts } from "./multipart.js";

/** A failure as the service's problem document tells it, or the browser's own where there was no answer. */
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = null) {
    super(body.detail ?? body.title ?? `Status ${status}`);
    this.status = status;
    this.slug = String(body.type ?? "").split("/").pop();
    this.title = body.title ?? "The service did not answer as expected";
    this.detail = body.detail ?? `The answer has status ${status} and no explanation.`;
    this.remedy = body.remedy ?? null;
    this.problems = body.problems ?? [];
    this.requestId = body.request_id ?? null;
    this.retryAfter = retryAfter;
  }

  static unreachable() {
    return new Problem(0, {
      title: "The service cannot be reached",
      detail: "The connection failed or was closed before the answer was complete.",
      remedy: "Check the network and try again. No picture was released.",
    });
  }
}

/** Sends and, where a key is wanted, asks for one and sends again. */
async function keyed(send) {
  for (;;) {
    try {
      return await send();
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 401 || !(await ask(problem))) throw problem;
    }
  }
}

async function exchange(path, given) {
  let response;
  try {
    response = await fetch(path, { ...given, headers: { ...given.headers, ...headers() }, credentials: "omit" });
  } catch {
    throw Problem.unreachable();
  }
  if (response.ok) return response;
  const text = await response.text();
  throw new Problem(response.status, read(text), Number(response.headers.get("Retry-After")) || null);
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== "");
  const address = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  return keyed(() => exchange(address, { method: "GET" }));
}

export async function getJson(path, query) {
  return (await get(path, query)).json();
}

export async function postJson(path, body) {
  const given = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await keyed(() => exchange(path, given))).json();
}

/**
 * Sends a picture; resolves to {receipt, blob, projection}. The file's name stays here: the form's part has none of it.
 * `progress` is told the share of the upload that is sent, 1 when the service begins to work.
 */
export function anonymize(file, options, { progress, signal }) {
  return keyed(() => upload(file, options, progress, signal));
}

function upload(file, options, progress, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  form.append("image", new Blob([file], { type: "application/octet-stream" }), "picture");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not say how much of an upload is sent
    request.open("POST", "v1/anonymize");
    request.responseType = "arraybuffer";
    request.setRequestHeader("Accept", "multipart/mixed");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : 0);
    request.upload.onload = () => progress(1);
    request.onerror = () => reject(Problem.unreachable());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onload = () => {
      try {
        resolve(answered(request));
      } catch (error) {
        reject(error);
      }
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

function answered(request) {
  const bytes = new Uint8Array(request.response);
  if (request.status !== 200) {
    const wait = Number(request.getResponseHeader("Retry-After")) || null;
    throw new Problem(request.status, read(new TextDecoder().decode(bytes)), wait);
  }
  const [receipt, picture] = parts(bytes, request.getResponseHeader("Content-Type"));
  return {
    receipt: JSON.parse(new TextDecoder().decode(receipt.data)),
    blob: new Blob([picture.data], { type: picture.type }),
    projection: request.getResponseHeader("Veil-Projection"),
  };
}
