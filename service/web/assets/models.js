// Models: what is served, to be chosen from, with the quality that was measured.

import { byId, element } from "./dom.js";

/** Fills the choice of models and scales; the first one is chosen. */
export function offer(models, onChange) {
  const fieldset = byId("models");
  for (const [at, model] of models.entries()) {
    const quality = element("small");
    const box = element("input", { type: "checkbox", name: "model", value: model.name, checked: at === 0 });
    box.addEventListener("change", onChange);
    fieldset.append(element("label", { className: "model" }, box, element("span", {}, element("b", { textContent: model.name }), ` ${model.paper.split(",")[0]}`), quality));
  }
  const scales = [...new Set(models.flatMap((model) => model.scales))].sort((a, b) => a - b);
  byId("scale").replaceChildren(...scales.map((scale) => element("option", { value: scale, textContent: `× ${scale}` })));
  byId("scale").value = models[0]?.scales.at(-1) ?? "";
  byId("scale").addEventListener("change", () => {
    follow(models);
    onChange();
  });
  follow(models);
}

/** The chosen models that have the chosen scale: [{model, scale}]. */
export function chosen() {
  const scale = Number(byId("scale").value);
  return [...document.querySelectorAll("input[name=model]:checked:enabled")].map((box) => ({ model: box.value, scale }));
}

/** Each model's figures at the chosen scale; one without that scale cannot be chosen. */
function follow(models) {
  const scale = Number(byId("scale").value);
  for (const model of models) {
    const box = document.querySelector(`input[name=model][value="${CSS.escape(model.name)}"]`);
    const graph = model.graphs.find((candidate) => candidate.scale === scale);
    box.disabled = !graph;
    const scores = Object.entries(graph?.psnr ?? {}).map(([set, score]) => `${set} ${score.toFixed(2)}`);
    const size = graph?.fixed_size && `takes ${graph.fixed_size[1]} × ${graph.fixed_size[0]} only`;
    const text = graph ? [...scores, size].filter(Boolean).join(" · ") || "not measured" : `has × ${model.scales.join(", × ")}`;
    box.closest("label").querySelector("small").textContent = text;
  }
}
