package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func TestConversations(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	converse(t, testscript.Params{Dir: "testdata", Setup: func(env *testscript.Env) error { return setUp(env, "t-", rights{}) }})
}

// converse runs scripts.
func converse(t *testing.T, p testscript.Params) {
	t.Helper()
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for name, c := range commands {
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) { c.run(ts, name, neg, args) }
	}
	p.Cmds, p.RequireExplicitExec, p.RequireUniqueNames = cmds, true, true
	testscript.Run(t, p)
}

// script is the state of one running script.
type script struct {
	*world
	now    *conversation
	status int  // of the last bot or ask
	owed   bool // the script has not said yet what the status must be
	left   leftovers
	second *sandboxtest.Sandbox
}

type scriptKey struct{}

// setUp gives a script its world, and its end an eye on what went wrong.
func setUp(env *testscript.Env, prefix string, r rights) error {
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w, err := newWorld(ctx, prefix+name, env.WorkDir, r)
	s := &script{world: w, now: w.conversation("main")}
	env.Values[scriptKey{}] = s
	env.Setenv("NS", w.namespace)
	env.Defer(func() {
		if err := errors.Join(w.destroy(), s.left.clear(w.namespace)); err != nil {
			env.T().Log(err)
		}
		if f, ok := env.T().(interface{ Failed() bool }); ok && f.Failed() {
			log, _ := os.ReadFile(filepath.Join(w.dir, "bot.log")) // only for whoever reads the failure
			env.T().Log("bot serve said:\n" + string(log))
		}
	})
	return err
}

// command is one word of the scripts' language.
type command struct {
	usage    string
	min, max int  // how many arguments
	neg      bool // may be said with !
	do       func(s *script, ts *testscript.TestScript, neg bool, args []string) error
}

const many = 1000

var commands = map[string]command{
	"say":              {"say TEXT", 1, many, false, say},
	"conversation":     {"conversation ID", 1, 1, false, switchConversation},
	"dialogflow":       {"dialogflow TEXT", 1, many, false, sayDialogflow},
	"dialogflow-until": {"dialogflow-until REGEXP TEXT", 2, many, false, sayDialogflowUntil},
	"hear":             {"hear REGEXP", 1, 1, true, hear},
	"speech":           {"speech REGEXP", 1, 1, true, speech},
	"shown":            {"shown REGEXP", 1, 1, true, shown},
	"remember":         {"remember NAME REGEXP", 2, 2, false, remember},
	"expect":           {"expect WORD", 1, 1, false, expect},
	"fault":            {"fault KIND", 1, 1, false, faultKind},
	"outcome":          {"outcome WORD [REGEXP]", 1, 2, false, outcome},
	"outcomes":         {"outcomes N", 1, 1, false, outcomes},
	"quiet":            {"quiet", 0, 0, false, quiet},
	"progress":         {"progress REGEXP", 1, 1, false, progress},
	"replicas":         {"replicas OBJECT N", 2, 2, false, replicas},
	"image":            {"image OBJECT [CONTAINER] REGEXP", 2, 3, false, image},
	"kubectl":          {"kubectl …", 1, many, true, runKubectl},
	"until":            {"until REGEXP kubectl …", 3, many, false, until},
	"shop":             {"shop NAME", 1, 1, false, secondShop},
	"ask":              {"ask [FLAGS] TEXT", 1, many, false, ask},
	"ask-local":        {"ask-local [FLAGS] TEXT", 1, many, false, askLocal},
	"bot":              {"bot COMMAND …", 1, many, false, runBot},
	"bot-in":           {"bot-in FILE COMMAND …", 2, many, false, runBotIn},
	"chat":             {"chat FILE", 1, 1, false, chat},
	"exit":             {"exit N", 1, 1, false, exitStatus},
	"contract":         {"contract", 0, 0, false, contract},
	"start":            {"start [FLAGS]", 0, many, false, start},
	"crash":            {"crash", 0, 0, false, crash},
	"shutdown":         {"shutdown", 0, 0, false, shutdown},
	"clusters":         {"clusters", 0, 0, false, clusters},
	"second":           {"second kubectl's arguments, or operators", 1, many, false, runSecond},
	"power-cut":        {"power-cut", 0, 0, false, powerCut},
	"say-within":       {"say-within DURATION TEXT", 2, many, false, sayWithin},
	"metric":           {"metric REGEXP", 1, 1, false, metric},
}

func (c command) run(ts *testscript.TestScript, name string, neg bool, args []string) {
	s, ok := ts.Value(scriptKey{}).(*script)
	switch {
	case !ok:
		ts.Fatalf("no world")
	case len(args) < c.min || len(args) > c.max || neg && !c.neg:
		ts.Fatalf("usage: %s", c.usage)
	case s.owed && name != "exit":
		ts.Fatalf("it ended with %d: say what it must be, with exit N", s.status)
	}
	ts.Check(c.do(s, ts, neg, args))
}

func say(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	err := s.now.say(context.Background(), strings.Join(args, " "))
	tellLast(s, ts)
	return err
}

