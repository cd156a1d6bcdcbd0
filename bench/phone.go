package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

// What is said on the phone, a sentence a line: what the grammar was written with in
// mind, what was written by somebody who had not seen it, and what is said beside it.
var (
	//go:embed phone/commands.txt
	phoneCommands string
	//go:embed phone/fresh.txt
	phoneFresh string
	//go:embed phone/unrelated.txt
	phoneUnrelated string
)

// phoneHints are the names that exist while that is said.
func phoneHints() speech.Hints {
	return speech.Hints{
		Names: []string{
			"web", "web-admin", "cart", "checkout", "search", "search-api", "payments-api", "inventory", "notifications", "redis-cache", "postgres", "image-resizer", "frontend", "auth-service", "log-shipper", "worker",
			"nightly-report", "invoice-export", "mailer", "catalog", "shipping-api", "recommendations", "geo-lookup", "session-store", "report-builder", "billing", "gateway", "thumbnailer", "fraud-check", "ledger",
		},
		Places: []string{"shop", "staging", "prod", "monitoring"},
	}
}

// counted is how clips of one kind were heard: twice over, as both ways to listen
// agreed, and by the grammar alone.
type counted struct {
	clips, right, asked, wrong, act, nothing int
	grammarRight, grammarWrong, grammarAct   int
}

func (c *counted) add(o counted) {
	c.clips += o.clips
	c.right += o.right
	c.asked += o.asked
	c.wrong += o.wrong
	c.act += o.act
	c.nothing += o.nothing
	c.grammarRight += o.grammarRight
	c.grammarWrong += o.grammarWrong
	c.grammarAct += o.grammarAct
}

// clip is one sentence as one voice says it.
type clip struct {
	text, voice string
	speed       float64
	unrelated   bool
	fresh       bool
}

