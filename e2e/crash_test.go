package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// rounds are what is asked for, each of a Deployment of its own, before the
// process that heard the yes is killed.
var rounds = []struct{ names, say string }{
	{"kilo lima", "scale kilo and lima to three"},
	{"mike november", "roll out 2.0 of mike and november"},
	{"oscar papa", "scale oscar to three and then roll out 2.0 of papa"},
	{"quebec romeo", "restart quebec, then scale romeo to four"},
	{"alfa", "scale alfa to three"},
	{"bravo", "roll out 2.0 of bravo"},
	{"charlie", "restart charlie"},
	{"delta", "scale delta to four"},
	{"echo", "roll out 1.1 of echo"},
	{"foxtrot", "scale foxtrot to five"},
	{"golf", "restart golf"},
	{"hotel", "roll out 3.0 of hotel"},
	{"india", "scale india to one"},
	{"juliett", "roll out 1.0.1 of juliett"},
}

// TestKilledAfterYes kills bot serve at different moments after a yes was sent,
// from before it was read until after it was done: each change is made once and
// told once.
func TestKilledAfterYes(t *testing.T) {
	first := worldOf(t, "t-killed")
	for _, r := range rounds {
		for _, name := range strings.Fields(r.names) {
			if _, err := first.kubectl(t.Context(), "create", "deployment", name, "--replicas=2", "--image=registry.example.com/shop/"+name+":1.0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := first.kubectl(t.Context(), "rollout", "status", "deployment"); err != nil {
		t.Fatal(err)
	}
	// All at once, for they mostly wait; what is shared is the namespace alone.
	t.Run("rounds", func(t *testing.T) {
		done := make(chan error, len(rounds))
		for i, r := range rounds {
			delay := time.Duration(3*(i%10))*time.Millisecond + rand.N(3*time.Millisecond)
			w := &world{namespace: first.namespace, dir: t.TempDir(), conversations: map[string]*conversation{}}
			go func() {
				err := killedAfterYes(t.Context(), w, r.names, r.say, delay)
				if end := w.crash(); err == nil {
					err = end
				}
				if err != nil {
					err = fmt.Errorf("%q, killed after %v: %w", r.say, delay, err)
				}
				done <- err
			}()
		}
		for range rounds {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func (w *world) kubectl(ctx context.Context, args ...string) (string, error) {
	return kubectl(ctx, "", append([]string{"-n", w.namespace}, args...)...)
}

func killedAfterYes(ctx context.Context, w *world, names, say string, delay time.Duration) error {
	c := w.conversation("main")
	if err := c.say(ctx, say); err != nil {
		return err
	}
	if c.last.Expect != dialogue.ExpectConfirm {
		return fmt.Errorf("it is not asked about: %s", c.last.Text)
	}
	asked := c.last.Proposal.ID

	answered := make(chan error, 1)
	go func() { answered <- c.say(ctx, "yes") }()
	time.Sleep(delay) // the moment of the crash is what is tested
	if err := w.crash(); err != nil {
		return err
	}
	heard := <-answered == nil
	if err := w.start(ctx); err != nil {
		return err
	}
	if !heard {
		// Whoever gets no answer says it again.
		if err := c.say(ctx, "yes"); err != nil {
			return err
		}
	} else if _, err := c.client(ctx); err != nil {
		return err
	}
	_, err := c.await("the outcome of "+asked, func(e dialogue.Event) (bool, error) {
		if e.Kind != dialogue.EventOutcome {
			return false, nil
		}
		if e.Action != asked || e.Reply.Outcome != dialogue.OutcomeDone {
			return false, fmt.Errorf("this was told: %s", e.Reply.Text)
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("yes was answered: %v; then %w", heard, err)
	}
	if err := c.quiet(ctx); err != nil {
		return err
	}

	if err := w.crash(); err != nil {
		return err
	}
	if err := w.start(ctx); err != nil {
		return err
	}
	if err := c.quiet(ctx); err != nil {
		return err
	}
	told, err := c.outcomes(ctx)
	if err != nil {
		return err
	}
	if len(told) != 1 {
		return fmt.Errorf("%d outcomes are kept:\n%s", len(told), wording(told))
	}
	for _, name := range strings.Fields(names) {
		generation, err := w.kubectl(ctx, "get", "deployment/"+name, "-o", "jsonpath={.metadata.generation}")
		if err != nil {
			return err
		}
		if generation != "2" {
			return fmt.Errorf("%s was changed to generation %s, not 2", name, generation)
		}
	}
	return nil
}

// TestStopWithAnswerInFlight tells bot serve to stop while a Dialogflow request
// waits for the outcome of what it started: it is answered all the same.
func TestStopWithAnswerInFlight(t *testing.T) {
	w := worldOf(t, "t-in-flight")
	c := w.conversation("main")
	if err := c.dialogflow(t.Context(), "roll out v2-slow of checkout"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- c.dialogflow(t.Context(), "yes") }()
	if _, err := w.kubectl(t.Context(), "wait", "deployment/checkout", "--for=jsonpath={.spec.template.spec.containers[0].image}=registry.example.com/shop/checkout:v2-slow"); err != nil {
		t.Fatal(err)
	}
	if err := w.shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if got := c.last.Text; !strings.HasPrefix(got, "Rolling out v2") {
		t.Errorf("the answer is %q", got)
	}
}
