// Runs: one picture through one model, from the upload to the answer, with its progress, its end, and what can be done with it.

import { Problem, send } from "./api.js";
import { announce, duration, element, save } from "./dom.js";
import { thumbnail } from "./pictures.js";

const AT_ONCE = 2; // runs on their way: the next is sent while one is worked on
const FORMATS = { png: "PNG", jpeg: "JPEG", webp: "WebP", avif: "AVIF", tiff: "TIFF" };

let active = 0;
const waiting = [];

export class Run {
  #abort = new AbortController();
  #status = element("span", { textContent: "waits" });
  #bar = element("progress", { max: 1, value: 0 });
  #buttons = element("span", { className: "buttons" });
  #started = 0;
  #timer = 0;

  /** `picture` as in pictures.js; `predictedS`, where it becomes known, is in seconds; `onDone(run)` is called when there is a result. */
  constructor(picture, { model, scale }, onDone) {
    Object.assign(this, { picture, model, scale, onDone, predictedS: null, blob: null, bitmap: null });
    this.label = `${model} ×${scale}`;
    this.parameters = { model, scale };
    const name = element("b", { textContent: picture.name });
    this.#bar.setAttribute("aria-label", `Progress of ${picture.name}, ${this.label}`);
    this.row = element("li", {}, thumbnail(picture.bitmap), element("div", {}, name, ` ${this.label} · `, this.#status), this.#buttons);
    this.#bar.className = "wide";
    this.row.append(this.#bar);
    this.#offer("Cancel", () => this.cancel());
    waiting.push(this);
    next();
  }

  outputName(format = "png") {
    const suffix = format === "jpeg" ? "jpg" : format === "tiff" ? "tif" : format;
    return `${this.picture.name.replace(/\.[^.]*$/, "")}-${this.model}-x${this.scale}.${suffix}`;
  }

  cancel() {
    this.#abort.abort();
    if (waiting.includes(this)) {
      waiting.splice(waiting.indexOf(this), 1);
      this.#end("canceled");
    }
  }

  async start() {
    this.#started = performance.now();
    this.#timer = setInterval(() => this.#tick(), 200);
    try {
      const { blob, headers } = await this.#ask(this.parameters, { signal: this.#abort.signal });
      [this.blob, this.headers] = [blob, headers];
      this.bitmap = await createImageBitmap(blob);
      this.#finish();
    } catch (error) {
      this.#fail(error);
    } finally {
      clearInterval(this.#timer);
    }
  }

  #ask(parameters, { signal }) {
    this.phase = { name: "sending", fraction: 0 };
    return send("upscale", { format: "png", ...parameters }, this.picture.file, {
      signal,
      onSent: (fraction) => (this.phase = fraction === 1 ? { name: "working", since: performance.now() } : { name: "sending", fraction }),
      onReceived: (fraction) => (this.phase = { name: "receiving", fraction }),
    });
  }

  /** Sending is a tenth of the bar, the network eight tenths, by the predicted time, and receiving the last. */
  #tick() {
    const { name, fraction, since } = this.phase;
    if (name === "working" && this.predictedS) {
      const worked = (performance.now() - since) / 1000;
      const left = this.predictedS - worked;
      this.#show(left > 0 ? `about ${duration(left)} left` : "longer than predicted", 0.1 + 0.8 * Math.min(worked / this.predictedS, 0.97));
    } else if (name === "working") {
      this.#show(`working for ${duration((performance.now() - since) / 1000)}`, null);
    } else {
      this.#show(name, fraction === null ? null : name === "sending" ? fraction / 10 : 0.9 + fraction / 10);
    }
  }

  #show(text, value) {
    this.#status.textContent = text;
    if (value === null) this.#bar.removeAttribute("value");
    else this.#bar.value = value;
  }

  #finish() {
    const seconds = (performance.now() - this.#started) / 1000;
    this.#end(`${this.bitmap.width} × ${this.bitmap.height}, in ${seconds.toFixed(1)}\u00a0s`);
    announce(`${this.picture.name}, ${this.label}: done.`);
    this.#offer("Compare", () => this.onDone(this), { "aria-label": `Compare ${this.picture.name}, ${this.label}` });
    const choice = element(
      "select",
      { attributes: { "aria-label": "Format of the download" } },
      ...Object.entries(FORMATS).map(([value, textContent]) => element("option", { value, textContent })),
    );
    this.#buttons.append(choice);
    this.#offer("Download", (button) => this.#download(choice.value, button));
    this.onDone(this);
  }

  /** PNG is at hand; of another format the service makes the file anew, so that nothing is lost on the way. */
  async #download(format, button) {
    if (format === "png") return save(this.blob, this.outputName());
    button.disabled = true;
    try {
      const { blob } = await send("upscale", { ...this.parameters, format }, this.picture.file);
      save(blob, this.outputName(format));
    } catch (error) {
      this.#tell(error);
    } finally {
      button.disabled = false;
    }
  }

  #fail(error) {
    if (error.name === "AbortError") return this.#end("canceled");
    this.#end("failed");
    this.#tell(error);
    const mayPass = error instanceof Problem && (error.document.retryable || error.code === "no-answer");
    if (mayPass || error.status === 401) this.#offer("Try again", () => this.#again());
  }

  #again() {
    this.row.replaceWith(new Run(this.picture, this, this.onDone).row);
  }

  #tell(error) {
    const facts = [error.code, error.document?.instance && `request ${error.document.instance}`].filter(Boolean).join(", ");
    const text = facts ? `${error.message} (${facts})` : String(error);
    this.row.append(element("p", { className: "problem wide", textContent: text, attributes: { role: "alert" } }));
    if (error.status === 401) document.dispatchEvent(new CustomEvent("key-wanted"));
  }

  #end(text) {
    this.#status.textContent = text;
    this.#bar.remove();
    this.#buttons.replaceChildren();
    if (text === "canceled") announce(`${this.picture.name}, ${this.label}: canceled.`);
  }

  #offer(textContent, action, attributes = {}) {
    const button = element("button", { type: "button", className: "quiet", textContent, attributes });
    button.onclick = () => action(button);
    this.#buttons.append(button);
  }
}

async function next() {
  if (active >= AT_ONCE || !waiting.length) return;
  active += 1;
  await waiting.shift().start();
  active -= 1;
  next();
}
