// Command carrier is a carrier for demonstrations: it speaks Twilio's protocol, has one
// person on its line who follows a script, prints each line as it is said, and
// speaks it where it can.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "carrier:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends or the standard input does.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	fs := flag.NewFlagSet("carrier", flag.ContinueOnError)
	account, token := fs.String("account", "", "the account's `id`"), fs.String("token", "", "the account's token, which signs too")
	number, dir := fs.String("number", "", "the `number` of the person"), fs.String("dir", "", "the `folder` for what is spoken")
	voice := fs.String("voice", "slt", "who speaks for the bot")
	var lines []carriertest.Line
	var names []string
	fs.Func("name", "a `name` that the recogniser may expect where it is told so; may be repeated", func(s string) error {
		names = append(names, s)
		return nil
	})
	fs.Func("line", "`heard=>said`: whoever hears what fits the expression says that, keys it if it is in digits, hangs up at a dash; may be repeated", func(s string) error {
		hears, does, ok := strings.Cut(s, "=>")
		act := carriertest.Act{Say: does}
		switch {
		case !ok:
			return errors.New("it is heard=>said")
		case does == "-":
			act = carriertest.Act{HangUp: true}
		case strings.Trim(does, "0123456789*#") == "":
			act = carriertest.Act{Keys: does}
		}
		lines = append(lines, carriertest.Line{Hears: hears, Act: act})
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return err
	}
	person, err := carriertest.Script(lines...)
	if err != nil {
		return err
	}
	studio := newStudio(offline.Find(os.Getenv), *dir, *voice, out)
	defer studio.close()
	studio.names = names
	c := carriertest.New(carriertest.Config{Account: *account, Token: *token, Pace: 1, Mouth: studio.bot(), Ear: studio.person(), Show: studio.show})
	defer c.Close()
	c.Has(*number, carriertest.Subscriber{Person: again(person)})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, bufio.NewReader(in)) // whoever started it has gone
		cancel()
	}()
	go func() {
		<-ctx.Done()
		_ = srv.Close() // nothing is to be finished
	}()
	studio.show("CARRIER_URL=http://" + l.Addr().String())
	studio.show(studio.how())
	studio.show(studio.hears())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// unheard is what the bot says to what it did not hear well, and meant what it
// asks whether that was said; keypad is where it gives up.
var (
	unheard = regexp.MustCompile(`(?i)say it again|did not (hear|understand)|not sure that I heard|what can I do`)
	meant   = regexp.MustCompile(`(?i)did you (say|mean)`)
	keypad  = regexp.MustCompile(`(?i)9 to hang up`)
)

// again is somebody who says again what was misheard.
func again(p carriertest.Person) carriertest.Person {
	var last carriertest.Act
	return func(heard string) carriertest.Act {
		act := p(heard)
		switch {
		case act != carriertest.Act{}:
			last = act
		case keypad.MatchString(heard):
			return carriertest.Act{Keys: "9"}
		case meant.MatchString(heard):
			return carriertest.Act{Say: "yes"}
		case unheard.MatchString(heard):
			return last
		}
		return act
	}
}

// studio speaks what is said: to a player of this machine, else into files. What
// the person says is heard by a recogniser, where there is one.
type studio struct {
	listens *offline.Recognizer // nil where nobody listens
	names   []string
	deaf    string // why nobody listens

	dir    string
	voices map[string]*offline.Voice
	player []string // "" where there is none
	why    string   // it does not speak
	stand  bool     // the voices are not those that were meant

	mu  sync.Mutex
	out io.Writer
	n   int
}

func newStudio(tools offline.Tools, dir, voice string, out io.Writer) *studio {
	s := &studio{dir: dir, out: out, voices: map[string]*offline.Voice{}, stand: tools.Flite == "" && tools.Espeak != ""}
	for role, name := range map[string]string{"bot": voice, "person": "rms"} {
		v, err := offline.NewVoice(tools, name, "", 1)
		if err != nil {
			s.why = err.Error()
			continue
		}
		s.voices[role] = v
	}
	for _, p := range [][]string{{"paplay"}, {"aplay", "-q"}, {"afplay"}, {"ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"}} {
		if _, err := exec.LookPath(p[0]); err == nil {
			s.player = p
			break
		}
	}
	if s.listens, s.deaf = recogniser(tools); s.listens != nil && len(s.voices) < 2 {
		s.close()
		s.listens, s.deaf = nil, "nothing is spoken"
	}
	return s
}

