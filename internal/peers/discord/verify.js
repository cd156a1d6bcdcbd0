// Reads one signed request a line and says what Discord's own library makes of it.
'use strict';
const readline = require('node:readline');
const { verifyKey } = require('discord-interactions');

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const q = JSON.parse(line);
    process.stdout.write((await verifyKey(q.body, q.signature, q.timestamp, q.key)) + '\n');
  }
})();
