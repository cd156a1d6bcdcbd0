package discordtest

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/peers"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// TestTheDescriptionIsDiscords makes openapi.json anew from the package that has
// Discord's description. With -update it is written.
func TestTheDescriptionIsDiscords(t *testing.T) {
	made, err := exec.CommandContext(t.Context(), "node", filepath.Join(peers.Node(t, "discordspec"), "trim.js")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := description.ReadFile("openapi.json"); err != nil || !bytes.Equal(made, have) {
		t.Error("openapi.json is not what internal/peers/discordspec/trim.js makes: run this test with -update")
	}
}

// TestEveryOperationIsDescribed holds that nothing is answered that the
// description does not have, and nothing described that is not answered.
func TestEveryOperationIsDescribed(t *testing.T) {
	s := New(t)
	have := map[string]bool{}
	for _, r := range s.api() {
		have[r.method+" "+r.path] = true
		if s.operation(r) == nil {
			t.Errorf("%s %s is not described", r.method, r.path)
		}
	}
	for path, item := range s.doc.Paths.Map() {
		for method := range item.Operations() {
			if !have[method+" "+path] {
				t.Errorf("%s %s is described and not there", method, path)
			}
		}
	}
}
