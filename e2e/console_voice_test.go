package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	aloud "github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

// voice is a person who speaks into the microphone of the browser: what it hears
// is a file, which is read anew whenever it is opened.
type voice struct {
	file  string // "" where nobody can speak or hear here
	lacks string
	of    *offline.Voice
}

func newVoice(t *testing.T) voice {
	t.Helper()
	tools := offline.Find(os.Getenv)
	for _, has := range []func() (bool, []string){tools.Speaks, tools.Hears, tools.Converts} {
		if ok, lacks := has(); !ok {
			return voice{lacks: strings.Join(lacks, ", ")}
		}
	}
	of, err := offline.NewVoice(tools, "slt", "en", 1)
	if err != nil {
		t.Fatal(err)
	}
	v := voice{file: filepath.Join(t.TempDir(), "said.wav"), of: of}
	v.prepares(t, "hello")
	return v
}

// prepares puts what is going to be said before the microphone, and returns for how
// long it is said.
func (v voice) prepares(t *testing.T, words string) time.Duration {
	t.Helper()
	a, err := v.of.Synthesize(t.Context(), words, aloud.WAV)
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := aloud.ParseWAV(a.Data)
	if err != nil {
		t.Fatal(err)
	}
	// People do not begin to speak at the moment that they press a button.
	quiet := make([]int16, pcm.Rate/3)
	pcm.Samples = append(append(quiet, pcm.Samples...), quiet...)
	pcm = pcm.Resampled(48_000) // what microphones of browsers have
	if err := os.WriteFile(v.file, pcm.WAV(), 0o600); err != nil {
		t.Fatal(err)
	}
	return time.Duration(pcm.Seconds() * float64(time.Second))
}

// speaks holds the space bar and says something, and again where it was misheard, as
// people do; what is asked then is answered by saying it again. Each time it is
// waited until done is true, or an answer is there.
func (c *console) speaks(t *testing.T, v voice, words, done string) {
	t.Helper()
	for range 3 {
		long := v.prepares(t, words)
		before := c.text(t, `document.querySelectorAll(".turn.me").length`)
		c.must(t, c.sits.Hold(func() error {
			if err := c.sits.Wait(`document.body.dataset.recording === "recording"`, shows); err != nil {
				return err
			}
			time.Sleep(long) // it takes as long to be said as it takes
			return nil
		}))
		c.waits(t, `document.querySelectorAll(".turn.me").length > `+before+` && [...document.querySelectorAll(".turn.me")].at(-1).dataset.state === "answered"`)
		if c.text(t, "Boolean("+done+")") == "true" {
			return
		}
		t.Logf("of %q it heard %q", words, c.text(t, heard))
	}
	t.Fatalf("of %q it heard something else three times", words)
}

const heard = `[...document.querySelectorAll(".turn.me .said")].at(-1).textContent`

// A change that is said aloud, with the key held: what was heard is shown, and the
// yes is said aloud as well.
func (c *console) spoken(t *testing.T, v voice) {
	if v.file == "" {
		t.Skipf("SKIPPED: not installed: %s; run make speech", v.lacks)
	}
	before := c.w.replicas(t.Context(), t, "web")
	c.speaks(t, v, "scale web to four", asked+` && /scale web to four/.test(`+heard+`)`)
	c.replicas(t, "web", before)
	c.speaks(t, v, "yes", `document.querySelector(".card")`)
	c.waits(t, done)
	c.replicas(t, "web", "4")

	// Answers are spoken where that is switched on, and are not by themselves.
	c.must(t, c.sits.Eval(`window.spoken = []; const play = HTMLMediaElement.prototype.play;
		HTMLMediaElement.prototype.play = function () { this.addEventListener("ended", () => spoken.push(this.duration)); return play.call(this); }`, nil))
	if on := c.text(t, `document.getElementById("aloud").ariaPressed`); on != "false" {
		t.Errorf("answers are spoken without being asked: %s", on)
	}
	c.must(t, c.sits.Press("Alt+s"))
	c.says(t, "how is web?")
	c.waits(t, "spoken.length === 1 && spoken[0] > 0.5")
}
