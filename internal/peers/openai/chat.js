// Reads one question a line, {base, key, op, body}, and answers each with a line: what
// OpenAI's own client makes of the server there.
'use strict';
const readline = require('node:readline');
const OpenAI = require('openai');

const kinds = ['AuthenticationError', 'BadRequestError', 'NotFoundError', 'RateLimitError', 'InternalServerError', 'UnprocessableEntityError'];

async function answer(q) {
  const client = new OpenAI({ baseURL: q.base, apiKey: q.key, maxRetries: 0, timeout: 20000 });
  try {
    switch (q.op) {
      case 'models': {
        const out = [];
        for await (const m of client.models.list()) out.push(m.id);
        return { models: out };
      }
      case 'create': {
        const r = await client.chat.completions.create(q.body);
        return { content: r.choices[0].message.content, finish: r.choices[0].finish_reason, tokens: r.usage?.total_tokens ?? -1, tools: r.choices[0].message.tool_calls?.length ?? 0 };
      }
      case 'parse': { // which refuses what is cut off, and reads JSON by itself
        const r = await client.chat.completions.parse(q.body);
        return { content: r.choices[0].message.content, parsed: r.choices[0].message.parsed ?? null };
      }
    }
    return { error: 'no such op' };
  } catch (e) {
    return { error: kinds.find((k) => e instanceof OpenAI[k]) ?? e.constructor.name, status: e.status ?? 0, code: e.code ?? '' };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
  }
})();
