// What the page asks of the service. Every address is relative to the page's own: it works behind a path prefix.

const KEY = "srserve-api-key";

/** A refusal of the service, or of the network on the way to it (`code` "no-answer"). */
export class Problem extends Error {
  constructor(code, status, detail, document = {}) {
    super(detail);
    this.code = code;
    this.status = status;
    this.document = document;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** The absolute address of a path of the service, for which the page's own is the root. */
export function address(path, parameters = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

export async function getJson(path, parameters) {
  const answer = await fetching(address(path, parameters), { headers: authorization() });
  return answer.json();
}

/** What /upscale would take for a picture of that size: seconds, or the problem that it would answer with. */
export async function estimate(parameters, size) {
  const options = { method: "POST", headers: { ...authorization(), "Content-Type": "application/json" }, body: JSON.stringify(size) };
  return (await fetching(address("estimate", parameters), options)).json();
}

export async function remove(path) {
  return (await fetching(address(path), { method: "DELETE", headers: authorization() })).json();
}

/** The file at a path, whole. */
export async function getBlob(path) {
  return (await fetching(address(path), { headers: authorization() })).blob();
}

/** The events of a stream, {id, data}, until it ends; `last` is the id of the one that was seen last. */
export async function* events(path, { last } = {}) {
  // Not by EventSource, which can send no key.
  const headers = { ...authorization(), Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
  const answer = await fetching(address(path), { headers });
  if (!answer.body) return; // 204: there will be no more
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    text += value;
    const blocks = text.split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const fields = block.split(/\r?\n/).map((line) => line.match(/^([^:]*):? ?(.*)$/).slice(1));
      const data = fields.filter(([name]) => name === "data").map(([, content]) => content).join("\n");
      if (data) yield { id: Object.fromEntries(fields).id, data: JSON.parse(data) };
    }
  }
}

/** Sends `body` and gives {blob, headers}; `onSent` and `onReceived` get fractions of 1, or null for an unknown whole. */
export function send(path, parameters, body, { signal, headers = {}, onSent = () => {}, onReceived = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of an upload's progress
    request.open("POST", address(path, parameters));
    request.responseType = "blob";
    const all = { "Content-Type": "application/octet-stream", ...authorization(), ...headers };
    for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(fraction(event));
    request.upload.onload = () => onSent(1);
    request.onprogress = (event) => onReceived(fraction(event));
    request.onerror = () => reject(noAnswer());
    request.onabort = () => reject(new DOMException("canceled", "AbortError"));
    request.onload = async () => {
      const got = { get: (name) => request.getResponseHeader(name) };
      if (request.status >= 200 && request.status < 300) resolve({ blob: request.response, headers: got });
      else reject(problemOf(request.status, got.get("Content-Type"), await request.response.text()));
    };
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    if (signal?.aborted) request.abort();
    else request.send(body);
  });
}

async function fetching(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw noAnswer();
  }
  if (answer.ok) return answer;
  throw problemOf(answer.status, answer.headers.get("Content-Type"), await answer.text());
}

function authorization() {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

function problemOf(status, type, text) {
  if (type?.startsWith("application/problem+json")) {
    const document = JSON.parse(text);
    return new Problem(document.code, status, document.detail, document);
  }
  return new Problem("unexpected", status, `Something on the way answered ${status}, not the service itself.`);
}

function noAnswer() {
  return new Problem("no-answer", 0, "The service does not answer. Is it running, and is the network there?");
}

function fraction(event) {
  return event.lengthComputable && event.total ? event.loaded / event.total : null;
}
