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
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

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
	studio := newStudio(*dir, *voice, out)
	c := carriertest.New(carriertest.Config{Account: *account, Token: *token, Pace: 1, Mouth: studio.bot(), Ear: studio.person(), Show: studio.show})
	defer c.Close()
	c.Has(*number, carriertest.Subscriber{Person: person})
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
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// studio speaks what is said: to a player of this machine, else into files.
type studio struct {
	dir    string
	voices map[string]*offline.Voice
	player []string // "" where there is none
	why    string   // it does not speak

	mu  sync.Mutex
	out io.Writer
	n   int
}

func newStudio(dir, voice string, out io.Writer) *studio {
	s := &studio{dir: dir, out: out, voices: map[string]*offline.Voice{}}
	tools := offline.Find(os.Getenv)
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
	return s
}

// how says how it speaks.
func (s *studio) how() string {
	switch {
	case len(s.voices) < 2:
		return "VOICE=none: " + s.why + ` ("make speech" installs what speaks); what is said is shown only`
	case s.player == nil:
		return "VOICE=files: there is no audio player here, so what is said is written to " + s.dir
	}
	return "VOICE=" + s.player[0] + ": what is said is spoken, and kept in " + s.dir
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

// Hear is what the person says; it is understood as it is said.
func (e ear) Hear(ctx context.Context, text string, _ []string) (string, float64, error) {
	return text, 0.95, e.speak(ctx, "person", text)
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
