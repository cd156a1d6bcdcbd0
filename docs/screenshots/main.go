// Command screenshots makes the pictures of the web console in docs/images, with a real
// Chromium, of a bot that `make demo` started:
//
//	make demo ARGS="--headless --fault bad-release-latency --fault-ago 10m"
//	FIRSTMATE_URL=http://127.0.0.1:… go run ./docs/screenshots docs/images [SCENE …]
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/e2e/browser"
)

// limit is how long an answer may take.
const limit = 60 * time.Second

// scene is what is said before a picture is taken, and on which screens it is.
type scene struct {
	name  string
	says  []string
	until string // an expression of the page that is true when there is something to see
	more  string // a script that brings it into view
	views map[string]browser.View
}

const (
	answered = `document.querySelectorAll(".turn.bot").length >= %d && !document.querySelector(".thinking")`
	ended    = `document.querySelector('.card:not([data-state="running"])')`
)

// scenes are the pictures. Those of a phone have two pixels a point.
func scenes() []scene {
	sharp := func(v browser.View) browser.View {
		v.Scale = 2
		return v
	}
	all := map[string]browser.View{
		"desktop-light": browser.Desktop(false), "desktop-dark": browser.Desktop(true),
		"phone-light": sharp(browser.Phone(false)), "phone-dark": sharp(browser.Phone(true)),
	}
	return []scene{
		{name: "empty", views: all},
		{name: "why", says: []string{"why is checkout slow?"}, until: fmt.Sprintf(answered, 1), views: all},
		{name: "latency", says: []string{"p99 latency of checkout"}, until: fmt.Sprintf(answered, 1), views: all},
		{name: "ask", says: []string{"scale web to five"}, until: fmt.Sprintf(answered, 1), views: all},
		{name: "done", says: []string{"scale cart to three", "yes"}, until: ended, views: all},
		{name: "back", says: []string{"scale cart to two", "yes"}, until: ended},
		{name: "logs", says: []string{"logs of checkout", "list pods"}, until: fmt.Sprintf(answered, 2), views: all},
	}
}

func main() {
	if err := run(context.Background(), os.Getenv("FIRSTMATE_URL"), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string, args []string) error {
	if url == "" || len(args) == 0 {
		return errors.New("set FIRSTMATE_URL and name the folder to write to, and the scenes if not all")
	}
	program := browser.Find()
	if program == "" {
		return errors.New("there is no Chromium here; e2e/browser/install.sh installs it")
	}
	profile, err := os.MkdirTemp("", "firstmate-screenshots-")
	if err != nil {
		return err
	}
	b, err := browser.Start(ctx, program, profile, "")
	if err != nil {
		return errors.Join(err, os.RemoveAll(profile))
	}
	for _, s := range scenes() {
		if len(args) > 1 && !slices.Contains(args[1:], s.name) {
			continue
		}
		if err = s.play(b, url, args[0]); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			break
		}
	}
	b.Close()
	return errors.Join(err, os.RemoveAll(profile))
}

// play has the conversation once, and shows it on each screen.
func (s scene) play(b *browser.Browser, url, folder string) error {
	p, err := b.Page(browser.Desktop(false))
	if err != nil {
		return err
	}
	defer p.Close()
	if err := errors.Join(p.Open(url), p.Wait(`document.body.dataset.server === "here"`, limit)); err != nil {
		return err
	}
	for i, text := range s.says {
		if err := errors.Join(p.Type(text), p.Press("Enter"), p.Wait(fmt.Sprintf(answered, i+1), limit)); err != nil {
			return err
		}
	}
	if s.until != "" {
		if err := p.Wait(s.until, limit); err != nil {
			return err
		}
	}
	for name, v := range s.views {
		if err := p.Look(v); err != nil {
			return err
		}
		if s.more != "" {
			if err := p.Eval(s.more, nil); err != nil {
				return err
			}
		}
		if err := p.Settled(); err != nil {
			return err
		}
		file := filepath.Join(folder, "console-"+s.name+"-"+name+".png")
		if err := errors.Join(p.Shot(file), compact(file)); err != nil {
			return err
		}
	}
	return nil
}
