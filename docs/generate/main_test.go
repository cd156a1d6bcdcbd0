package main

import (
	"os"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
)

func TestSentencesAreUpToDate(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../sentences.md")
	if err != nil || string(b) != page(c) {
		t.Errorf("docs/sentences.md is stale (%v): run make generate", err)
	}
}
