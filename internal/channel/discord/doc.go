// Package discord is a Discord bot: it hears mentions, direct messages and its own
// threads over the gateway, or commands over HTTP, makes turns of them, and renders
// answers as messages with code blocks, files, buttons and menus.
package discord