func sayDialogflow(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	err := s.now.dialogflow(context.Background(), strings.Join(args, " "))
	tellLast(s, ts)
	return err
}

// sayDialogflowUntil says the same again and again, as nobody can be called
// back there, until the answer fits.
func sayDialogflowUntil(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	deadline := time.Now().Add(newsLimit)
	for {
		err := sayDialogflow(s, ts, false, args[1:])
		if err != nil {
			return err
		}
		if err = matches(s.now.last.Text, args[0], false); err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// tellLast writes an answer into the log of the test.
func tellLast(s *script, ts *testscript.TestScript) {
	if r := s.now.last; r != nil {
		ts.Logf("· %s", strings.ReplaceAll(r.Text, "\n", "\n· "))
	}
}

func switchConversation(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	s.now = s.world.conversation(args[0])
	return nil
}

// answer is the last answer of the conversation.
func (s *script) answer() (dialogue.Reply, error) {
	if s.now.last == nil {
		return dialogue.Reply{}, errors.New("nobody has said anything yet")
	}
	return *s.now.last, nil
}

// pattern compiles a regexp in which a dot is any character, new lines too.
func pattern(re string) (*regexp.Regexp, error) { return regexp.Compile("(?s)" + re) }

// matches checks a text, or with neg that it does not match.
func matches(text, re string, neg bool) error {
	p, err := pattern(re)
	switch {
	case err != nil:
		return err
	case neg && p.MatchString(text):
		return fmt.Errorf("this matches %s and must not:\n%s", re, text)
	case !neg && !p.MatchString(text):
		return fmt.Errorf("this does not match %s:\n%s", re, text)
	}
	return nil
}

func hear(s *script, _ *testscript.TestScript, neg bool, args []string) error {
	r, err := s.answer()
	if err != nil {
		return err
	}
	return matches(r.Text, args[0], neg)
}

func speech(s *script, _ *testscript.TestScript, neg bool, args []string) error {
	r, err := s.answer()
	if err != nil {
		return err
	}
	return matches(r.Speech, args[0], neg)
}

func shown(s *script, _ *testscript.TestScript, neg bool, args []string) error {
	r, err := s.answer()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, block := range r.Blocks {
		fmt.Fprintf(&b, "%s\n%s\n%s", block.Title, strings.Join(block.Columns, " "), block.Text)
		for _, row := range block.Rows {
			b.WriteString("\n" + strings.Join(row, " "))
		}
	}
	return matches(b.String(), args[0], neg)
}

// remember keeps what a part of the last answer matched, for $NAME.
func remember(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	r, err := s.answer()
	if err != nil {
		return err
	}
	re, err := pattern(args[1])
	if err != nil {
		return err
	}
	m := re.FindStringSubmatch(r.Text)
	if len(m) != 2 {
		return fmt.Errorf("this has nothing of %s:\n%s", args[1], r.Text)
	}
	ts.Setenv(args[0], m[1])
	return nil
}

func expect(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	r, err := s.answer()
	if err == nil && r.Expect != args[0] {
		err = fmt.Errorf("it expects %s, not %s: %s", r.Expect, args[0], r.Text)
	}
	return err
}

func faultKind(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	r, err := s.answer()
	want := fault.Kind(args[0])
	if want == "none" {
		want = ""
	}
	if err == nil && r.Fault != want {
		err = fmt.Errorf("the fault is %q, not %q: %s", r.Fault, want, r.Text)
	}
	return err
}

func outcome(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	re, err := pattern(strings.Join(args[1:], ""))
	if err != nil {
		return err
	}
	err = s.now.outcome(context.Background(), args[0], re)
	tellLast(s, ts)
	return err
}

func outcomes(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	evs, err := s.now.outcomes(context.Background())
	if err == nil && strconv.Itoa(len(evs)) != args[0] {
		err = fmt.Errorf("%d outcomes were told:\n%s", len(evs), wording(evs))
	}
	return err
}

func quiet(s *script, _ *testscript.TestScript, _ bool, _ []string) error {
	return s.now.quiet(context.Background())
}

func progress(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	re, err := pattern(args[0])
	if err != nil {
		return err
	}
	return s.now.progress(re)
}

func replicas(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	got, err := s.world.kubectl(context.Background(), "get", args[0], "-o", "jsonpath={.spec.replicas}")
	if err == nil && got != args[1] {
		err = fmt.Errorf("the cluster says %s replicas", got)
	}
	return err
}

func image(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	path := "jsonpath={.spec.template.spec.containers[*].image}"
	if len(args) == 3 {
		path = fmt.Sprintf("jsonpath={.spec.template.spec.containers[?(@.name==%q)].image}", args[1])
	}
	got, err := s.world.kubectl(context.Background(), "get", args[0], "-o", path)
	if err != nil {
		return err
	}
	return matches(got, args[len(args)-1], false)
}

func runKubectl(s *script, ts *testscript.TestScript, neg bool, args []string) error {
	for i, a := range args {
		if _, err := os.Stat(ts.MkAbs(a)); i > 0 && slices.Contains([]string{"-f", "--patch-file"}, args[i-1]) && err == nil {
			args[i] = ts.MkAbs(a) // a file of the script
			if slices.Contains([]string{"apply", "create"}, args[0]) {
				ts.Check(s.left.note(args[i]))
			}
		}
	}
	out, err := s.world.kubectl(context.Background(), args...)
	fmt.Fprintln(ts.Stdout(), out)
	if neg {
		if err == nil {
			return errors.New("kubectl did it")
		}
		return nil
	}
	return err
}

// until asks the cluster again and again: for what only it can tell.
func until(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	if args[1] != "kubectl" {
		return errors.New("usage: until REGEXP kubectl …")
	}
	deadline := time.Now().Add(newsLimit)
	for {
		out, err := s.world.kubectl(context.Background(), args[2:]...)
		if err == nil {
			err = matches(out, args[0], false)
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func secondShop(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	ns := s.namespace + "-" + args[0]
	s.aliases[args[0]] = ns
	return openShop(context.Background(), ns, cmp.Or(s.rights.role, "edit"))
}

func ask(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	url, err := s.url(context.Background())
	if err != nil {
		return err
	}
	return s.exec(ts, "", []string{"FIRSTMATE_URL=" + url}, append([]string{"ask"}, args...))
}

func askLocal(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	// A journal of its own: bot serve must not take up what it leaves.
	own := "XDG_STATE_HOME=" + filepath.Join(s.dir, "own-state")
	return s.exec(ts, "", []string{own}, append([]string{"ask"}, args...))
}

func runBot(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	return s.exec(ts, "", nil, args)
}

// runBotIn runs bot with a file as its standard input.
func runBotIn(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	return s.exec(ts, ts.ReadFile(args[0]), nil, args[1:])
}

// chat has a whole conversation in bot chat, which reads it from a file.
func chat(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	url, err := s.url(context.Background())
	if err != nil {
		return err
	}
	return s.exec(ts, ts.ReadFile(args[0]), []string{"FIRSTMATE_URL=" + url}, []string{"chat"})
}

// exec runs bot to its end; only what it ended with is remembered.
func (s *script) exec(ts *testscript.TestScript, input string, env, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), newsLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = append(s.environ(), env...), s.dir
	cmd.Stdin = strings.NewReader(input)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("bot did not end within %v", newsLimit)
	}
	s.status, s.owed = cmd.ProcessState.ExitCode(), true
	return nil
}

func exitStatus(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	s.owed = false
	if strconv.Itoa(s.status) != args[0] {
		return fmt.Errorf("it ended with %d", s.status)
	}
	return nil
}

// contract checks the last standard output against the outer contract: one JSON
// object with every key, each of its type.
func contract(_ *script, ts *testscript.TestScript, _ bool, _ []string) error {
	return keepsContract(ts.ReadFile("stdout"))
}

func keepsContract(out string) error {
	var all map[string]json.RawMessage
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&all); err != nil {
		return fmt.Errorf("not one JSON object: %w", err)
	}
	if d.More() {
		return errors.New("more than one JSON object")
	}
	var r struct {
		Conversation, Intent, Speech, Text, Expect *string
		Slots                                      *map[string]any
		Blocks                                     *[]map[string]any
		Proposal                                   *struct {
			ID, Risk *string
			Changes  *[]struct{ Cluster, Namespace, Kind, Name, From, To, Diff *string }
		}
		Outcome *string
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return fmt.Errorf("a key has the wrong type: %w", err)
	}
	if _, ok := all["proposal"]; !ok {
		return errors.New("there is no proposal, not even null")
	}
	missing := missingKeys(reflect.ValueOf(r), "")
	if r.Outcome != nil && !regexp.MustCompile(`^(done|failed|rolled_back|pending|none)$`).MatchString(*r.Outcome) {
		missing = append(missing, fmt.Errorf("outcome is %q", *r.Outcome))
	}
	return errors.Join(missing...)
}

// missingKeys lists what is null or not there and must be.
func missingKeys(v reflect.Value, path string) (missing []error) {
	for i := range v.NumField() {
		f, name := v.Field(i), path+strings.ToLower(v.Type().Field(i).Name)
		switch {
		case f.IsNil() && name == "proposal":
		case f.IsNil():
			missing = append(missing, fmt.Errorf("%s is not there", name))
		case f.Elem().Kind() == reflect.Struct:
			missing = append(missing, missingKeys(f.Elem(), name+".")...)
		case f.Elem().Kind() == reflect.Slice && f.Elem().Type().Elem().Kind() == reflect.Struct:
			for j := range f.Elem().Len() {
				missing = append(missing, missingKeys(f.Elem().Index(j), fmt.Sprintf("%s[%d].", name, j))...)
			}
		}
	}
	return missing
}

func start(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	s.flags = append(s.flags, args...)
	return s.world.start(context.Background())
}

func crash(s *script, _ *testscript.TestScript, _ bool, _ []string) error { return s.world.crash() }

func shutdown(s *script, _ *testscript.TestScript, _ bool, _ []string) error {
	return s.world.shutdown()
}
