package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/e2e/browser"
	"github.com/firstmate-ops/firstmate/internal/peers"
)

// thePIN is ann's, and pinHash what the configuration has of it.
const (
	thePIN  = "25807463"
	pinHash = "$argon2id$v=19$m=19456,t=2,p=1$p8glpR0boFtPL28HPGcddw$2v3DBdS9AqEOX/OFOpLd7GjTZfRhZaIaMwycXMGyVhM"
)

// identities starts an identity provider that others wrote, and returns its address.
func identities(t *testing.T, redirect string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "provider.js", "firstmate", password, redirect)
	cmd.Dir = peers.Node(t, "oidc")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		_ = cmd.Wait() // killed with the test, or done
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	issuer, ok := strings.CutPrefix(strings.TrimSpace(line), "ISSUER=")
	if !ok {
		t.Fatalf("the identity provider says %q: %v", line, err)
	}
	return issuer
}

// two is a configuration where one asks and another has to agree, and where some
// things want a PIN.
const two = `
web: {oidc: {issuer: %q, client_id: firstmate, client_secret: ` + password + `, redirect_url: "%s/login/callback"}}
access:
  people:
    - {name: ann, speakers: ["web:ann@example.com"], user: demo, groups: [shop-operators], write: true, pin_hash: "%s"}
    - {name: bob, speakers: ["web:bob@example.com"], groups: [leads]}
  policies:
    - {name: two, match: {intent: scale}, verdict: approve, by: {group: leads, assurance: strong}, reason: two pairs of eyes}
    - {name: pin, match: {intent: restart}, verdict: pin}
`

// logsIn opens the console as somebody, by the identity provider.
func (c *console) logsIn(t *testing.T, issuer, who, url string) *browser.Page {
	t.Helper()
	resp, err := http.Post(issuer+"/as/"+who, "", nil)
	c.must(t, err)
	c.must(t, resp.Body.Close())
	p, err := c.b.Page(browser.Desktop(false))
	c.must(t, err)
	t.Cleanup(p.Close)
	// Of what nobody may see before the log-in.
	p.Expected = func(complaint string) bool { return strings.Contains(complaint, "status of 401") }
	c.sits = p
	c.must(t, p.Open(url), p.Wait(`document.body.dataset.server === "stranger"`, shows))
	c.usable(t, "not logged in")
	c.must(t, p.Click("#by-login"), p.Wait(`document.getElementById("via-oidc")`, shows))
	c.usable(t, "log-in")
	c.must(t, p.Click("#via-oidc"), p.Wait(`document.body.dataset.server === "here"`, shows))
	return p
}

// Two people, each with a browser, logged in by an identity provider: what one asks
// for, the other sees with its very diff, and approves.
func (c *console) approved(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: there is no Node here, so no identity provider")
	}
	dir, at := t.TempDir(), freeAddress(t)
	url := "http://" + at
	issuer := identities(t, url+"/login/callback")
	config := filepath.Join(dir, "firstmate.yaml")
	c.must(t, os.WriteFile(config, fmt.Appendf(nil, two, issuer, url, pinHash), 0o600))
	// In the same namespace as the other one, with a memory of its own.
	env := append(c.w.environ(), "XDG_STATE_HOME="+dir)
	bot, err := startServer(t.Context(), []string{"serve", "--config", config, "--listen", at}, env, filepath.Join(c.w.dir, "bot.log"))
	c.must(t, err)
	t.Cleanup(func() {
		if err := bot.kill(); err != nil {
			t.Error(err)
		}
	})
	ann := c.logsIn(t, issuer, "ann", url)
	if who := c.text(t, `document.getElementById("who").textContent`); who != "ann" {
		t.Errorf("ann is %q", who)
	}
	bob := c.logsIn(t, issuer, "bob", url)

	c.sits = ann
	c.says(t, "scale redis cache to four")
	c.waits(t, asked)
	shown := c.text(t, `document.querySelector("#log .diff .lines").textContent`)
	c.must(t, ann.Click(".answers:not(.closed) .primary"))
	c.waits(t, `/It waits for somebody else/.test(document.getElementById("approvals").textContent)`)
	if may := c.text(t, `document.querySelectorAll("#approvals button.primary").length`); may != "0" {
		t.Error("ann may approve what she asked for")
	}
	c.usable(t, "waiting for another")

	c.sits = bob
	c.waits(t, `document.querySelector("#approvals button.primary")`)
	if there := c.text(t, `document.querySelector("#approvals .lines").textContent`); there != shown || !strings.Contains(there, "-  replicas: 3+  replicas: 4") {
		t.Errorf("ann saw\n%s\nbob sees\n%s", shown, there)
	}
	c.usable(t, "asked to approve")
	c.must(t, bob.Click("#approvals button.primary"))
	c.waits(t, `/approved for ann/i.test(document.getElementById("log").textContent)`)

	c.sits = ann
	c.waits(t, done+` && /Approved by bob/i.test(document.querySelector(".card").textContent)`)
	out, err := kubectl(t.Context(), "", "-n", c.w.namespace, "get", "statefulset", "redis-cache", "-o", "jsonpath={.spec.replicas}")
	c.must(t, err)
	if out != "4" {
		t.Errorf("redis-cache has %s replicas", out)
	}
	c.keepsThePIN(t)

	// Who goes leaves nothing behind.
	c.must(t, ann.Click("#logout button"), ann.Wait(`document.body.dataset.server === "stranger" && !document.querySelector(".turn")`, shows))
	for name, p := range map[string]*browser.Page{"ann": ann, "bob": bob} {
		for _, complaint := range p.Complaints() {
			t.Errorf("the console of %s's browser says: %s", name, complaint)
		}
	}
}

// keepsThePIN: what is asked for as a secret is neither shown nor kept.
func (c *console) keepsThePIN(t *testing.T) {
	c.says(t, "restart cart")
	c.waits(t, asked)
	c.must(t, c.sits.Click(".answers:not(.closed) .primary"))
	c.waits(t, `document.activeElement.id === "secret" && document.activeElement.type === "password" && document.getElementById("text").hidden`)
	c.usable(t, "asked for the PIN")
	c.says(t, thePIN)
	c.waits(t, `[...document.querySelectorAll('.card[data-state="done"]')].length === 2 && document.getElementById("secret").hidden`)
	where := c.text(t, `document.documentElement.outerHTML + JSON.stringify({...sessionStorage}) + JSON.stringify({...localStorage}) + [...document.querySelectorAll("input, textarea")].map((e) => e.value)`)
	kept := c.kept(t)
	if strings.Contains(where+kept, thePIN) || !strings.Contains(kept, `"restart cart"`) {
		t.Errorf("the PIN is kept, or what was said is not: %s", kept)
	}
	c.must(t, c.sits.Press("ArrowUp"))
	if v := c.text(t, `document.getElementById("text").value`); v != "restart cart" {
		t.Errorf("the arrow brings back %q", v)
	}
	c.must(t, c.sits.Press("Escape"))
}
