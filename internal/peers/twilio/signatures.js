// Reads one question a line and answers each with a line: what Twilio's own
// library makes of it.
'use strict';
const readline = require('node:readline');
const twilio = require('twilio');
const webhooks = require('twilio/lib/webhooks/webhooks');

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const q = JSON.parse(line);
  let answer;
  switch (q.op) {
    case 'sign':
      answer = webhooks.getExpectedTwilioSignature(q.token, q.url, q.params);
      break;
    case 'hash':
      answer = webhooks.getExpectedBodyHash(q.body);
      break;
    case 'valid':
      try {
        answer = twilio.validateRequest(q.token, q.signature, q.url, q.params);
      } catch (e) {
        answer = false; // no URL at all
      }
      break;
    case 'validBody':
      answer = twilio.validateRequestWithBody(q.token, q.signature, q.url, q.body);
      break;
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
});
