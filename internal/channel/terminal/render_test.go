package terminal

import (
	"testing"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

func TestRender(t *testing.T) {
	table := dialogue.Block{Type: "table", Title: "Deployments", Columns: []string{"name", "ready"}, Rows: [][]string{{"web", "3/3"}, {"payments-api", "1/2"}, {"short"}, {"a", "b", "extra"}}}
	diff := dialogue.Block{Type: "diff", Text: "--- a\n+++ b\n@@ -1 +1 @@\n-replicas: 3\n+replicas: 5\n same\n"}
	for _, tt := range []struct {
		name string
		r    dialogue.Reply
		s    style
		want string
	}{
		{"text", dialogue.Reply{Text: "a\n\tb\n"}, style{}, "a\n\tb\n"},
		{"speech where there is no text", dialogue.Reply{Speech: "a"}, style{}, "a\n"},
		{"done", dialogue.Reply{Text: "a\nb", Outcome: dialogue.OutcomeDone}, style{color: true}, "\x1b[32ma\x1b[0m\nb\n"},
		{"failed", dialogue.Reply{Text: "a", Outcome: dialogue.OutcomeFailed}, style{color: true}, "\x1b[31ma\x1b[0m\n"},
		{"no colour", dialogue.Reply{Text: "a", Outcome: dialogue.OutcomeFailed}, style{}, "a\n"},
		{"choices", dialogue.Reply{Text: "Which?", Choices: []string{"web in shop", "web in staging"}}, style{}, "Which?\n  1. web in shop\n  2. web in staging\n"},
		{"table", dialogue.Reply{Text: "4", Blocks: []dialogue.Block{table}}, style{},
			"4\nDeployments\nname          ready\nweb           3/3\npayments-api  1/2\nshort\na             b      extra\n"},
		{"table cut", dialogue.Reply{Text: "4", Blocks: []dialogue.Block{table}}, style{width: 10},
			"4\nDeploymen…\nname     …\nweb      …\npayments-…\nshort\na        …\n"},
		{"chart", dialogue.Reply{Text: "5", Blocks: []dialogue.Block{{Type: "chart", Title: "web: cpu", Chart: &observability.Chart{Kind: observability.Lines, Unit: observability.Cores, Series: []observability.Series{
			{Name: "web", Points: []observability.Point{{Value: 0}, {Value: 2}, {Value: 4}}}, {Name: "a\x1b[2J", Points: []observability.Point{{Value: 1}}}, {Name: "empty"},
		}}}}}, style{}, "5\nweb: cpu\nweb   ▁▄█ 4 cores\na[2J  ▂ 1 cores\n"},
		{"diff", dialogue.Reply{Text: "a", Blocks: []dialogue.Block{diff}}, style{color: true},
			"a\n\x1b[2m--- a\x1b[0m\n\x1b[2m+++ b\x1b[0m\n\x1b[2m@@ -1 +1 @@\x1b[0m\n\x1b[31m-replicas: 3\x1b[0m\n\x1b[32m+replicas: 5\x1b[0m\n same\n"},
	} {
		if got := render(tt.r, tt.s); got != tt.want {
			t.Errorf("%s:\n%q\nwant\n%q", tt.name, got, tt.want)
		}
	}
}
