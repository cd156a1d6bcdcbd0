package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// kills is how many actions are interrupted by a kill -9; bench/kill.sh asks for
// more.
var kills = flag.Int("kills", 20, "how many actions TestKilledAtRandom interrupts")

// targets are the Deployments of a round: each has one action at a time.
var targets = strings.Fields("alfa bravo charlie delta echo foxtrot golf hotel india juliett")

const (
	// window is in which the yeses are said and the process is killed: from the
	// first yes to after the last action is over.
	window = 1000 * time.Millisecond
	// insist is how long somebody who gets no answer goes on saying it.
	insist = 40 * time.Second
	// told is how long the outcome of an action may take.
	told = 60 * time.Second
)

// TestKilledAtRandom kills bot serve at random moments while ten actions at a
// time are agreed to, carried out, watched and told, starts it again, and looks
// at the cluster and at what was told: nothing is lost, nothing done twice, and
// each end is told once.
func TestKilledAtRandom(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	first := killedWorld(t, "t-kill")
	killedAtRandom(t, []*world{first}, func(*testing.T) *world { return first })
}

// TestKilledLeaderAtRandom does the same with two replicas on PostgreSQL, of
// which the one is killed that leads.
func TestKilledLeaderAtRandom(t *testing.T) {
	dsn := postgres.DSN(t)
	first := killedWorld(t, "t-kill-leader")
	both := []*world{first, {namespace: first.namespace, dir: t.TempDir(), conversations: map[string]*conversation{}}}
	for _, w := range both {
		w.env = append([]string{"FIRSTMATE_STATE_POSTGRES=" + dsn, "FIRSTMATE_REPLICAS_LEASE=" + first.namespace + "/firstmate"}, first.env...)
	}
	killedAtRandom(t, both, func(t *testing.T) *world {
		leader, _ := leading(t, both)
		return leader
	})
}

