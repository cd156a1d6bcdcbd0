package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
)

// register gives Discord the command set, where it has another: what is overwritten
// counts against a limit of Discord's, and is gone for its users for a moment.
func (b *Bot) register(ctx context.Context) error {
	a, err := b.Application(ctx)
	if err != nil {
		return err
	}
	path := "/applications/" + a.ID + "/commands"
	var there json.RawMessage
	if err := b.rest.call(ctx, http.MethodGet, path, path, nil, nil, &there); err != nil {
		return err
	}
	same, err := sameCommands(b.Commands, there)
	if err != nil || same {
		return err
	}
	if err := b.rest.call(ctx, http.MethodPut, path, path, json.RawMessage(b.Commands), nil, nil); err != nil {
		return err
	}
	b.log.InfoContext(ctx, "slash commands are registered at Discord")
	return nil
}

// sameCommands reports whether Discord has our commands: it adds fields of its own, and
// leaves out or fills in what has its default.
func sameCommands(ours, theirs []byte) (bool, error) {
	var a, b []map[string]any
	if err := json.Unmarshal(ours, &a); err != nil {
		return false, fmt.Errorf("discord: our commands: %w", err)
	}
	if err := json.Unmarshal(theirs, &b); err != nil {
		return false, fmt.Errorf("discord: its commands: %w", err)
	}
	if len(a) != len(b) {
		return false, nil
	}
	byName := map[any]map[string]any{}
	for _, c := range b {
		byName[c["name"]] = c
	}
	for _, c := range a {
		if !within(c, byName[c["name"]]) {
			return false, nil
		}
	}
	return true, nil
}

// commandFields are those of commands and options that say what they do, whoever has
// set them.
func commandFields() []string {
	return []string{"type", "name", "description", "options", "contexts", "integration_types", "required", "autocomplete", "choices", "min_value", "max_value", "max_length", "value"}
}

// within reports whether two descriptions say the same in the fields that matter.
func within(ours, theirs any) bool {
	a, isObject := ours.(map[string]any)
	if !isObject {
		x, listA := ours.([]any)
		y, listB := theirs.([]any)
		if !listA || !listB {
			return reflect.DeepEqual(ours, theirs)
		}
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !within(x[i], y[i]) {
				return false
			}
		}
		return true
	}
	b, ok := theirs.(map[string]any)
	if !ok {
		return false
	}
	for _, k := range commandFields() {
		x, y := a[k], b[k]
		if unset(x) && unset(y) {
			continue
		}
		if !within(x, y) {
			return false
		}
	}
	return true
}

func unset(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case []any:
		return len(v) == 0
	}
	return false
}
