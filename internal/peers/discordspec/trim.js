// Writes the part of Discord's OpenAPI description that the fake Discord is
// held to: the operations below, with every schema that they reach. Discord
// publishes the description on GitHub only; the package discord-api-spec turns
// each version of it into types (the paths) and zod schemas (the bodies). This
// puts both together again, as OpenAPI 3.0.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const operations = `
get /gateway
get /gateway/bot
get /users/@me
get /users/{user_id}
post /users/@me/channels
get /applications/@me
get /applications/{application_id}/commands
put /applications/{application_id}/commands
post /applications/{application_id}/commands
get /applications/{application_id}/guilds/{guild_id}/commands
put /applications/{application_id}/guilds/{guild_id}/commands
get /channels/{channel_id}
patch /channels/{channel_id}
get /channels/{channel_id}/messages
post /channels/{channel_id}/messages
get /channels/{channel_id}/messages/{message_id}
patch /channels/{channel_id}/messages/{message_id}
delete /channels/{channel_id}/messages/{message_id}
post /channels/{channel_id}/messages/{message_id}/threads
post /channels/{channel_id}/threads
post /channels/{channel_id}/typing
get /guilds/{guild_id}
get /guilds/{guild_id}/channels
get /guilds/{guild_id}/roles
get /guilds/{guild_id}/members
get /guilds/{guild_id}/members/{user_id}
post /interactions/{interaction_id}/{interaction_token}/callback
post /webhooks/{webhook_id}/{webhook_token}
get /webhooks/{webhook_id}/{webhook_token}/messages/@original
patch /webhooks/{webhook_id}/{webhook_token}/messages/@original
delete /webhooks/{webhook_id}/{webhook_token}/messages/@original
get /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}
patch /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}
delete /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}
`.trim().split('\n').map((l) => l.split(' '));

// What the fake has not: a request that asks for it is refused as unknown, in
// an answer it is nothing that has to be there.
const without = /Poll|Sticker|ClientTheme|Lobby|RoleSubscription|PurchaseNotification|MessageCall|MessageActivity|Snapshot|Collectibles|AvatarDecoration|PrimaryGuild|LaunchActivity|SocialLayer|Invite|ResolvedObjects|GuildTemplate|Forum|GroupDM|PrivateGroup|VoiceChannelStatus|IntegrationTypesConfig|TeamResponse|Entitlement/;

const pkg = path.join(__dirname, 'node_modules/discord-api-spec');
const types = fs.readFileSync(path.join(pkg, 'build/discord-api-spec.ts'), 'utf8').split('\n');

// section returns the lines of the block that begins with `head`.
function section(lines, head) {
  const at = lines.findIndex((l) => l.startsWith(head));
  if (at < 0) throw new Error(`no ${head.trim()} in the package`);
  const end = head.match(/^ */)[0] + '}';
  return lines.slice(at, lines.findIndex((l, i) => i > at && (l === end || l === end + ';')));
}

// typed returns the type of a field, which may go over several lines.
function typed(lines, pattern) {
  const at = lines.findIndex((l) => pattern.test(l));
  if (at < 0) return undefined;
  let text = lines[at].replace(pattern, '');
  for (let i = at + 1; !text.endsWith(';'); i++) text += ' ' + lines[i].trim();
  return text.slice(0, -1).trim().replace(/^\|/, '');
}

// schema turns such a type into a schema of names, lists and unions.
function schema(type) {
  const list = /^\s*\((.*)\)\[\](\s*\| null)?$/.exec(type);
  if (list) return { type: 'array', items: schema(list[1].trim().replace(/^\|/, '')), nullable: list[2] !== undefined };
  const parts = type.split('|').map((p) => p.trim()).filter((p) => p && p !== 'undefined');
  const nullable = parts.includes('null');
  const of = parts.filter((p) => p !== 'null' && !without.test(p)).map((p) => {
    if (p.endsWith('[]')) return { type: 'array', items: schema(p.slice(0, -2)) };
    if (!/^\w+$/.test(p)) throw new Error(`what is ${p}?`);
    return { $ref: '#/components/schemas/' + p };
  });
  const out = of.length === 1 ? of[0] : { anyOf: of };
  return nullable && !out.$ref ? { ...out, nullable: true } : out;
}

async function main() {
  const z = await import('zod');
  const bodies = await import('discord-api-spec/zod');
  const registry = z.registry();
  for (const [name, s] of Object.entries(bodies)) {
    if (name.endsWith('Schema')) registry.add(s, { id: name.slice(0, -'Schema'.length) });
  }
  const all = z.toJSONSchema(registry, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any', uri: (id) => '#/components/schemas/' + id }).schemas;

  const paths = {};
  const roots = { request: new Set(), response: new Set() };
  const inPaths = section(types, 'export interface Paths {');
  for (const [method, p] of operations) {
    const op = section(section(inPaths, `  "${p}": {`), `    ${method}: {`);
    const params = [...p.matchAll(/{(\w+)}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
    const body = typed(op, /^      requestBody\?:/);
    const out = { parameters: params, responses: {} };
    if (body && body !== 'undefined') {
      out.requestBody = { content: { 'application/json': { schema: schema(body) } } };
      collect(out.requestBody, roots.request);
    }
    for (const status of ['200', '201', '204']) {
      const type = typed(op, new RegExp(`^        "${status}":`));
      if (type === undefined) continue;
      out.responses[status] = { description: 'done' };
      if (type === 'unknown') continue;
      out.responses[status].content = { 'application/json': { schema: schema(type) } };
      collect(out.responses[status], roots.response);
    }
    (paths[p] ??= {})[method] = out;
  }
  for (const name of ['ErrorResponse', 'RatelimitedResponse']) roots.response.add(name);

  const components = {};
  for (const [kind, names] of Object.entries(roots)) {
    const seen = new Set();
    const todo = [...names];
    while (todo.length) {
      const name = todo.pop();
      if (seen.has(name)) continue;
      seen.add(name);
      const s = trimmed(all[name], kind);
      if (!s) throw new Error(`no schema ${name}`);
      components[name] = s;
      collect(s, { add: (n) => todo.push(n) });
    }
  }
  const doc = {
    openapi: '3.0.3',
    info: { title: "Discord's API, the part that the fake has", version: JSON.parse(fs.readFileSync(path.join(pkg, 'package.json'), 'utf8')).version },
    servers: [{ url: '/api/v10' }],
    paths,
    components: { schemas: Object.fromEntries(Object.entries(components).sort(([a], [b]) => (a < b ? -1 : 1))) },
  };
  process.stdout.write(lines(doc) + '\n');
}

function collect(s, into) {
  JSON.stringify(s, (k, v) => {
    if (k === '$ref') into.add(v.split('/').pop());
    return v;
  });
}

// trimmed drops what the fake has not, and lets a request have nothing that is
// not described.
function trimmed(s, kind) {
  if (Array.isArray(s)) return s.map((v) => trimmed(v, kind)).filter((v) => v !== undefined);
  if (s === null || typeof s !== 'object') return s;
  if (s.$ref && without.test(s.$ref)) return undefined;
  if (Object.keys(s).length === 1 && s.allOf?.length === 1) return trimmed(s.allOf[0], kind);
  const out = {};
  for (const [k, v] of Object.entries(s)) {
    if (['$schema', 'id', '$id'].includes(k) && typeof v === 'string') continue;
    if (k === 'pattern' && s.format === 'date-time') continue; // zod's own idea: UTC only, while Discord writes +00:00
    if (k === 'properties') {
      out.properties = {};
      for (const [name, p] of Object.entries(v)) {
        const t = trimmed(p, kind);
        if (t !== undefined) out.properties[name] = t;
      }
      continue;
    }
    let t = trimmed(v, kind);
    if (k === 'anyOf' && t) t = t.filter((of) => Object.keys(of).length > 0); // zod's undefined
    if (t === undefined || ((k === 'anyOf' || k === 'allOf' || k === 'oneOf') && t.length === 0)) return undefined;
    out[k] = t;
  }
  if (out.properties) {
    delete out.additionalProperties;
    if (kind === 'request') out.additionalProperties = false;
    if (out.required) out.required = out.required.filter((name) => name in out.properties);
    if (out.required && out.required.length === 0) delete out.required;
  }
  return out;
}

// lines writes one operation and one schema a line, so that a change is seen.
function lines(doc) {
  const put = (o) => Object.entries(o).map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',\n');
  const { paths, components, ...rest } = doc;
  return `${JSON.stringify(rest).slice(0, -1)},\n"paths":{\n${put(paths)}\n},\n"components":{"schemas":{\n${put(components.schemas)}\n}}}`;
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