// phone says commands over a telephone and listens: all voices, or those alone; with
// only, the fresh ones alone.
func phone(w io.Writer, verbose, only bool, voices []string) error {
	c, err := intents.English()
	if err != nil {
		return err
	}
	reader := intents.NewRecognizer(c)
	tools := offline.Find(os.Getenv)
	r, err := offline.NewRecognizer(tools, c, reader, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it is a folder of what is left over
	h := phoneHints()
	var d intents.InventoryData
	for _, n := range h.Names {
		d.Workloads = append(d.Workloads, intents.Workload{Name: n, Kind: "Deployment"})
	}
	d.Namespaces = h.Places
	inv := intents.NewInventory(d)
	read := func(text string) intents.Result { return reader.Recognize(text, inv, intents.Expect{}) }
	writes := func(intent string) bool {
		s, _ := c.Spec(intent)
		return s.Risk == intents.RiskWrite
	}

	var clips []clip
	for _, voice := range offline.Voices() {
		if len(voices) > 0 && !slices.Contains(voices, voice) {
			continue
		}
		for _, speed := range []float64{0.9, 1, 1.15} {
			for s := range strings.Lines(phoneCommands) {
				clips = append(clips, clip{strings.TrimSpace(s), voice, speed, false, false})
			}
			for s := range strings.Lines(phoneFresh) {
				clips = append(clips, clip{strings.TrimSpace(s), voice, speed, false, true})
			}
			for s := range strings.Lines(phoneUnrelated) {
				clips = append(clips, clip{strings.TrimSpace(s), voice, speed, true, false})
			}
		}
	}
	if only {
		clips = slices.DeleteFunc(clips, func(k clip) bool { return !k.fresh })
	}
	var mu sync.Mutex
	by := map[string]*counted{}
	var took time.Duration
	var failed error
	next := make(chan clip)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for k := range next {
				heard, grammar, other, t, err := say(tools, r, h, k)
				want, got, alone := read(k.text), read(heard.Text), read(grammar)
				same := func(x intents.Result) bool {
					return want.Intent == x.Intent && reflect.DeepEqual(want.Slots, x.Slots)
				}
				one := counted{clips: 1}
				switch {
				case heard.Text == "":
					one.nothing = 1
				case !heard.Sure():
					one.asked = 1
				case got.Intent == intents.OutOfScope:
					one.nothing = 1 // it is told that it was not understood
					if !k.unrelated && want.Intent == intents.OutOfScope {
						one.nothing, one.right = 0, 1
					}
				case !k.unrelated && same(got):
					one.right = 1
				default:
					one.wrong = 1
					if writes(got.Intent) {
						one.act = 1
					}
				}
				switch {
				case grammar == "", alone.Intent == intents.OutOfScope && k.unrelated:
				case !k.unrelated && same(alone):
					one.grammarRight = 1
				default:
					one.grammarWrong = 1
					if writes(alone.Intent) {
						one.grammarAct = 1
					}
				}
				if verbose && one.right == 0 && (!k.unrelated || one.wrong > 0) {
					fmt.Fprintf(os.Stderr, "%s %.2f %q: grammar %q, trigram %q, sure %t\n", k.voice, k.speed, k.text, grammar, other, heard.Sure())
				}
				mu.Lock()
				if failed == nil {
					failed = err
				}
				took += t
				for _, key := range keysOf(k) {
					if by[key] == nil {
						by[key] = &counted{}
					}
					by[key].add(one)
				}
				mu.Unlock()
			}
		})
	}
	for _, k := range clips {
		next <- k
	}
	close(next)
	wg.Wait()
	if failed != nil {
		return failed
	}
	share := func(n, of int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(of, 1))) }
	var out bytes.Buffer
	fmt.Fprintf(&out, "| | clips | intent and slots right | asked again | not understood | wrong | of these acts | grammar alone: right | wrong | acts |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	row := func(name, key string) {
		if n := by[key]; n != nil {
			fmt.Fprintf(&out, "| %s | %d | %s | %s | %s | %s | %d | %s | %s | %d |\n", name, n.clips, share(n.right, n.clips), share(n.asked, n.clips), share(n.nothing, n.clips), share(n.wrong, n.clips), n.act, share(n.grammarRight, n.clips), share(n.grammarWrong, n.clips), n.grammarAct)
		}
	}
	row("**commands**", "commands")
	for _, v := range offline.Voices() {
		row("voice "+v, "voice "+v)
	}
	for _, s := range []string{"0.90", "1.00", "1.15"} {
		row("speed "+s, "speed "+s)
	}
	row("**commands of somebody else**", "fresh")
	row("**unrelated speech**", "unrelated")
	fmt.Fprintf(&out, "\nOf %d clips; a clip was heard in %v on average, two at a time.\n", len(clips), (took / time.Duration(len(clips))).Round(10*time.Millisecond))
	_, err = w.Write(out.Bytes())
	return err
}

func keysOf(k clip) []string {
	switch {
	case k.unrelated:
		return []string{"unrelated"}
	case k.fresh:
		return []string{"fresh"}
	}
	return []string{"commands", "voice " + k.voice, fmt.Sprintf("speed %.2f", k.speed)}
}

// say says a clip over a telephone, and listens.
func say(tools offline.Tools, r *offline.Recognizer, h speech.Hints, k clip) (heard speech.Heard, grammar, other string, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, err := offline.NewVoice(tools, k.voice, "", k.speed)
	if err != nil {
		return heard, "", "", 0, err
	}
	a, err := v.Synthesize(ctx, k.text, speech.WAV)
	if err != nil {
		return heard, "", "", 0, err
	}
	p, err := speech.ParseWAV(a.Data)
	if err != nil {
		return heard, "", "", 0, err
	}
	a = speech.Audio{Format: speech.Mulaw, Data: p.Telephone().Mulaw()}
	start := time.Now()
	if grammar, other, err = r.Both(ctx, a, h); err != nil {
		return heard, "", "", 0, err
	}
	took = time.Since(start)
	heard, err = r.Judge(ctx, grammar, other, h)
	return heard, grammar, other, took, err
}
