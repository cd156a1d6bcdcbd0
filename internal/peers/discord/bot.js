// A bot as people write it with discord.js. It uses what a bot uses; what
// happens to it is told on stdout, a line of JSON each.
'use strict';
const {
  ActionRowBuilder, AttachmentBuilder, ButtonBuilder, ButtonStyle, Client, EmbedBuilder, Events, GatewayIntentBits, MessageFlags, ModalBuilder,
  Partials, SlashCommandBuilder, StringSelectMenuBuilder, TextInputBuilder, TextInputStyle,
} = require('discord.js');

const tell = (event, more) => process.stdout.write(JSON.stringify({ event, ...more }) + '\n');
const failed = (e) => tell('error', { text: String(e && e.stack ? e.stack : e), code: e && e.code });
process.on('unhandledRejection', failed);

const { GuildMembers, GuildMessages, Guilds, DirectMessages, MessageContent } = GatewayIntentBits;
const client = new Client({
  intents: [Guilds, GuildMessages, GuildMembers, DirectMessages].concat(process.env.CONTENT === 'no' ? [] : [MessageContent]),
  partials: [Partials.Channel],
  rest: { api: process.env.DISCORD_API + '/api' },
});
client.on(Events.Error, failed);
client.on(Events.ShardResume, (id, replayed) => tell('resumed', { replayed }));
client.on(Events.ShardReconnecting, () => tell('reconnecting'));
client.on(Events.ShardDisconnect, (e) => tell('disconnected', { code: e.code }));
client.rest.on('rateLimited', (info) => tell('limited', { global: info.global, wait: info.timeToReset }));

client.once(Events.ClientReady, async () => {
  const commands = [
    new SlashCommandBuilder().setName('scale').setDescription('Scales a workload')
      .addStringOption((o) => o.setName('name').setDescription('Which').setRequired(true).setAutocomplete(true))
      .addIntegerOption((o) => o.setName('replicas').setDescription('How many').setMinValue(0).setMaxValue(50)),
    new SlashCommandBuilder().setName('secret').setDescription('Answers one alone'),
  ].map((c) => c.toJSON());
  const made = await client.application.commands.set(commands, process.env.DISCORD_GUILD);
  await client.application.commands.set([new SlashCommandBuilder().setName('note').setDescription('Asks for a note').toJSON()]);
  const app = await client.application.fetch();
  const guild = client.guilds.cache.first();
  tell('ready', { bot: client.user.tag, commands: [...made.values()].map((c) => c.name), app: app.id, guild: guild.name, channels: guild.channels.cache.map((c) => c.name) });
});

const buttons = () => new ActionRowBuilder().addComponents(
  new ButtonBuilder().setCustomId('yes').setLabel('Yes').setStyle(ButtonStyle.Success),
  new ButtonBuilder().setCustomId('no').setLabel('No').setStyle(ButtonStyle.Danger),
);
const menu = () => new ActionRowBuilder().addComponents(
  new StringSelectMenuBuilder().setCustomId('which').setPlaceholder('Which one?').addOptions({ label: 'Web', value: 'web' }, { label: 'API', value: 'api' }),
);

client.on(Events.MessageCreate, async (message) => {
  if (message.author.bot || message.system) return;
  tell('message', { id: message.id, text: message.content, from: message.author.username, roles: message.member ? message.member.roles.cache.map((r) => r.name) : [], dm: !message.guild, files: message.attachments.size });
  try {
    if (message.attachments.size) {
      const file = message.attachments.first();
      const body = Buffer.from(await (await fetch(file.url)).arrayBuffer());
      await message.reply(`${message.flags.has(MessageFlags.IsVoiceMessage) ? 'heard' : 'got'} ${body.length} bytes, ${file.duration} s`);
    } else if (message.content.includes('burst')) {
      for (let i = 0; i < 5; i++) await message.channel.send(`part ${i}`);
    } else if (!message.guild) {
      await message.channel.sendTyping();
      await message.reply('hello in private');
    } else if (message.channel.isThread()) {
      const sent = await message.channel.send({ content: 'working', nonce: message.id, enforceNonce: true });
      await sent.edit({ content: 'done', files: [new AttachmentBuilder(Buffer.from('a chart'), { name: 'chart.png', description: 'of nothing' })] });
    } else if (message.mentions.has(client.user)) {
      const thread = await message.startThread({ name: 'About ' + message.author.username, autoArchiveDuration: 60 });
      await thread.send({
        content: 'Shall I? @everyone',
        embeds: [new EmbedBuilder().setTitle('Plan').setDescription('web: 2 → 5').addFields({ name: 'namespace', value: 'shop' }).setTimestamp()],
        components: [buttons(), menu()],
        allowedMentions: { parse: [] },
      });
    }
  } catch (e) {
    failed(e);
  }
});

client.on(Events.InteractionCreate, async (i) => {
  tell('interaction', { type: i.type, id: i.customId || i.commandName, from: i.user.username, dm: !i.guild });
  try {
    if (i.isAutocomplete()) {
      const typed = i.options.getFocused();
      await i.respond(['web', 'worker', 'api'].filter((n) => n.startsWith(typed)).map((n) => ({ name: n, value: n })));
    } else if (i.isChatInputCommand() && i.commandName === 'scale') {
      await i.deferReply();
      await i.editReply({ content: `${i.options.getString('name')} to ${i.options.getInteger('replicas')}?`, components: [buttons()] });
      await i.followUp('and more');
    } else if (i.isChatInputCommand() && i.commandName === 'secret') {
      const { resource } = await i.reply({ content: 'only you', flags: MessageFlags.Ephemeral, withResponse: true });
      tell('replied', { id: resource.message.id });
    } else if (i.isChatInputCommand()) {
      const line = new TextInputBuilder().setCustomId('why').setLabel('Why?').setStyle(TextInputStyle.Short).setRequired(true);
      await i.showModal(new ModalBuilder().setCustomId('reason').setTitle('A note').addComponents(new ActionRowBuilder().addComponents(line)));
    } else if (i.isModalSubmit()) {
      await i.reply('Noted: ' + i.fields.getTextInputValue('why'));
    } else if (i.isButton()) {
      await i.update({ content: `${i.user.username} said ${i.customId}`, components: [] });
    } else if (i.isStringSelectMenu()) {
      await i.deferUpdate();
      await i.editReply({ content: 'chosen ' + i.values.join() });
    }
  } catch (e) {
    failed(e);
  }
});

process.stdin.on('end', () => client.destroy().then(() => process.exit(0))).resume();
client.login(process.env.DISCORD_TOKEN).catch(failed);
