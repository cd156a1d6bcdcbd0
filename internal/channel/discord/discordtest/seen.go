package discordtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Message is a message as people see it now.
type Message struct {
	ID      string
	Author  string
	Text    string
	Embeds  []Embed
	Buttons []Button
	Menus   []Menu
	Files   []File
	Edits   int
	Mention []string // who is called: names, roles with @&, and @everyone
	To      string   // the message that it is a reply to
	Thread  string   // the thread that begins with it
	Only    string   // who alone sees it
	Voice   bool
	Waiting bool // "firstmate is thinking"
	Links   []string
}

// Embed is a box in a message.
type Embed struct {
	Title, Text, Footer, URL, Image string
	Fields                          []Field
}

// Field is a named text in an embed.
type Field struct{ Name, Value string }

// Button is one that can be pressed unless it is disabled.
type Button struct {
	ID, Label string
	Style     int // 1 blue, 2 grey, 3 green, 4 red, 5 a link
	Disabled  bool
}

// Menu is one of which entries are chosen.
type Menu struct {
	ID, Placeholder string
	Options         []Choice
	Disabled        bool
}

// File is an attachment.
type File struct {
	Name, Type, Description string
	Data                    []byte
	URL                     string
}

// Messages are those of a channel or thread as seen now, what only one person
// sees included, the oldest first.
func (s *Server) Messages(channel, thread string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen(channel, thread)
}

// Threads are the ids of a channel's threads, the oldest first.
func (s *Server) Threads(channel string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, c := range s.channels {
		if c.thread() && c.parent == s.channel(channel).id {
			out = append(out, c.id)
		}
	}
	return out
}

// ThreadName is what a thread is called, and whether it is archived.
func (s *Server) ThreadName(id string) (name string, archived bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channelByID(id); c != nil {
		return c.name, c.archived
	}
	return "", false
}

// Typing says whether the bot is shown as typing in a channel or thread.
func (s *Server) Typing(channel, thread string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.in(channel, thread) // which is there when somebody types
	last := time.Time{}
	if n := len(c.messages); n > 0 {
		last = c.messages[n-1].at
	}
	return s.within(c.lastTyping, 10*time.Second) && !last.After(c.lastTyping)
}

// Wait waits until the messages of a channel or thread are as wanted.
func (s *Server) Wait(ctx context.Context, channel, thread string, so func([]Message) bool) error {
	err := s.wait(ctx, "it was not written", func() bool { return so(s.Messages(channel, thread)) })
	if err != nil {
		var said []string
		for _, m := range s.Messages(channel, thread) {
			said = append(said, m.Author+": "+m.Text)
		}
		return fmt.Errorf("%w; there is\n%s", err, strings.Join(said, "\n"))
	}
	return nil
}

// Interaction is what became of something that a person did.
type Interaction struct {
	ID      string
	Answer  int // the type of the bot's first answer, 0 without one
	After   time.Duration
	Failed  string // why an answer over HTTP was none
	Message string // the id of the answer
	Choices []Choice
	Form    map[string]any // as it was sent
}

// Interaction is what became of an interaction so far.
func (s *Server) Interaction(id string) Interaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := find(s.interactions, func(it *interaction) bool { return it.id == id })
	if !ok {
		return Interaction{}
	}
	out := Interaction{ID: id, Answer: it.answered, After: it.after, Failed: it.failed, Form: it.modal}
	if it.original != nil {
		out.Message = it.original.id
	}
	for _, c := range it.choices {
		o, _ := c.(map[string]any)
		out.Choices = append(out.Choices, Choice{Name: text(o, "name"), Value: fmt.Sprint(o["value"])})
	}
	return out
}

// Answered waits for the first answer to an interaction.
func (s *Server) Answered(ctx context.Context, id string) (Interaction, error) {
	err := s.wait(ctx, "the application did not respond", func() bool { i := s.Interaction(id); return i.Answer != 0 || i.Failed != "" })
	out := s.Interaction(id)
	if err == nil && out.Failed != "" {
		err = fmt.Errorf("the application did not respond: %s", out.Failed)
	}
	return out, err
}

func text(o map[string]any, k string) string { v, _ := o[k].(string); return v }

func (s *Server) seen(in, thread string) []Message {
	c := s.channel(in)
	if thread != "" {
		parent := c.id
		if c = s.channelByID(thread); c == nil || c.parent != parent {
			return nil
		}
	}
	var out []Message
	for _, m := range c.messages {
		if m.kind == 0 || m.kind >= 19 && m.kind != 21 {
			out = append(out, s.see(m))
		}
	}
	return out
}

func (s *Server) see(m *message) Message {
	out := Message{ID: m.id, Author: m.author.name, Text: m.content, Edits: m.edits, Voice: m.flags&voiceMessage != 0, Waiting: m.flags&loading != 0, To: text(m.reference, "message_id")}
	if m.thread != nil {
		out.Thread = m.thread.id
	}
	if m.only != nil {
		out.Only = m.only.name
	}
	for _, u := range m.pings {
		out.Mention = append(out.Mention, u.name)
	}
	for _, id := range m.pingRoles {
		out.Mention = append(out.Mention, "@&"+s.role(id).name)
	}
	if m.everyone {
		out.Mention = append(out.Mention, "@everyone")
	}
	for _, f := range m.files {
		out.Files = append(out.Files, File{Name: f.name, Type: f.kind, Description: f.description, Data: slices.Clone(f.data), URL: f.url})
	}
	for _, each := range m.embeds {
		o, _ := each.(map[string]any)
		footer, _ := o["footer"].(map[string]any)
		image, _ := o["image"].(map[string]any)
		e := Embed{Title: text(o, "title"), Text: text(o, "description"), Footer: text(footer, "text"), URL: text(o, "url"), Image: text(image, "url")}
		fields, _ := o["fields"].([]any)
		for _, f := range fields {
			v, _ := f.(map[string]any)
			e.Fields = append(e.Fields, Field{Name: text(v, "name"), Value: text(v, "value")})
		}
		out.Embeds = append(out.Embeds, e)
	}
	walk(m.components, func(o map[string]any) {
		disabled, _ := o["disabled"].(bool)
		switch o["type"] {
		case 2.0:
			style, _ := o["style"].(float64)
			out.Buttons = append(out.Buttons, Button{ID: text(o, "custom_id"), Label: text(o, "label"), Style: int(style), Disabled: disabled})
			if u := text(o, "url"); u != "" {
				out.Links = append(out.Links, u)
			}
		case 3.0:
			menu := Menu{ID: text(o, "custom_id"), Placeholder: text(o, "placeholder"), Disabled: disabled}
			options, _ := o["options"].([]any)
			for _, each := range options {
				v, _ := each.(map[string]any)
				menu.Options = append(menu.Options, Choice{Name: text(v, "label"), Value: text(v, "value")})
			}
			out.Menus = append(out.Menus, menu)
		case 10.0:
			out.Text = strings.TrimPrefix(out.Text+"\n"+text(o, "content"), "\n")
		}
	})
	return out
}
