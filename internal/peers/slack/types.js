// Checks messages and views against the types of Slack's own libraries. It reads
// {"name": {"kind": "message" | "view", "value": …}, …} and prints what TypeScript
// finds wrong: {"name": "why", …}.
'use strict';
const path = require('node:path');
const ts = require('typescript');

let input = '';
process.stdin.on('data', (b) => { input += b; });
process.stdin.on('end', () => {
  const all = Object.entries(JSON.parse(input));
  const file = path.join(__dirname, 'payloads.ts');
  const lines = [
    'import type { KnownBlock, ModalView, HomeView } from "@slack/types";',
    'type Strict<V> = Omit<V, "blocks"> & { blocks: KnownBlock[] };',
    'type Views = Strict<ModalView> | Strict<HomeView>;',
    'type Message = { blocks: KnownBlock[]; [more: string]: unknown };',
  ];
  const first = lines.length;
  for (const [, p] of all) {
    lines.push(`{ const p: ${p.kind === 'view' ? 'Views' : 'Message'} = ${JSON.stringify(p.value)}; void p; }`);
  }
  const source = lines.join('\n');
  const options = { strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10, ignoreDeprecations: '5.0', types: [], lib: ['lib.es2022.d.ts'] };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...more) => (name === file ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2022, true) : read(name, ...more));
  const program = ts.createProgram([file], options, host);
  const wrong = {};
  for (const d of ts.getPreEmitDiagnostics(program)) {
    const line = d.file && d.file.fileName === file ? d.file.getLineAndCharacterOfPosition(d.start).line - first : -1;
    wrong[line < 0 ? '' : all[line][0]] = ts.flattenDiagnosticMessageText(d.messageText, ' ');
  }
  process.stdout.write(JSON.stringify(wrong));
});
