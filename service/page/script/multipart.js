// multipart/mixed as this service writes it: each part says its Content-Length, so no byte of a picture is searched.

/** The parts of `bytes` as [{type, data}]. Throws an Error if it does not have that form. */
export function parts(bytes, contentType) {
  const boundary = /^multipart\/mixed;\s*boundary="?([^";]+)"?/i.exec(contentType ?? "")?.[1];
  if (!boundary) throw new Error("the answer is not multipart/mixed");
  const found = [];
  let at = 0;
  for (;;) {
    const line = lineAt(bytes, at);
    if (line.text === `--${boundary}--`) return found;
    if (line.text !== `--${boundary}`) throw new Error("the answer is cut short or broken");
    at = line.next;
    const head = {};
    for (;;) {
      const each = lineAt(bytes, at);
      at = each.next;
      if (!each.text) break;
      const colon = each.text.indexOf(":");
      head[each.text.slice(0, colon).toLowerCase()] = each.text.slice(colon + 1).trim();
    }
    const length = Number(head["content-length"]);
    if (!Number.isInteger(length) || at + length > bytes.length) throw new Error("the answer is cut short or broken");
    found.push({ type: head["content-type"], data: bytes.subarray(at, at + length) });
    at += length + 2;
  }
}

function lineAt(bytes, from) {
  for (let end = from; end + 1 < bytes.length && end - from < 1000; end += 1) {
    if (bytes[end] === 13 && bytes[end + 1] === 10) {
      return { text: new TextDecoder().decode(bytes.subarray(from, end)), next: end + 2 };
    }
  }
  throw new Error("the answer is cut short or broken");
}