// killedWorld is a world with the Deployments that the actions are about. It is
// not parallel: what it measures would be disturbed.
func killedWorld(t *testing.T, namespace string) *world {
	t.Helper()
	w, err := newWorld(t.Context(), namespace, t.TempDir(), rights{})
	t.Cleanup(func() {
		if err := w.destroy(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// So many are not said by one person.
	w.env = []string{"FIRSTMATE_ACCESS_LIMITS_PERSON_WRITES=0", "FIRSTMATE_ACCESS_LIMITS_CHANNEL_WRITES=0", "FIRSTMATE_ACCESS_LIMITS_PERSON_READS=0", "FIRSTMATE_ACCESS_LIMITS_CHANNEL_READS=0"}
	for _, name := range targets {
		if _, err := w.kubectl(t.Context(), "create", "deployment", name, "--replicas=1", "--image=registry.example.com/shop/"+name+":1.0"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.kubectl(t.Context(), "rollout", "status", "deployment"); err != nil {
		t.Fatal(err)
	}
	return w
}

// act is one action: what is said, and what must come of it.
type act struct {
	target, conversation, say string
	want                      func(replicas, image string) bool

	proposal string
	heard    bool // the first yes was answered
	ends     []dialogue.Event
}

// tally is what came of all.
type tally struct {
	actions, rounds, killed, unanswered int
	lost, doubled, wrong                int
	slowest                             time.Duration
}

func killedAtRandom(t *testing.T, ws []*world, victim func(*testing.T) *world) {
	t.Helper()
	for _, w := range ws {
		if err := w.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.crash(); err != nil {
				t.Error(err)
			}
			if log, err := os.ReadFile(filepath.Join(w.dir, "bot.log")); t.Failed() && err == nil {
				t.Logf("bot serve said:\n%s", log[max(0, len(log)-20000):])
			}
		})
	}
	generation := map[string]int{}
	for _, name := range targets {
		generation[name] = 1
	}
	var sum tally
	var all []*act
	for sum.actions < *kills {
		acts := round(sum.rounds, min(len(targets), *kills-sum.actions))
		if err := interrupted(t, ws, victim, acts, &sum); err != nil {
			t.Fatalf("after %d actions: %v", sum.actions, err)
		}
		for _, a := range acts {
			generation[a.target]++
		}
		check(t, ws[0], acts, generation, &sum)
		sum.rounds, sum.actions, all = sum.rounds+1, sum.actions+len(acts), append(all, acts...)
	}
	// Longer than a dead process is waited for: whoever wants to say something
	// again has done so by then.
	time.Sleep(silence)
	for _, a := range all {
		ends, err := endsOf(t.Context(), ws, a)
		if err != nil {
			t.Fatal(err)
		}
		if len(ends) != 1 || ends[0].Action != a.proposal || ends[0].Reply.Outcome != dialogue.OutcomeDone {
			sum.wrong++
			t.Errorf("%s (%s) was told %d times:\n%s", a.say, a.proposal, len(ends), wording(ends))
		}
	}
	trail(t, ws[0], all, &sum)
	taken := 0 // what a process began and another went on with
	for _, w := range ws {
		log, err := os.ReadFile(filepath.Join(w.dir, "bot.log"))
		if err != nil {
			t.Fatal(err)
		}
		taken += bytes.Count(log, []byte("msg=resuming"))
	}
	t.Logf("%d actions in %d rounds, %d kills; %d yeses got no answer at first, %d actions were taken up by another process; lost %d, doubled %d, told wrongly %d; the slowest end came %.1f s after the last kill of its round",
		sum.actions, sum.rounds, sum.killed, sum.unanswered, taken, sum.lost, sum.doubled, sum.wrong, sum.slowest.Seconds())
}

// round makes up what is asked for in one round: of each Deployment another
// number, another version or a restart, in turn.
func round(n, actions int) []*act {
	var acts []*act
	for i, name := range targets[:actions] {
		a := &act{target: name, conversation: fmt.Sprintf("kill-%d-%d", n, i)}
		switch (n + i) % 3 {
		case 0:
			to := 2 + n/3%3 // never what it was the last time
			a.say = fmt.Sprintf("scale %s to %d", name, to)
			a.want = func(replicas, _ string) bool { return replicas == strconv.Itoa(to) }
		case 1:
			version := fmt.Sprintf("2.%d", n)
			a.say = fmt.Sprintf("roll out %s of %s", version, name)
			a.want = func(_, image string) bool { return strings.HasSuffix(image, ":"+version) }
		default:
			a.say = "restart " + name
			a.want = func(string, string) bool { return true } // its generation tells
		}
		acts = append(acts, a)
	}
	return acts
}

// interrupted asks for the actions, says yes to each at a moment of its own,
// kills the victim at a moment in between, starts it again, and waits for all ends.
func interrupted(t *testing.T, ws []*world, again func(*testing.T) *world, acts []*act, sum *tally) error {
	victim := again(t)
	t.Helper()
	ctx := t.Context()
	if err := together(acts, func(a *act) error {
		r, err := turn(ctx, ws, a.conversation, a.say, "", nil)
		if err == nil && (r.Proposal == nil || r.Expect != dialogue.ExpectConfirm) {
			err = fmt.Errorf("%s is not asked about: %s", a.say, r.Text)
		}
		if err == nil {
			a.proposal = r.Proposal.ID
		}
		return err
	}); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		done <- together(acts, func(a *act) error {
			time.Sleep(rand.N(window / 2))
			failed := false
			_, err := turn(ctx, ws, a.conversation, "yes", a.proposal, &failed)
			a.heard = !failed
			return err
		})
	}()
	var killed time.Time
	for n := range 1 + rand.N(2) { // the second time after it came back
		if n > 0 {
			victim = again(t)
		}
		time.Sleep(rand.N(window * 7 / 10))
		if err := victim.crash(); err != nil {
			return err
		}
		sum.killed, killed = sum.killed+1, time.Now()
		if err := victim.start(ctx); err != nil {
			return err
		}
	}
	if err := <-done; err != nil {
		return err
	}
	err := together(acts, func(a *act) error {
		for end := time.Now().Add(told); ; time.Sleep(100 * time.Millisecond) {
			ends, err := endsOf(ctx, ws, a)
			if err == nil && len(ends) > 0 {
				a.ends = ends
				return nil
			}
			if time.Now().After(end) {
				return fmt.Errorf("the end of %s (%s) is not told: %w", a.say, a.proposal, err)
			}
		}
	})
	sum.slowest = max(sum.slowest, time.Since(killed))
	for _, a := range acts {
		if !a.heard {
			sum.unanswered++
		}
	}
	return err
}

// together does something with all actions at the same time.
func together(acts []*act, f func(*act) error) error {
	errs := make([]error, len(acts))
	var wg sync.WaitGroup
	for i, a := range acts {
		wg.Go(func() { errs[i] = f(a) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// turn says something to whichever replica answers, again and again where none
// does, as a person would; failed notes that the first try was in vain. With
// confirm it is a yes to that very proposal, as often as it is said.
func turn(ctx context.Context, ws []*world, conversation, text, confirm string, failed *bool) (dialogue.Reply, error) {
	var err error
	for end := time.Now().Add(insist); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var r dialogue.Reply
		if url := ws[rand.N(len(ws))].address(); url != "" {
			if r, err = web.NewClient(url, "", &http.Client{Timeout: 10 * time.Second}).Turn(ctx, conversation, text, confirm); err == nil {
				return r, nil
			}
		}
		if failed != nil {
			*failed = true
		}
	}
	return dialogue.Reply{}, fmt.Errorf("nobody answers %q: %w", text, err)
}

// address is where the server is, "" while none runs.
func (w *world) address() string {
	if !w.mu.TryLock() {
		return "" // it is just being started
	}
	defer w.mu.Unlock()
	if w.bot == nil {
		return ""
	}
	return w.bot.url
}

// endsOf are the outcomes that are kept for an action's conversation.
func endsOf(ctx context.Context, ws []*world, a *act) ([]dialogue.Event, error) {
	err := errors.New("nobody runs")
	for _, w := range ws {
		if url := w.address(); url != "" {
			var ends []dialogue.Event
			if ends, err = keptOutcomes(ctx, url, a.conversation); err == nil {
				return ends, nil
			}
		}
	}
	return nil, err
}

// check looks at the cluster: each object is as it was asked for, and was
// changed once a round.
func check(t *testing.T, w *world, acts []*act, generation map[string]int, sum *tally) {
	t.Helper()
	out, err := w.kubectl(t.Context(), "get", "deployments", "-o", `jsonpath={range .items[*]}{.metadata.name} {.metadata.generation} {.spec.replicas} {.spec.template.spec.containers[0].image}{"\n"}{end}`)
	if err != nil {
		t.Fatal(err)
	}
	is := map[string][]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 4 {
			is[f[0]] = f[1:]
		}
	}
	for _, a := range acts {
		f := is[a.target]
		if f == nil {
			t.Fatalf("%s is gone:\n%s", a.target, out)
		}
		at, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case at > generation[a.target]:
			sum.doubled++
			t.Errorf("%s: %s is at generation %d, not %d", a.say, a.target, at, generation[a.target])
		case at < generation[a.target] || !a.want(f[1], f[2]):
			sum.lost++
			t.Errorf("%s: %s is at generation %d, not %d, with %s", a.say, a.target, at, generation[a.target], f[1:])
		}
		generation[a.target] = at
	}
}

// trail asks the audit trail: it is unbroken, and has one end of each action.
func trail(t *testing.T, w *world, all []*act, sum *tally) {
	t.Helper()
	config, err := w.config()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		var out, said bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program, append(args, "--config", config)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = w.environ(), &out, &said
		if err := cmd.Run(); err != nil {
			t.Errorf("bot %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), said.String())
		}
		return out.String()
	}
	run("audit", "verify")
	ended := map[string]int{}
	for line := range strings.Lines(run("audit", "export")) {
		var l struct{ Kind, Action, State string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if l.Kind == "outcome" && l.State == "done" {
			ended[l.Action]++
		}
	}
	for _, a := range all {
		if n := ended[a.proposal]; n != 1 {
			sum.wrong++
			t.Errorf("%s (%s) ended %d times in the audit trail", a.say, a.proposal, n)
		}
	}
}