// recogniser is what listens to the person, or why nothing does.
func recogniser(tools offline.Tools) (*offline.Recognizer, string) {
	if ok, lacks := tools.Hears(); !ok {
		return nil, "not installed: " + strings.Join(lacks, ", ")
	}
	c, err := intents.English()
	if err != nil {
		return nil, err.Error()
	}
	r, err := offline.NewRecognizer(tools, c, intents.NewRecognizer(c), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err.Error()
	}
	return r, ""
}

func (s *studio) close() {
	if s.listens != nil {
		_ = s.listens.Close() // files of a temporary folder
	}
}

// hears says who hears the person.
func (s *studio) hears() string {
	if s.listens == nil {
		return "EARS=none: what the person says is not listened to but taken as said (" + s.deaf + `; "make speech" installs what listens)`
	}
	return "EARS=pocketsphinx: what the person says is recognised from its sound, through a telephone"
}

// how says how it speaks.
func (s *studio) how() string {
	switch {
	case len(s.voices) < 2:
		return "VOICE=none: " + s.why + ` ("make speech" installs what speaks); what is said is shown only`
	}
	by := ""
	if s.stand {
		by = ` by espeak-ng ("make speech" installs flite, which is easier to understand)`
	}
	if s.player == nil {
		return "VOICE=files: there is no audio player here, so what is said is written" + by + " to " + s.dir
	}
	return "VOICE=" + s.player[0] + ": what is said is spoken" + by + ", and kept in " + s.dir
}

func (s *studio) show(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintln(s.out, line) // who listened has gone if this fails
}

func (s *studio) bot() carriertest.Mouth  { return mouth{s} }
func (s *studio) person() carriertest.Ear { return ear{s} }

type mouth struct{ *studio }

// Speak is what the bot says on the telephone.
func (m mouth) Speak(ctx context.Context, text string) (string, error) {
	return text, m.speak(ctx, "bot", text)
}

type ear struct{ *studio }

// Hear is what the person says, and what is heard of it. Whoever listens does so
// while they speak, as a carrier does.
func (e ear) Hear(ctx context.Context, text string, hints []string) (string, float64, error) {
	if e.listens == nil {
		return text, 0.95, e.speak(ctx, "person", text)
	}
	by := carriertest.Spoken{Voices: []speech.Synthesizer{e.voices["person"]}, Recognizer: e.listens, Names: e.names}
	var heard string
	var sure float64
	done := make(chan error, 1)
	go func() {
		var err error
		heard, sure, err = by.Hear(ctx, text, hints)
		done <- err
	}()
	spoke := e.speak(ctx, "person", text)
	if err := errors.Join(spoke, <-done); err != nil {
		if ctx.Err() != nil {
			return "", 0, err
		}
		e.show(fmt.Sprintf("👂 (could not listen, so it is taken as said: %v)", err))
		return text, 0.95, nil
	}
	e.show(fmt.Sprintf("👂 heard “%s”, %.0f %% sure", heard, 100*sure))
	return heard, sure, nil
}

// speak says something, and takes as long as that takes by telephone.
func (s *studio) speak(ctx context.Context, role, text string) error {
	v := s.voices[role]
	if v == nil || len(s.voices) < 2 {
		return rest(ctx, time.Duration(len(strings.Fields(text)))*time.Minute/150)
	}
	a, err := v.Synthesize(ctx, text, speech.WAV)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.n++
	file := filepath.Join(s.dir, fmt.Sprintf("%02d-%s.wav", s.n, role))
	s.mu.Unlock()
	if err := os.WriteFile(file, a.Data, 0o600); err != nil {
		return err
	}
	pcm, err := speech.ParseWAV(a.Data)
	if err != nil {
		return err
	}
	takes := time.Duration(pcm.Seconds() * float64(time.Second))
	if s.player != nil {
		began := time.Now()
		if err := exec.CommandContext(ctx, s.player[0], append(s.player[1:len(s.player):len(s.player)], file)...).Run(); err != nil {
			s.player = nil // there is no loudspeaker
		}
		takes -= time.Since(began)
	}
	return rest(ctx, takes)
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
