// Reads one request a line and answers each with a line: whether Telnyx's own
// library takes its signature.
'use strict';
const readline = require('node:readline');
const { TelnyxWebhook } = require('telnyx/lib/webhooks');

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const q = JSON.parse(line);
    let answer = true;
    try {
      await new TelnyxWebhook(q.key).verify(q.body, q.headers);
    } catch (e) {
      answer = false;
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
})();
