// Calls the public API's own client: one JSON line in, {"call", "params"}; one line out, its answer.
const readline = require("node:readline");
const { createBaasClient } = require("@meeting-baas/sdk");

const [base_url, api_key] = process.argv.slice(2);
const client = createBaasClient({ api_key, base_url, api_version: "v2" });

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { call, params } = JSON.parse(line);
    const answer = await client[call](params ?? undefined);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
})();
