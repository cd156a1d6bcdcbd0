package sentry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Event is one time that an error came up.
type Event struct {
	ID          string      `json:"id"`
	Title       string      `json:"title"`
	Message     string      `json:"message,omitempty"`
	At          time.Time   `json:"at"`
	Release     string      `json:"release,omitempty"`
	Environment string      `json:"environment,omitempty"`
	Exceptions  []Exception `json:"exceptions,omitempty"` // what was raised last first, then what caused it
}

// Exception is an error with where it came from.
type Exception struct {
	Type      string  `json:"type"`
	Value     string  `json:"value,omitempty"`
	Unhandled bool    `json:"unhandled,omitempty"`
	Frames    []Frame `json:"frames,omitempty"` // innermost first, those of the program itself before those of libraries
}

// Frame is one line of a stack trace.
type Frame struct {
	Function string `json:"function,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	InApp    bool   `json:"in_app,omitempty"` // of the program itself, not of a library
}

// String is a frame in a line.
func (f Frame) String() string {
	s := f.Function
	if f.File != "" {
		s = strings.TrimPrefix(s+" ("+f.File, " ")
		if f.Line > 0 {
			s += fmt.Sprintf(":%d", f.Line)
		}
		s += ")"
	}
	return s
}

type event struct {
	EventID      string     `json:"eventID"`
	Title        string     `json:"title"`
	Message      string     `json:"message"`
	DateCreated  *time.Time `json:"dateCreated"`
	DateReceived *time.Time `json:"dateReceived"`
	Release      *struct {
		Version string `json:"version"`
	} `json:"release"`
	Tags []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"tags"`
	Entries []struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	} `json:"entries"`
}

type exceptions struct {
	Values []struct {
		Type      string `json:"type"`
		Value     string `json:"value"`
		Mechanism *struct {
			Handled *bool `json:"handled"`
		} `json:"mechanism"`
		Stacktrace *struct {
			Frames []frame `json:"frames"`
		} `json:"stacktrace"`
	} `json:"values"`
}

type frame struct {
	Function string `json:"function"`
	Filename string `json:"filename"`
	AbsPath  string `json:"absPath"`
	Module   string `json:"module"`
	LineNo   int    `json:"lineNo"`
	InApp    bool   `json:"inApp"`
}

// Latest is the last time that an issue came up, with its stack trace.
func (c *Client) Latest(ctx context.Context, issueID string) (Event, error) {
	var got event
	if _, err := c.get(ctx, "issues/"+url.PathEscape(issueID)+"/events/latest/", nil, &got); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return Event{}, fault.Wrap(err, fault.NotFound, "Sentry has no event of that issue any more.")
		}
		return Event{}, err
	}
	if got.EventID == "" {
		return Event{}, c.backend.Garbage(errors.New("an event without id"))
	}
	out := Event{ID: clip(got.EventID, 64), Title: clip(got.Title, maxTitle), Message: clip(got.Message, maxMessage)}
	for _, at := range []*time.Time{got.DateCreated, got.DateReceived} {
		if at != nil && out.At.IsZero() {
			out.At = *at
		}
	}
	if got.Release != nil {
		out.Release = clip(got.Release.Version, 250)
	}
	for _, t := range got.Tags {
		switch {
		case t.Key == "environment":
			out.Environment = clip(t.Value, 64)
		case t.Key == "release" && out.Release == "":
			out.Release = clip(t.Value, 250)
		}
	}
	for _, e := range got.Entries {
		if e.Type != "exception" {
			continue
		}
		var all exceptions
		if err := json.Unmarshal(e.Data, &all); err != nil {
			return Event{}, c.backend.Garbage(err)
		}
		for _, x := range slices.Backward(all.Values) { // Sentry has the cause first
			ex := Exception{Type: clip(x.Type, maxTitle), Value: clip(x.Value, maxMessage), Unhandled: x.Mechanism != nil && x.Mechanism.Handled != nil && !*x.Mechanism.Handled}
			if x.Stacktrace != nil {
				ex.Frames = frames(x.Stacktrace.Frames)
			}
			out.Exceptions = append(out.Exceptions, ex)
		}
	}
	return out, nil
}

// maxFrames is how many frames of an exception are kept.
const maxFrames = 50

// frames turns frames around, which Sentry has innermost last, and puts those of
// the program itself first.
func frames(all []frame) []Frame {
	var own, others []Frame
	for _, f := range slices.Backward(all) {
		v := Frame{Function: clip(f.Function, maxTitle), Line: f.LineNo, InApp: f.InApp}
		for _, file := range []string{f.Filename, f.Module, f.AbsPath} {
			if v.File == "" {
				v.File = clip(file, maxTitle)
			}
		}
		if f.InApp {
			own = append(own, v)
		} else {
			others = append(others, v)
		}
	}
	out := append(own, others...)
	return out[:min(maxFrames, len(out))]
}
