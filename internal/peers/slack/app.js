// An app as somebody would write it with Slack's own library. It prints a line of
// JSON for whatever happens to it. MODE is socket or http.
'use strict';
const { App, SocketModeReceiver, HTTPReceiver, LogLevel } = require('@slack/bolt');

const env = process.env;
const clientOptions = { slackApiUrl: env.SLACK_API_URL };
const tell = (what, more = {}) => process.stdout.write(JSON.stringify({ what, ...more }) + '\n');
// Its log goes to where it disturbs nobody who reads the lines.
const log = (...words) => process.stderr.write(words.join(' ') + '\n');
const logger = { debug() {}, info: log, warn: log, error: log, setLevel() {}, getLevel: () => LogLevel.INFO, setName() {} };

const receiver = env.MODE === 'socket'
  ? new SocketModeReceiver({ appToken: env.SLACK_APP_TOKEN, clientPingTimeout: 20000, installerOptions: { clientOptions }, logger })
  : new HTTPReceiver({ signingSecret: env.SLACK_SIGNING_SECRET, endpoints: ['/events', '/commands', '/interactions'], logger });
if (env.MODE === 'socket') {
  // The library waits as long before it connects again as for a pong. A busy machine
  // is to have time for the one, and a test none to lose on the other.
  receiver.client.on('authenticated', () => { receiver.client.clientPingTimeoutMS = 20000; });
  receiver.client.on('connected', () => { receiver.client.clientPingTimeoutMS = 300; });
}
const app = new App({ token: env.SLACK_BOT_TOKEN, receiver, clientOptions, logger });

const go = (text) => [
  { type: 'section', text: { type: 'mrkdwn', text } },
  { type: 'actions', elements: [{ type: 'button', action_id: 'go', value: 'yes', style: 'primary', text: { type: 'plain_text', text: 'Go' } }] },
];

app.event('app_mention', async ({ event, say, client, body }) => {
  tell('mention', { text: event.text, user: event.user, id: body.event_id });
  if (event.text.includes('upload')) {
    await client.filesUploadV2({ channel_id: event.channel, thread_ts: event.ts, initial_comment: 'a chart', file: Buffer.from('\x89PNG\r\n\x1a\n chart'), filename: 'chart.png', title: 'Chart' });
    return;
  }
  const said = await say({ text: 'Shall I?', thread_ts: event.thread_ts ?? event.ts, blocks: go('Shall I? ' + event.text) });
  tell('said', { ok: said.ok, ts: said.ts });
});

app.message(async ({ message, say, context }) => {
  if (message.channel_type !== 'im') return;
  if (message.subtype === 'file_share') {
    const f = message.files[0];
    const got = await fetch(f.url_private_download, { headers: { authorization: `Bearer ${env.SLACK_BOT_TOKEN}` } });
    tell('heard', { type: f.mimetype, bytes: (await got.arrayBuffer()).byteLength });
    return;
  }
  tell('direct', { text: message.text, retry: context.retryNum });
  await say('You said ' + message.text);
});

app.command('/ship', async ({ command, ack, respond, client }) => {
  tell('command', { text: command.text });
  if (command.text !== 'where') {
    await ack({ response_type: 'ephemeral', text: 'On it: ' + command.text });
    await respond({ response_type: 'in_channel', text: 'Done: ' + command.text });
    return;
  }
  await ack();
  const opened = await client.views.open({
    trigger_id: command.trigger_id,
    view: {
      type: 'modal', callback_id: 'where', private_metadata: command.channel_id,
      title: { type: 'plain_text', text: 'Where?' }, submit: { type: 'plain_text', text: 'Go' },
      blocks: [{ type: 'input', block_id: 'ns', label: { type: 'plain_text', text: 'Namespace' }, element: { type: 'plain_text_input', action_id: 'value' } }],
    },
  });
  tell('opened', { view: opened.view.id });
});

app.view('where', async ({ ack, view, client, body }) => {
  const ns = view.state.values.ns.value.value;
  if (ns === 'mars') {
    await ack({ response_action: 'errors', errors: { ns: 'There is no such namespace.' } });
    return;
  }
  await ack();
  await client.chat.postMessage({ channel: view.private_metadata, text: `<@${body.user.id}> chose ${ns}` });
});

app.action('go', async ({ ack, body, action, client, respond }) => {
  await ack();
  tell('clicked', { value: action.value, user: body.user.id });
  if (!body.message) {
    await respond({ replace_original: true, text: 'replaced' });
    return;
  }
  await client.chat.update({ channel: body.channel.id, ts: body.message.ts, text: 'Done.', blocks: [] });
});

app.shortcut('look', async ({ ack, shortcut, client }) => {
  await ack();
  tell('shortcut', { type: shortcut.type });
  await client.reactions.add({ channel: shortcut.channel.id, timestamp: shortcut.message.ts, name: 'eyes' });
});

app.event('app_home_opened', async ({ event, client }) => {
  const who = await client.users.info({ user: event.user });
  await client.views.publish({ user_id: event.user, view: { type: 'home', blocks: go('Hello ' + who.user.profile.email) } });
});

app.error(async (e) => tell('error', { message: String(e), data: e.data }));

(async () => {
  if (env.MODE === 'socket') {
    receiver.client.on('connected', () => tell('connected'));
    await app.start();
    tell('started');
  } else {
    const server = await app.start({ port: 0, host: '127.0.0.1' });
    tell('started', { port: server.address().port });
  }
})().catch((e) => { tell('error', { message: String(e) }); process.exit(1); });
