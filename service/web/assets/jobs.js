// Jobs: videos, and pictures too large to wait for. They are the service's own: this page may be closed and opened again.

import { address, events, getBlob, getJson, key, remove, send } from "./api.js";
import { announce, byId, duration, element, save } from "./dom.js";

const KEPT = "srserve-jobs"; // in localStorage: [{id, name, label}], by which a later page finds them again
const RECONNECT_MS = 1000;

const finished = (job) => !["queued", "running"].includes(job.state);

/** Hands a file in, and shows its job from then on. */
export async function handIn(file, parameters, label) {
  const row = new Row(file.name, label);
  await row.handIn(file, parameters);
}

/** Shows the jobs that earlier pages have handed in. */
export async function restore() {
  for (const { id, name, label } of kept()) {
    try {
      await getJson(`jobs/${id}`);
    } catch (error) {
      if (error.status === 404) forget(id);
      continue;
    }
    new Row(name, label).follow(id);
  }
}

class Row {
  #abort = new AbortController();
  #status = element("span", { textContent: "sending" });
  #bar = element("progress", { max: 1, className: "wide" });
  #buttons = element("span", { className: "buttons" });

  constructor(name, label) {
    this.name = name;
    this.label = label;
    this.#bar.setAttribute("aria-label", `Progress of ${name}, ${label}`);
    this.row = element("li", {}, element("div", {}, element("b", { textContent: name }), ` ${label} `, this.#status), this.#buttons, this.#bar);
    this.#offer("Cancel", () => this.#abort.abort());
    byId("jobs").hidden = false;
    byId("job-list").append(this.row);
  }

  async handIn(file, parameters) {
    try {
      const { blob } = await send("jobs", parameters, file, {
        signal: this.#abort.signal,
        headers: { "Idempotency-Key": randomKey() },
        onSent: (fraction) => this.#show(`sending, ${Math.round((fraction ?? 0) * 100)} %`, fraction),
      });
      const job = JSON.parse(await blob.text());
      localStorage.setItem(KEPT, JSON.stringify([...kept(), { id: job.id, name: this.name, label: this.label }]));
      await this.follow(job.id);
    } catch (error) {
      if (error.name === "AbortError") this.#end("canceled");
      else this.#fail(error);
    }
  }

  /** Follows the job to its end; a lost connection is made again. */
  async follow(id) {
    this.#buttons.replaceChildren();
    this.#offer("Cancel", () => remove(`jobs/${id}`).catch((error) => this.#fail(error)));
    let last;
    for (;;) {
      try {
        for await (const event of events(`jobs/${id}/events`, { last })) {
          last = event.id ?? last;
          this.#tell(event.data);
          if (finished(event.data)) return this.#finish(event.data);
        }
      } catch (error) {
        if (error.status && error.status < 500) return this.#fail(error);
      }
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }

  #tell({ state, progress, waiting_for: reason }) {
    const left = progress.eta_s === null ? "" : `, about ${duration(progress.eta_s)} left`;
    const count = progress.total ? `${progress.done} of ${progress.total} ${progress.unit}` : "";
    this.#show(state === "queued" ? `waits${reason ? ` for ${reason}` : ""}` : `${count || "begins"}${left}`, progress.fraction);
  }

  #finish(job) {
    announce(`${this.name}, ${this.label}: ${job.state}.`);
    this.#end(job.state === "succeeded" ? "done" : job.state);
    if (job.problem) this.row.append(problemLine(`${job.problem.detail} (${job.problem.code})`));
    if (job.state === "succeeded") this.#offerDownload(job);
    this.#offer("Remove", () => {
      forget(job.id);
      this.row.remove();
      byId("jobs").hidden = !byId("job-list").children.length;
    });
  }

  /** A link, which the browser streams to the disk, under the service's name; with a key, which a link cannot send,
   * through memory. */
  #offerDownload(job) {
    const suffix = job.result.media_type.split("/")[1].replace("jpeg", "jpg").replace("x-matroska", "mkv").replace("quicktime", "mov");
    const file = `${this.name.replace(/\.[^.]*$/, "")}-${this.label.replace(" ×", "-x")}.${suffix}`;
    const path = `jobs/${job.id}/result`;
    if (!key.get()) {
      const link = element("a", { href: address(path), download: "", textContent: "Download", className: "button" });
      this.#buttons.append(link);
    } else {
      this.#offer("Download", async () => save(await getBlob(path), file));
    }
  }

  #fail(error) {
    this.#end("failed");
    this.row.append(problemLine(`${error.message} (${error.code ?? error.name})`));
    if (error.status === 401) document.dispatchEvent(new CustomEvent("key-wanted"));
  }

  #show(text, value) {
    this.#status.textContent = text;
    if (value === null || value === undefined) this.#bar.removeAttribute("value");
    else this.#bar.value = value;
  }

  #end(text) {
    this.#status.textContent = text;
    this.#bar.remove();
    this.#buttons.replaceChildren();
  }

  #offer(textContent, onclick) {
    const attributes = { "aria-label": `${textContent} ${this.name}, ${this.label}` };
    this.#buttons.append(element("button", { type: "button", className: "quiet", textContent, onclick, attributes }));
  }
}

/** Not randomUUID, which is there over https only. */
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function problemLine(textContent) {
  return element("p", { className: "problem wide", textContent, attributes: { role: "alert" } });
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? [];
  } catch {
    return [];
  }
}

function forget(id) {
  localStorage.setItem(KEPT, JSON.stringify(kept().filter((job) => job.id !== id)));
}
