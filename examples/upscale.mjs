// One picture from JavaScript, by nothing but Node's own fetch (18 or newer): refusals told by their code, and a full or
// restarting service asked again after as long as it says.
//
//   node examples/upscale.mjs photo.jpg large.png edsr 4

import { readFile, writeFile } from "node:fs/promises";

const service = process.env.SR_BASE_URL ?? "http://127.0.0.1:8000";
const [picture, output, model = "edsr", scale = "4"] = process.argv.slice(2);

async function upscale(body, parameters, { attempts = 4 } = {}) {
  const url = `${service}/upscale?${new URLSearchParams(parameters)}`;
  const headers = { "Content-Type": "application/octet-stream" };
  if (process.env.SR_API_KEY) headers.Authorization = `Bearer ${process.env.SR_API_KEY}`;
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(url, { method: "POST", body, headers, signal: AbortSignal.timeout(60_000) });
    if (answer.ok) return answer;
    const isProblem = answer.headers.get("Content-Type")?.startsWith("application/problem+json");
    const problem = isProblem ? await answer.json() : { code: "unexpected", detail: `status ${answer.status}` };
    if (!problem.retryable || attempt === attempts) throw Object.assign(new Error(problem.detail), problem);
    const seconds = Number(answer.headers.get("Retry-After") ?? 2 ** (attempt - 1));
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

try {
  const answer = await upscale(await readFile(picture), { model, scale, format: "png" });
  await writeFile(output, Buffer.from(await answer.arrayBuffer()));
  console.log(`${output}: ${answer.headers.get("X-SR-Model")} in ${answer.headers.get("Server-Timing")}`);
} catch (error) {
  console.error(`${error.message} (${error.code ?? error.name})`);
  process.exitCode = 1;
}
