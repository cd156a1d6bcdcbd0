package discord

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is text as a cluster may hold it.
const hostile = "@everyone <@&88> <@53> <#4> [click](https://evil.example) https://evil.example/x **bold** `code` ```\nfence``` ||spoiler|| _it_ ~~no~~ # not a title\n# title\n- item\n> quote\n-# small <t:0> \\"

func TestRender(t *testing.T) {
	confirm := dialogue.Reply{
		Text: "Scale web in shop from 3 to 5. Shall I?", Expect: dialogue.ExpectConfirm,
		Proposal: &dialogue.Proposal{ID: "p1", Risk: "low"},
		Blocks:   []dialogue.Block{{Type: "diff", Title: "web", Text: "--- a\n+++ b\n-replicas: 3\n+replicas: 5\n"}},
	}
	rows := [][]string{}
	for range 80 {
		rows = append(rows, []string{"web-7d9f8b6c5-x2k4q", "Running", "a\nmessage with `ticks` in it"})
	}
	choices := dialogue.Reply{Text: "Which one?", Expect: dialogue.ExpectChoice}
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		choices.Choices = append(choices.Choices, strings.Repeat(string(c), 90))
	}
	for _, tt := range []struct {
		name string
		m    chat.Message
	}{
		{"confirm", chat.Message{Reply: confirm, Buttons: chat.Buttons(confirm)}},
		{"risky", chat.Message{Reply: dialogue.Reply{Text: "Scale db to 0. Shall I?"}, Buttons: []chat.Button{{ID: "yes:p2", Label: "Yes", Style: chat.Danger}, {ID: "no:p2", Label: "No"}}}},
		{"hostile", chat.Message{
			Heard: hostile, Reply: dialogue.Reply{Text: hostile, Blocks: []dialogue.Block{{Type: "log", Title: hostile, Text: hostile}, {Type: "table", Columns: []string{"A"}, Rows: [][]string{{hostile}}}}},
			Buttons: []chat.Button{{ID: "say:" + hostile[:20], Label: hostile}},
		}},
		{"outcome", chat.Message{Kind: chat.Outcome, Mention: "53", Reply: dialogue.Reply{Text: "Web runs with 5 of 5."}}},
		{"nobody to mention", chat.Message{Kind: chat.Outcome, Mention: "everyone> @here", Reply: dialogue.Reply{Text: "Web runs."}}},
		{"long table", chat.Message{Reply: dialogue.Reply{Text: "80 pods.", Blocks: []dialogue.Block{{Type: "table", Title: "Pods", Columns: []string{"NAME", "STATE", "WHY"}, Rows: rows}}}}},
		{"long text", chat.Message{Reply: dialogue.Reply{Text: strings.Repeat("All is well with the shop_.\n", 120)}}},
		{"many choices", chat.Message{Reply: choices, Buttons: manyButtons(choices)}},
		{"empty", chat.Message{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, files, err := render(tt.m, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			inLimits(t, out, files)
			var golden strings.Builder
			golden.WriteString(out.Content + "\n=====\n")
			buttons, err := json.Marshal(out.Components)
			if err != nil {
				t.Fatal(err)
			}
			allowed, err := json.Marshal(out.Allowed)
			if err != nil {
				t.Fatal(err)
			}
			golden.WriteString(string(buttons) + "\n" + string(allowed) + "\n")
			for _, f := range files {
				golden.WriteString("file " + f.name + ", " + f.kind + ", " + f.about + "\n")
			}
			file := filepath.Join("testdata", strings.ReplaceAll(tt.name, " ", "-")+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(golden.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || string(want) != golden.String() {
				t.Errorf("%v, got\n%s\nwant\n%s", err, golden.String(), want)
			}
		})
	}
}

func manyButtons(r dialogue.Reply) (out []chat.Button) {
	for _, c := range r.Choices {
		out = append(out, chat.Button{ID: "say:" + c, Label: c})
	}
	return append(out, out[0], chat.Button{ID: "yes:p", Label: strings.Repeat("y", 100), Style: chat.Primary}, chat.Button{ID: "yes:" + strings.Repeat("p", 200), Label: "too long"})
}

// inLimits holds a message to what Discord takes.
func inLimits(t testing.TB, out body, files []file) {
	t.Helper()
	if n := units(out.Content); n > maxContent || n == 0 && len(files) == 0 {
		t.Errorf("content of %d", n)
	}
	if len(files) > maxFiles || len(out.Attachments) != len(files) {
		t.Errorf("%d files, %d attachments", len(files), len(out.Attachments))
	}
	if len(out.Allowed.Parse) != 0 || out.Allowed.Parse == nil || out.Flags&flagSuppressEmbeds == 0 {
		t.Errorf("%+v, flags %d", out.Allowed, out.Flags)
	}
	ids := map[string]bool{}
	if len(out.Components) > maxRow {
		t.Errorf("%d rows", len(out.Components))
	}
	for _, r := range out.Components {
		cells := r.(row).Components
		if len(cells) == 0 || len(cells) > maxRow {
			t.Errorf("%d in a row", len(cells))
		}
		for _, c := range cells {
			switch c := c.(type) {
			case button:
				if ids[c.ID] || c.ID == "" || units(c.ID) > maxCustomID || c.Label == "" || units(c.Label) > maxLabel {
					t.Errorf("%+v", c)
				}
				ids[c.ID] = true
			case menu:
				values := map[string]bool{}
				for _, o := range c.Options {
					if values[o.Value] || units(o.Label) > maxOption || units(o.Value) > maxOption || o.Label == "" {
						t.Errorf("%+v", o)
					}
					values[o.Value] = true
				}
				if len(c.Options) == 0 || len(c.Options) > maxOptions || len(cells) != 1 {
					t.Errorf("%d options", len(c.Options))
				}
			}
		}
	}
}

func TestCharts(t *testing.T) {
	chart := dialogue.Block{Type: "chart", Chart: &observability.Chart{Title: "CPU of web"}}
	m := chat.Message{Reply: dialogue.Reply{Text: "CPU.", Blocks: []dialogue.Block{chart, {Type: "chart"}, chart}}}
	out, files, err := render(m, "", func(c observability.Chart) ([]byte, error) { return []byte("PNG of " + c.Title), nil })
	if err != nil || len(files) != 2 || files[0].name != "chart.png" || files[1].name != "chart-2.png" || string(files[0].data) != "PNG of CPU of web" || out.Attachments[1].Filename != "chart-2.png" {
		t.Errorf("%v %+v %+v", err, out, files)
	}
	if out, files, err = render(m, "", func(observability.Chart) ([]byte, error) { return nil, errors.New("no font") }); err == nil || len(files) != 0 || out.Content != "CPU." {
		t.Errorf("an answer without its chart: %v %+v", err, out)
	}
}

// unescaped is what Discord shows of markdown without formatting: backslashes gone.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\\*_~`|<>[]()@#-+:", s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// FuzzRender holds whatever a cluster says to Discord's limits, out of its markdown and
// inside its code block.
func FuzzRender(f *testing.F) {
	for _, s := range []string{"", "web runs", hostile, strings.Repeat("`", 3000), strings.Repeat("\\", 2100), strings.Repeat("😀", 1500), strings.Repeat("a*\n", 900), "\xff\xfe"} {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, text, block, label string) {
		m := chat.Message{Heard: label, Mention: text, Reply: dialogue.Reply{Text: text, Blocks: []dialogue.Block{
			{Type: "log", Title: label, Text: block}, {Type: "diff", Text: block}, {Type: "table", Columns: []string{label, text}, Rows: [][]string{{block}, {text, block, label}}},
		}}, Buttons: []chat.Button{{ID: "say:" + label, Label: label}, {ID: label, Label: block}}}
		out, files, err := render(m, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		inLimits(t, out, files)
		if n := strings.Count(out.Content, "```"); n%2 != 0 {
			t.Errorf("a code block is left open: %q", out.Content)
		}
		if got := unescaped(escaped(text)); got != text && strings.ToValidUTF8(text, "�") == text {
			t.Errorf("%q is shown as %q", text, got)
		}
		_, rest, _ := strings.Cut(escaped(text), "https://")
		if rest != "" {
			t.Errorf("a link: %q", escaped(text))
		}
		_ = threadName(text)
	})
}
