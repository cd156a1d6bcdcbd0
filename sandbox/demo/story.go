package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/loopback"
)

// nightConfig is added to the assistant's configuration for the 3 a.m. call:
// %[1]s is the folder, %[2]s where the assistant listens, %[3]s the carrier.
// The PIN is 2580.
const nightConfig = `phone:
  account: ` + carrierAccount + `
  token: demo
  numbers: ["+15005550001"]
  public_url: http://%[2]s
  api_url: %[3]s
oncall: {file: %[1]s/oncall.yaml}
`

const (
	annsNumber     = "+436641000001"
	carrierAccount = "AC00000000000000000000000000000001"
	annAtNight     = `
    - name: ann
      speakers: ["phone:` + annsNumber + `"]
      user: demo
      groups: [shop-operators]
      write: true
      pin_hash: "$argon2id$v=19$m=19456,t=2,p=1$Czcnba6Fa8MZRjHHapgkRw$ukxWj5RqTSj9Bmt9BzBb0rlZ9aGbAmbwhOPYMmGuNQw"`
	annOnCall = `people: {ann: {phone: "` + annsNumber + `"}}
schedules: [{name: primary, layers: [{people: [ann], from: 2026-01-01}]}]
rings: [{severity: [critical]}]
`
)

// stories are what --story takes, each with the fault that it is about.
func stories() map[string]string { return map[string]string{"3am": "bad-release-errors"} }

const storyBanner = `
  Three in the morning. Checkout gets a new version, and it is a bad one.
  Prometheus will notice, Alertmanager will tell firstmate, and firstmate will ring
  Ann, who is on call. 🤖 is firstmate, 👤 is Ann on her telephone, ⏱ the time-line
  that her team reads. %s

`

// storyLimit is how long the story may take: most of it, nothing happens yet.
const storyLimit = 6 * time.Minute

// startCarrier starts the telephone company, with Ann on her line.
func (d *demo) startCarrier(ctx context.Context) error {
	spoken := d.options.spoken
	if spoken == "" {
		spoken = filepath.Join(os.TempDir(), "firstmate-3am")
	}
	if err := os.MkdirAll(spoken, 0o700); err != nil {
		return err
	}
	cmd := exec.Command(d.programs.carrier, "--account", carrierAccount, "--token", "demo", "--number", annsNumber, "--dir", spoken,
		"--name", "checkout", "--name", "payments", "--name", "cart", "--line", "shall i roll=>roll it back", "--line", "shall i go ahead=>yes", "--line", "key it in=>2580#", "--line", "back to normal=>9")
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // it ends when this is closed
		return err
	}
	detach(cmd)
	dieWithParent(cmd, syscall.SIGKILL)
	var err error
	if d.carrier, err = startProcess(cmd); err != nil {
		return fmt.Errorf("starting the carrier: %w", err)
	}
	if d.carrierURL, err = d.carrier.expect(ctx, "CARRIER_URL=", botStart); err != nil {
		return fmt.Errorf("the carrier did not start: %w", err)
	}
	how, err := d.carrier.expect(ctx, "VOICE=", botStart)
	if err != nil {
		return fmt.Errorf("the carrier did not start: %w", err)
	}
	hears, err := d.carrier.expect(ctx, "EARS=", botStart)
	if err != nil {
		return fmt.Errorf("the carrier did not start: %w", err)
	}
	_, voice, _ := strings.Cut(how, ": ")
	_, ears, _ := strings.Cut(hears, ": ")
	d.voice = voice + ";\n  " + ears
	return nil
}

// nightly is the configuration with the telephone and who is on call, and where
// the assistant has to listen for it.
func (d *demo) nightly(config string) (text, listen string, err error) {
	ports, err := loopback.FreePorts(1)
	if err != nil {
		return "", "", err
	}
	listen = fmt.Sprintf("127.0.0.1:%d", ports[0])
	text = strings.Replace(config, "      write: true\n", "      write: true"+annAtNight+"\n", 1) + fmt.Sprintf(nightConfig, d.dir, listen, d.carrierURL)
	return text, listen, os.WriteFile(filepath.Join(d.dir, "oncall.yaml"), []byte(annOnCall), 0o600)
}

// moment is a part of the story, and the line that it begins with.
type moment struct {
	name string
	line *regexp.Regexp
	at   time.Time
}

// story switches the fault on and shows what happens until Ann hangs up.
func (d *demo) story(ctx context.Context) error {
	fmt.Printf(storyBanner, d.voice)
	moments := []*moment{
		{name: "the telephone rings", line: regexp.MustCompile(`^☎ .* rings`)},
		{name: "Ann has decided", line: regexp.MustCompile(`^👤 \(keys`)},
		{name: "it is rolled back", line: regexp.MustCompile(`^⏱ .*(the change is made|is back on)`)}, // of the time-line
		{name: "errors are back to normal", line: regexp.MustCompile(`(?i)^🤖.*back to normal`)},
	}
	began := time.Now()
	var mu sync.Mutex
	show := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("  %s  +%4.0f s  %s\n", time.Now().Format("15:04:05"), time.Since(began).Seconds(), line)
		for _, m := range moments {
			if m.at.IsZero() && m.line.MatchString(line) {
				m.at = time.Now()
			}
		}
	}
	following, stop := context.WithCancel(ctx)
	var follower sync.WaitGroup
	defer follower.Wait()
	defer stop()
	follower.Go(func() {
		if err := d.timeline(following, show); err != nil && following.Err() == nil {
			show("(the time-line cannot be read: " + err.Error() + ")")
		}
	})
	if err := d.breakIt(ctx, stories()[d.options.story]); err != nil {
		return err
	}
	show("a new version of checkout is rolled out; nobody knows yet that it is bad")
	err := d.carrier.read(ctx, storyLimit, func(line string) bool {
		show(line)
		return strings.HasPrefix(line, "☎ ") && strings.HasSuffix(line, "completed")
	})
	if errors.Is(err, errTooLong) {
		err = fmt.Errorf("nobody was called within %s%s", storyLimit, lastLines(d.logFile(), 15))
	}
	if err != nil {
		return err
	}
	stop()
	follower.Wait()
	fmt.Println()
	last := began
	for _, m := range moments {
		if m.at.IsZero() {
			return fmt.Errorf("the story did not come to its end: not said: %s", m.name)
		}
		fmt.Printf("  %-28s %4.0f s later\n", m.name, m.at.Sub(last).Seconds())
		last = m.at
	}
	fmt.Printf("  from the ring to the end %.0f s, of which the roll-out %.0f s\n\n", last.Sub(moments[0].at).Seconds(), moments[2].at.Sub(moments[1].at).Seconds())
	return nil
}

// timeline shows what the incidents' conversation is told, as it is told.
func (d *demo) timeline(ctx context.Context, show func(line string)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/api/v1/conversations/incidents/events", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		var ev struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal([]byte(data), &ev); err == nil && ev.Text != "" {
			show("⏱ " + ev.Text)
		}
	}
	return lines.Err()
}

// breakIt switches a fault on.
func (d *demo) breakIt(ctx context.Context, fault string) error {
	at := ""
	for _, line := range d.env {
		if v, ok := strings.CutPrefix(line, "SANDBOX_URL="); ok {
			at = v
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, at+"/faults/"+fault, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("switching %s on: %s", fault, resp.Status)
	}
	return nil
}
