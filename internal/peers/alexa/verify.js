// Asks Amazon's own verifier about requests: node verify.js ROOT.pem CHAIN.pem
// reads one JSON object {headers, body} a line and answers each with a line, "ok"
// or what it has against it. The chain is what lies at whatever URL the header
// names; the root is the only one that is trusted.
import { readFileSync } from "node:fs";
import Module, { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [root, chain] = process.argv.slice(2).map((name) => readFileSync(name, "utf8"));
const require = createRequire(import.meta.url);

// The verifier takes its roots from Node's module tls, whose list is fixed.
const tls = Object.create(require("node:tls"), { rootCertificates: { value: [root] } });
const load = Module._load;
Module._load = function (request, ...rest) {
  return request === "tls" ? tls : load.call(this, request, ...rest);
};

const { SkillRequestSignatureVerifier, TimestampVerifier } = require("ask-sdk-express-adapter");

class Verifier extends SkillRequestSignatureVerifier {
  async _getCertChainByUrl() {
    return chain;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { headers, body } = JSON.parse(line);
  try {
    await new Verifier().verify(body, headers);
    await new TimestampVerifier().verify(body);
    console.log("ok");
  } catch (e) {
    console.log(String(e.message).replaceAll("\n", " "));
  }
}
