package dialogue

import (
	"strings"
	"testing"
)

// TestMisfit gives sentences that were not understood: what cannot be in them is named,
// and nothing is made up about the others.
func TestMisfit(t *testing.T) {
	nodes := []string{"node-1", "node-2", "worker-a"}
	for text, want := range map[string]string{
		"drain node-9":                           "There is no node node-9. I know node-1, node-2, worker-a.",
		"Please cordon the node node-9.":         "There is no node node-9. I know node-1, node-2, worker-a.",
		"uncordon node foo":                      "There is no node foo. I know node-1, node-2, worker-a.",
		"cordon a, b and c":                      "There is no node a or b or c. I know node-1, node-2, worker-a.",
		"cordon node-1 and node-9":               "There is no node node-9. I know node-1, node-2, worker-a.",
		"cordon node-1, node-2 and worker-a":     "I cordon one node at a time. Say “cordon node-1” first.",
		"run nginx on port 99999":                "99999 is no port: a port is a number from 1 to 65535.",
		"run nginx with port 0":                  "0 is no port: a port is a number from 1 to 65535.",
		"kubectl run x --image=nginx --port=7e9": "",
		"run nginx on port 80":                   "",
		"drain node-1":                           "",
		"drain the swamp":                        "",
		"cordon off node-9":                      "",
		"do not drain node-9":                    "",
		"drain node-9 then uncordon node-1":      "",
		"did you drain node-9":                   "",
		"drain node-9<script>":                   "",
		"airport 99999 is far":                   "",
	} {
		got := ""
		if err := misfit(text, func() []string { return nodes }); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if err := misfit("drain node-9", func() []string { return nil }); err != nil {
		t.Errorf("no node is known, and yet: %v", err)
	}
	if err := misfit("drain node-9", func() []string { return strings.Split("abcdefg", "") }); err == nil || err.Error() != "There is no node node-9. I know a, b, c, d, e and 2 more." {
		t.Error(err)
	}
}
