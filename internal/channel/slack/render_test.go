package slack

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

var update = flag.Bool("update", false, "write the golden files anew")

// english are the phrases of the catalogue.
func english(t testing.TB) phrases {
	t.Helper()
	c, err := catalogue()
	if err != nil {
		t.Fatal(err)
	}
	return func(key string, data map[string]any) string {
		s, err := c.Say("slack."+key, data)
		if err != nil {
			t.Error(err)
		}
		return s.Text
	}
}

const conversation = "slack:T1:C1:1700000000.000100"

// proposed is a change that somebody is asked about.
func proposed(diff string) dialogue.Reply {
	r := dialogue.Reply{
		Conversation: conversation, Text: "Scale web in shop from 3 to 5 pods. Shall I?", Expect: dialogue.ExpectConfirm, Outcome: dialogue.OutcomePending,
		Proposal: &dialogue.Proposal{ID: "p1", Digest: "d1", Risk: "medium"},
	}
	if diff != "" {
		r.Blocks = []dialogue.Block{{Type: "diff", Title: "web", Text: diff}}
	}
	return r
}

func answer(r dialogue.Reply) chat.Message { return chat.Message{Reply: r, Buttons: chat.Buttons(r)} }

func TestRender(t *testing.T) {
	say := english(t)
	waiting := proposed("- replicas: 3\n+ replicas: 5\n")
	waiting.Expect = dialogue.ExpectApproval
	pin := proposed("")
	pin.Expect, pin.Text = dialogue.ExpectPIN, "Your PIN, please."
	for name, m := range map[string]chat.Message{
		"confirm":  answer(proposed("- replicas: 3\n+ replicas: 5\n")),
		"approval": answer(waiting),
		"pin":      answer(pin),
		"choice": answer(dialogue.Reply{
			Conversation: conversation, Text: "Which one: web or web-2?", Expect: "targets", Choices: []string{"web", "web-2"},
		}),
		"slot":    answer(dialogue.Reply{Conversation: conversation, Text: "To how many?", Expect: "replicas"}),
		"hostile": answer(dialogue.Reply{Conversation: conversation, Text: channeltest.Hostile + " <!channel> <@U0ALICE> *bold* https://evil.example :fire:", Blocks: []dialogue.Block{{Type: "log", Title: "<!here>", Text: "```\n<http://evil.example|click> \x1b[2J&amp;\n"}}}),
		"outcome": {Kind: chat.Outcome, Mention: "U0ALICE", Heard: "scale web to five", Reply: dialogue.Reply{
			Conversation: conversation, Text: "web runs 5 of 5 pods.", Expect: dialogue.ExpectNone,
			Blocks: []dialogue.Block{
				{Type: "table", Columns: []string{"NAME", "READY"}, Rows: [][]string{{"web", "5/5"}, {"a\nb", strings.Repeat("x", 100)}}},
				{Type: "chart", Title: "Errors of web", Chart: &observability.Chart{Title: "Errors of web", Kind: observability.Lines}},
			},
		}},
		"long diff": answer(proposed(strings.Repeat("- one: 1\n+ two: 2\n", 400))),
		"no text":   answer(dialogue.Reply{Conversation: conversation, Speech: "Done."}),
		"nothing":   answer(dialogue.Reply{Conversation: conversation}),
	} {
		t.Run(name, func(t *testing.T) {
			r := render(m, say)
			var files []string
			for _, f := range r.files {
				files = append(files, fmt.Sprintf("%s %q %s %d bytes, chart %v", f.name, f.title, f.kind, len(f.data), f.chart != nil))
			}
			got, err := json.MarshalIndent(map[string]any{"text": r.notice, "blocks": slack.Blocks{BlockSet: r.blocks}, "files": files}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.ReplaceAll(name, " ", "_")+".json", got)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "render", name)
	got = append(got, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != string(got) {
		t.Errorf("%v: not as in %s:\n%s", err, file, got)
	}
}

// TestLimits holds whatever is answered to Slack's limits.
func TestLimits(t *testing.T) {
	say := english(t)
	long := strings.Repeat("süß & <böse> ", 3000)
	var many []string
	for i := range 80 {
		many = append(many, fmt.Sprintf("a-rather-long-name-of-a-workload-%d-%s", i, strings.Repeat("x", i)))
	}
	r := dialogue.Reply{Conversation: conversation, Text: long, Expect: "targets", Choices: many}
	for range 60 {
		r.Blocks = append(r.Blocks, dialogue.Block{Type: "log", Title: long, Text: long[:2000]})
	}
	within(t, render(answer(r), say))
	within(t, render(answer(proposed(long)), say))
}

// within fails unless a message is within the limits.
func within(t *testing.T, r rendered) {
	t.Helper()
	if n := len(r.notice); n == 0 || n > 4000 {
		t.Errorf("the text has %d bytes", n)
	}
	if len(r.blocks) > maxBlocks {
		t.Errorf("%d blocks", len(r.blocks))
	}
	b, err := json.Marshal(r.blocks)
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	total := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if s, ok := v["text"].(string); ok {
				total += utf8.RuneCountInString(s)
				most := maxSection
				if utf8.RuneCountInString(s) > most {
					t.Errorf("a text has %d characters", utf8.RuneCountInString(s))
				}
				if v["type"] == "mrkdwn" && !strings.HasPrefix(s, "<@") {
					t.Errorf("%q is formatted", s)
				}
			}
			if v["type"] == "button" {
				text, _ := v["text"].(map[string]any)
				label, _ := text["text"].(string)
				value, _ := v["value"].(string)
				id, _ := v["action_id"].(string)
				if utf8.RuneCountInString(label) > maxLabel || len(value) > maxValue || len(id) > maxBlockID {
					t.Errorf("a button of %d, %d, %d", len(label), len(value), len(id))
				}
			}
			if e, ok := v["elements"].([]any); ok && v["type"] == "actions" && len(e) > maxElements {
				t.Errorf("%d buttons in a row", len(e))
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(all)
	if total > 13200 {
		t.Errorf("%d characters in all", total)
	}
}

func FuzzRender(f *testing.F) {
	say := english(f)
	f.Add("hello <@U1>", "a|b", "- 1\n+ 2", "<!channel>")
	f.Add(channeltest.Hostile, strings.Repeat("x", 5000), "", "\xff")
	f.Fuzz(func(t *testing.T, text, choices, diff, title string) {
		r := dialogue.Reply{
			Conversation: conversation, Text: text, Expect: "targets", Choices: strings.Split(choices, "|"),
			Blocks: []dialogue.Block{{Type: "diff", Title: title, Text: diff}, {Type: "table", Rows: [][]string{{text, title}}}},
		}
		got := render(answer(r), say)
		within(t, got)
		if strings.ContainsAny(got.notice, "<>\x00\x1b") {
			t.Errorf("%q", got.notice)
		}
	})
}

// TestModal holds forms to Slack's limits and to what they are for.
func TestModal(t *testing.T) {
	say := english(t)
	var many []string
	for i := range 150 {
		many = append(many, fmt.Sprintf("choice %d %s", i, strings.Repeat("x", 90)))
	}
	for name, q := range map[string]question{
		"slot":    {Label: "To how many?", To: conversation},
		"choices": {Label: "Which one?", To: conversation, Choices: many},
		"why":     {Label: "What shall I look into?", Hint: "what is wrong with web?", To: conversation, Answer: "https://hooks.slack.com/actions/T1/1/x"},
	} {
		v := modal(q, say)
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.PrivateMetadata) > 3000 || utf8.RuneCountInString(v.Title.Text) > maxTitle || len(v.Blocks.BlockSet) == 0 {
			t.Errorf("%s: %s", name, b)
		}
		var back question
		if err := json.Unmarshal([]byte(v.PrivateMetadata), &back); err != nil || back.To != q.To || back.Answer != q.Answer {
			t.Errorf("%s: %+v, %v", name, back, err)
		}
		if n := strings.Count(string(b), `"value":`); q.Choices != nil && n != maxOptions {
			t.Errorf("%s: %d options", name, n)
		}
	}
}

func TestConversationOf(t *testing.T) {
	for id, want := range map[string]string{
		rowID(conversation, 3): conversation, "row0|": "", "home": "", "row0|nonsense": "", "x|" + conversation: "", "": "",
		rowID("slack:T1:C1:"+strings.Repeat("1", 300), 0): "",
	} {
		a, ok := conversationOf(id)
		if ok != (want != "") || ok && a.Conversation() != want {
			t.Errorf("%q: %+v, %v", id, a, ok)
		}
	}
}
