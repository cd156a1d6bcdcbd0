// Runs the inspector's command line once: node inspect.js ARGUMENTS… The inspector keeps
// files in the home directory; the caller gives it one of its own.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const run = spawnSync(process.execPath, [join(here, "node_modules", ".bin", "mcp-inspector"), "--cli", ...process.argv.slice(2)], { stdio: "inherit" });
process.exit(run.status ?? 1);
