package intents

import (
	"fmt"
	"slices"
	"testing"
)

// TestSchema holds what may be named to what the recogniser itself makes of the
// catalogue's examples.
func TestSchema(t *testing.T) {
	c, err := English()
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecognizer(c)
	inv := NewInventory(InventoryData{})
	seen := 0
	for _, spec := range c.Specs() {
		schema, ok := c.Schema(spec.Name)
		if !ok || schema["type"] != "object" || schema["additionalProperties"] != false {
			t.Fatalf("%s: %v", spec.Name, schema)
		}
		props, _ := schema["properties"].(map[string]any)
		for _, ex := range spec.Examples {
			got := r.Recognize(ex, inv, Expect{})
			if got.Intent != spec.Name {
				continue
			}
			for slot, v := range got.Slots {
				p, ok := props[slot].(map[string]any)
				if spec.Name == "chain" || slot == "unknown_target" {
					continue
				}
				if !ok {
					t.Errorf("%s: %q sets %s, which cannot be named", spec.Name, ex, slot)
					continue
				}
				seen++
				if enum, ok := p["enum"].([]any); ok && !slices.Contains(enum, v) {
					t.Errorf("%s: %q sets %s to %v, which is none of %v", spec.Name, ex, slot, v, enum)
				}
				if enum, ok := p["enum"].([]string); ok && !slices.Contains(enum, fmt.Sprint(v)) {
					t.Errorf("%s: %q sets %s to %v, which is none of %v", spec.Name, ex, slot, v, enum)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d values were looked at", seen)
	}
	if _, ok := c.Schema("reboot_everything"); ok {
		t.Error("an intent that there is not has a schema")
	}
	s, _ := c.Schema("deploy", "way")
	if _, ok := s["properties"].(map[string]any)["way"]; ok {
		t.Error("what was to be left out is there")
	}
}
