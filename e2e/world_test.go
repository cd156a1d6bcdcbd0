package e2e_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

const (
	// readyLimit is how long bot serve may take to start on a busy machine.
	readyLimit = 20 * time.Second
	// stopLimit is how long it may take to stop: the promise is ten seconds.
	stopLimit = 10 * time.Second
	// password is for Dialogflow, user name and password alike.
	password = "e2e"
)

// settings is the configuration of bot serve, where a test brings no other.
const settings = `
access:
  people:
    - name: demo
      speakers: ["web:*", "dialogflow:*"]
      user: demo
      groups: [shop-operators]
      write: true
dialogflow: {pin: false, es: {username: ` + password + `, password: ` + password + `}}
`

// world is a namespace with a shop in it, and a bot serve that looks after it.
// A test has one to itself.
type world struct {
	namespace string
	dir       string            // for the state, the configuration, the log
	aliases   map[string]string // what people call other namespaces
	flags     []string          // of bot serve
	rights    rights
	env       []string // of bot, beside what it always has

	mu            sync.Mutex
	bot           *server // nil while none runs
	conversations map[string]*conversation
}

// rights are with which rights bot works; the zero value is the administrator's,
// and people who may edit.
type rights struct {
	kubeconfig string // of bot
	role       string // the ClusterRole that people have in the namespace
	config     string // the configuration
}

// worldOf is a world for a test of its own, which runs beside others.
func worldOf(t *testing.T, namespace string) *world {
	t.Helper()
	sandboxtest.Need(t, sandbox)
	t.Parallel()
	w, err := newWorld(t.Context(), namespace, t.TempDir(), rights{})
	t.Cleanup(func() {
		if err := w.destroy(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// newWorld makes the namespace with the shop. destroy must be called.
func newWorld(ctx context.Context, namespace, dir string, r rights) (*world, error) {
	w := &world{namespace: namespace, dir: dir, rights: r, aliases: map[string]string{}, conversations: map[string]*conversation{}}
	return w, openShop(ctx, namespace, cmp.Or(r.role, "edit"))
}

// destroy ends what runs and gives the namespace up; the cluster removes it
// while other tests go on.
func (w *world) destroy() error {
	errs := []error{w.crash()}
	for _, ns := range append([]string{w.namespace}, sortedValues(w.aliases)...) {
		_, err := kubectl(context.Background(), "", "delete", "namespace", ns, "--wait=false")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func sortedValues(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// openShop fills a namespace and waits until all is up.
func openShop(ctx context.Context, namespace, role string) error {
	place, err := os.ReadFile(filepath.Join("testdata", "namespace.yaml"))
	if err != nil {
		return err
	}
	// Another test may have had one of that name.
	if _, err := kubectl(ctx, "", "wait", "--for=delete", "namespace/"+namespace, "--timeout=60s"); err != nil {
		return err
	}
	if _, err := kubectl(ctx, strings.NewReplacer("NAMESPACE", namespace, "ROLE", role).Replace(string(place)), "create", "-f", "-"); err != nil {
		return err
	}
	revision := `--for=jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}=`
	for _, step := range []string{
		// Pods that are made before there is an account fail, and are tried again only later.
		"wait --for=create serviceaccount/default",
		"apply -f " + filepath.Join("testdata", "shop.yaml"),
		// Versions that follow each other faster than the controller looks leave no trace.
		"wait deployment/checkout deployment/cart " + revision + "1",
		"set image deployment/checkout checkout=registry.example.com/shop/checkout:v1",
		"set image deployment/cart cart=registry.example.com/shop/cart:2.0",
		"wait deployment/checkout deployment/cart " + revision + "2",
		"rollout status deployment,statefulset,daemonset --timeout=60s",
	} {
		if _, err := kubectl(ctx, "", append([]string{"-n", namespace}, strings.Fields(step)...)...); err != nil {
			return err
		}
	}
	return nil
}

// config is the path of the configuration, which is written unless the test
// brought one.
func (w *world) config() (string, error) {
	file := filepath.Join(w.dir, "firstmate.yaml")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return file, err
	}
	text := cmp.Or(w.rights.config, settings)
	if len(w.aliases) > 0 {
		text += "kubernetes:\n  namespace_aliases:\n"
		for name, ns := range w.aliases {
			text += fmt.Sprintf("    %s: %s\n", name, ns)
		}
	}
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// environ is the environment of bot: nothing of the person who runs the tests.
func (w *world) environ() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "KUBECONFIG=" + cmp.Or(w.rights.kubeconfig, sandbox.Kubeconfig),
		"FIRSTMATE_KUBERNETES_NAMESPACE=" + w.namespace, "XDG_STATE_HOME=" + filepath.Join(w.dir, "state"),
	}, w.env...)
}

// start starts bot serve; it is ready when start returns.
func (w *world) start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.startLocked(ctx)
}

func (w *world) startLocked(ctx context.Context) error {
	if w.bot != nil {
		return errors.New("bot serve runs already")
	}
	config, err := w.config()
	if err != nil {
		return err
	}
	args := append([]string{"serve", "--config", config, "--listen", "127.0.0.1:0"}, w.flags...)
	w.bot, err = startServer(ctx, args, w.environ(), filepath.Join(w.dir, "bot.log"))
	return err
}

// url is where the server is; it starts if none runs.
func (w *world) url(ctx context.Context) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bot == nil {
		if err := w.startLocked(ctx); err != nil {
			return "", err
		}
	}
	return w.bot.url, nil
}

// crash ends bot serve with SIGKILL.
func (w *world) crash() error {
	return w.end((*server).kill)
}

// shutdown ends bot serve with SIGTERM, as Kubernetes would.
func (w *world) shutdown() error {
	return w.end((*server).terminate)
}

func (w *world) end(how func(*server) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bot == nil {
		return nil
	}
	for _, c := range w.conversations {
		c.deaf()
	}
	err := how(w.bot)
	w.bot = nil
	return err
}

// server is a running bot serve.
type server struct {
	url  string
	cmd  *exec.Cmd
	done chan error // receives the end of the process
}

// startServer starts bot and waits for the line that says it is ready; its log
// is added to a file.
func startServer(ctx context.Context, args, env []string, logFile string) (*server, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	s := &server{cmd: exec.Command(program, args...), done: make(chan error, 1)}
	s.cmd.Env, s.cmd.Stderr = env, log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			if v, ok := strings.CutPrefix(sc.Text(), "FIRSTMATE_URL="); ok {
				ready <- v
			}
		}
		close(ready)
		s.done <- s.cmd.Wait()
	}()
	select {
	case s.url = <-ready:
		if s.url != "" {
			return s, nil
		}
		err = errors.New("bot serve ended before it was ready")
	case <-time.After(readyLimit):
		err = fmt.Errorf("bot serve was not ready after %v", readyLimit)
	case <-ctx.Done():
		err = ctx.Err()
	}
	said, _ := os.ReadFile(logFile) // only to explain err
	return nil, fmt.Errorf("%w\n%s", errors.Join(err, s.kill()), said)
}

func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done //nolint:errcheck // killed: there is no status worth looking at
	return nil
}

func (s *server) terminate() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.done:
		return err
	case <-time.After(stopLimit):
		return cmp.Or(s.kill(), fmt.Errorf("bot serve did not stop within %v", stopLimit))
	}
}
