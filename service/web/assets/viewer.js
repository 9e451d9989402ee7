// Viewer: a picture before and after, under a line that can be drawn across or side by side, moved and zoomed as one.

import { byId, element } from "./dom.js";
import { View } from "./view.js";

const NEAR_LINE = 24; // screen pixels within which a drag takes the line
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class Viewer {
  #layers = []; // {label, bitmap}, the original first
  #panes = []; // {canvas, layers: [left, right] or [one]}
  #frame = 0;
  #pointers = new Map();
  #view = new View(() => this.#redraw());

  constructor() {
    for (const id of ["left", "right", "side-by-side"]) byId(id).addEventListener("change", () => this.#lay());
    for (const id of ["split", "pixels"]) byId(id).addEventListener("input", () => this.#redraw());
    byId("zoom-in").onclick = () => this.#view.zoomBy(1);
    byId("zoom-out").onclick = () => this.#view.zoomBy(-1);
    byId("zoom-fit").onclick = () => this.#view.fit();
    byId("zoom-full").onclick = () => this.#view.zoomTo(1);
    new ResizeObserver(() => this.#measure()).observe(byId("panes"));
  }

  /** Shows these layers, the one at `right` after the first. */
  show(layers, right) {
    this.#layers = layers;
    for (const [id, chosen] of [["left", 0], ["right", right]]) {
      byId(id).replaceChildren(...layers.map((layer, at) => element("option", { value: at, textContent: layer.label })));
      byId(id).value = chosen;
    }
    byId("viewer").hidden = false;
    this.#view.setPicture(Math.max(...layers.map(({ bitmap }) => bitmap.width)), Math.max(...layers.map(({ bitmap }) => bitmap.height)));
    this.#lay();
  }

  /** Makes the panes anew: one with two layers, or one for each layer. */
  #lay() {
    const beside = byId("side-by-side").checked;
    const chosen = [this.#layers[byId("left").value], this.#layers[byId("right").value]];
    this.#panes = (beside ? this.#layers.map((layer) => [layer]) : [chosen]).map((layers) => ({ layers, canvas: this.#canvas(layers) }));
    byId("panes").className = beside ? "beside" : "";
    byId("panes").replaceChildren(
      ...this.#panes.map(({ canvas, layers }) =>
        element("figure", {}, canvas, element("figcaption", { textContent: layers.map((layer) => layer.label).join(" | ") })),
      ),
    );
    byId("split-label").hidden = beside;
    for (const id of ["left", "right"]) byId(id).disabled = beside;
    this.#measure();
  }

  #canvas(layers) {
    const label = `${layers.map((layer) => layer.label).join(" to the left of the line, and to the right ")}. Arrows move, plus and minus zoom.`;
    const canvas = element("canvas", { tabIndex: 0, attributes: { role: "img", "aria-label": label } });
    const [{ bitmap }] = layers;
    canvas.style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
    canvas.addEventListener("pointerdown", (event) => this.#grip(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#pointers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#press(event));
    canvas.addEventListener("dblclick", (event) => (this.#view.isFit ? this.#view.zoomTo(1, ...this.#fromMiddle(event)) : this.#view.fit()));
    return canvas;
  }

  #measure() {
    for (const { canvas } of this.#panes) {
      canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
      canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    }
    const first = this.#panes[0]?.canvas;
    if (first?.width) this.#view.setPane(first.width, first.height);
    this.#redraw();
  }

  #redraw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      for (const pane of this.#panes) this.#draw(pane);
      byId("zoom").textContent = this.#view.isFit ? "fit" : `${Math.round(this.#view.zoom * 100)} %`;
    });
  }

  #draw({ canvas, layers: [left, right] }) {
    const context = canvas.getContext("2d");
    const pixels = byId("pixels").checked;
    context.clearRect(0, 0, canvas.width, canvas.height);
    this.#view.draw(context, left.bitmap, { pixels });
    if (!right) return;
    const line = Math.round((canvas.width * byId("split").value) / 100);
    context.save();
    context.beginPath();
    context.rect(line, 0, canvas.width - line, canvas.height);
    context.clip();
    context.clearRect(0, 0, canvas.width, canvas.height);
    this.#view.draw(context, right.bitmap, { pixels });
    context.restore();
    context.fillStyle = "#fff";
    context.fillRect(line - 1, 0, 2 * devicePixelRatio, canvas.height);
    context.beginPath();
    context.arc(line, canvas.height / 2, 10 * devicePixelRatio, 0, 2 * Math.PI);
    context.fill();
  }

  /** Where an event is, in screen pixels from the middle of its canvas. */
  #fromMiddle(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
    return [x * devicePixelRatio, y * devicePixelRatio];
  }

  #grip(event) {
    const canvas = event.currentTarget;
    canvas.setPointerCapture(event.pointerId);
    const line = (byId("split").value / 100 - 0.5) * canvas.width;
    const [x, y] = this.#fromMiddle(event);
    const takesLine = !byId("side-by-side").checked && Math.abs(x - line) < NEAR_LINE * devicePixelRatio && !this.#pointers.size;
    this.#pointers.set(event.pointerId, { x, y, takesLine });
  }

  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const [x, y] = this.#fromMiddle(event);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (before.takesLine) {
      byId("split").value = Math.min(Math.max((x / event.currentTarget.width + 0.5) * 100, 0), 100);
      this.#redraw();
    } else if (other) {
      const [was, is] = [Math.hypot(before.x - other.x, before.y - other.y), Math.hypot(x - other.x, y - other.y)];
      if (was) this.#view.zoomTo((this.#view.zoom * is) / was, (x + other.x) / 2, (y + other.y) / 2);
    } else {
      this.#view.moveBy(x - before.x, y - before.y);
    }
    this.#pointers.set(event.pointerId, { ...before, x, y });
  }

  #wheel(event) {
    event.preventDefault();
    this.#view.zoomBy(-Math.sign(event.deltaY), ...this.#fromMiddle(event));
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 40 * devicePixelRatio;
    if (ARROWS[event.key]) this.#view.moveBy(ARROWS[event.key][0] * step, ARROWS[event.key][1] * step);
    else if (event.key === "+" || event.key === "=") this.#view.zoomBy(1);
    else if (event.key === "-") this.#view.zoomBy(-1);
    else if (event.key === "0") this.#view.fit();
    else if (event.key === "1") this.#view.zoomTo(1);
    else return;
    event.preventDefault();
  }
}
