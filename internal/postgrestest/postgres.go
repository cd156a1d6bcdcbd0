//go:build unix

// Package postgrestest gives tests a real PostgreSQL: the one of Debian's
// package, on a free loopback port, in a temporary folder, gone afterwards.
package postgrestest

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
)

// Variable names a folder with initdb and postgres to use instead of Debian's.
const Variable = "FIRSTMATE_POSTGRES_BIN"

// startLimit is how long PostgreSQL may take to start on a busy machine.
const startLimit = 60 * time.Second

// Server is a PostgreSQL that is started when the first test needs it.
type Server struct {
	once sync.Once
	err  error
	bin  string
	dir  string
	port int
	proc *process

	mu sync.Mutex
	n  int // databases made
}

// Main runs a package's tests with a server, for TestMain, and stops it.
func Main(m interface{ Run() int }, s *Server) (code int) {
	flag.Parse()
	defer func() {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "postgrestest: stop:", err)
			code = 1
		}
	}()
	return m.Run()
}

// errNone says that the package is not installed.
var errNone = errors.New("PostgreSQL is not installed: internal/postgrestest/install.sh installs Debian's package")

// DSN makes an empty database for a test and returns how to connect to it. It
// skips the test, visibly, where there is no PostgreSQL, and with -short.
func (s *Server) DSN(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL: run without -short")
	}
	s.once.Do(func() { s.err = s.start() })
	if errors.Is(s.err, errNone) {
		t.Skip(s.err)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	s.mu.Lock()
	s.n++
	name := fmt.Sprintf("t%d", s.n)
	s.mu.Unlock()
	if err := s.exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

// Exec runs a statement in the database of a DSN.
func Exec(ctx context.Context, dsn, query string) (err error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, query)
	return err
}

func (s *Server) exec(ctx context.Context, query string) error {
	return Exec(ctx, s.url("postgres"), query)
}

func (s *Server) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("firstmate"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// binaries finds the newest PostgreSQL of this machine.
func binaries() (string, error) {
	if dir := os.Getenv(Variable); dir != "" {
		return dir, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })
		return filepath.Dir(newest), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errNone
}

func major(path string) int {
	n, err := strconv.Atoi(strings.Split(path, "/")[4])
	if err != nil {
		return 0
	}
	return n
}

func (s *Server) start() (err error) {
	if s.bin, err = binaries(); err != nil {
		return err
	}
	removeStale()
	if s.dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", folder, os.Getpid())); err != nil {
		return err
	}
	cred, err := unprivileged(s.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", data, "--username=firstmate", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
	initdb.Dir, initdb.Env, initdb.SysProcAttr = s.dir, []string{"PATH=/usr/bin:/bin", "TZ=UTC"}, &syscall.SysProcAttr{Credential: cred}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// Another process may take the port before PostgreSQL does: then once more.
	for range 5 {
		if err = s.listen(data, cred); err == nil {
			return nil
		}
	}
	return err
}

// folder begins the names of the folders with data; then comes whose it is.
const folder = "firstmate-postgres-"

// removeStale removes what was left behind by processes that were killed.
func removeStale() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), folder+"*-*"))
	if err != nil {
		return // the pattern is right
	}
	for _, dir := range left {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folder), "-")
		pid, err := strconv.Atoi(owner)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // somebody else's, or taken away already
		}
	}
}

func (s *Server) listen(data string, cred *syscall.Credential) error {
	var err error
	if s.port, err = freePort(); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", "",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_min_messages=warning")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, []string{"PATH=/usr/bin:/bin", "TZ=UTC"}, attributes(cred)
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	if s.proc, err = launch(cmd); err != nil {
		return err
	}
	deadline := time.Now().Add(startLimit)
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err = s.exec(ctx, "SELECT 1")
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-s.proc.done:
			said, readErr := os.ReadFile(filepath.Join(s.dir, "log"))
			return errors.Join(fmt.Errorf("postgres ended: %w\n%s", s.proc.err, said), readErr)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.Join(fmt.Errorf("postgres is not ready after %s: %w", startLimit, err), s.proc.stop())
}

// Stop ends the server, if one was started, and removes what it left.
func (s *Server) Stop() error {
	var err error
	if s.proc != nil {
		err = s.proc.stop()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// unprivileged gives a folder to somebody who is not root, because PostgreSQL
// refuses to run as root; nil where this process is nobody special anyway.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}

// process is a child that does not outlive this one.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // after done
}

// launch starts a child from a thread that lives as long as the child: where
// the system tells a child that its parent is gone, the thread is the parent.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, <-started
}

// stop ends the child without waiting for its clients.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(startLimit):
		return errors.Join(errors.New("postgres does not end"), p.cmd.Process.Kill())
	}
}
