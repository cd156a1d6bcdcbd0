package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/e2e/browser"
	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/peers"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// shows is how long the console may take to show what a person waits for, on a
// machine that has other things to do.
const shows = newsLimit

// console is the web console in a real browser, and who sits before it.
type console struct {
	w    *world
	b    *browser.Browser
	url  string
	axe  string // the source of axe-core
	sits *browser.Page
}

// TestConsole uses the web console of a real bot serve with a real Chromium, one
// conversation after the other: in one browser, as starting one takes a while.
func TestConsole(t *testing.T) {
	program := browser.Find()
	if program == "" {
		t.Skip("SKIPPED: there is no Chromium here; make browser installs it")
	}
	axe, err := os.ReadFile(filepath.Join(peers.Node(t, "browser"), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	w := worldOf(t, "t-console")
	c := &console{w: w, axe: string(axe)}
	prometheus := sandboxtest.Prometheus(t).URL
	c.slowCheckout(t, prometheus)
	w.rights.config = settings + fmt.Sprintf("observability: {prometheus: {url: %q}}\nrollouts: {bake_for: 0s}\n", prometheus)
	if c.url, err = w.url(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Where it is started again, it is to be found where it was.
	w.flags = []string{"--listen", strings.TrimPrefix(c.url, "http://")}
	voice := newVoice(t)
	if c.b, err = browser.Start(t.Context(), program, t.TempDir(), voice.file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.b.Close)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(w.dir, "bot.log")) // only for whoever reads the failure
			t.Logf("bot serve said:\n%s", log)
		}
	})
	for _, part := range []struct {
		name string
		does func(*testing.T)
	}{
		{"typed", c.typed},
		{"keyboard only", c.keyboardOnly},
		{"rolled back", c.rolledBack},
		{"in two windows", c.twoWindows},
		{"why slow, with a chart", c.whySlow},
		{"spoken", func(t *testing.T) { c.spoken(t, voice) }},
		{"approved by somebody else", c.approved},
		{"the server goes and comes", c.reconnects},
	} {
		t.Run(part.name, func(t *testing.T) {
			page, err := c.b.Page(browser.Desktop(false))
			if err != nil {
				t.Fatal(err)
			}
			c.sits = page
			defer page.Close()
			began := time.Now()
			c.must(t, page.Open(c.url))
			c.waits(t, `document.body.dataset.server === "here"`)
			part.does(t)
			for _, complaint := range page.Complaints() {
				t.Errorf("the console of the browser says: %s", complaint)
			}
			t.Logf("took %v", time.Since(began).Round(time.Millisecond))
		})
	}
}

func (c *console) must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// waits waits until an expression of the page is true.
func (c *console) waits(t *testing.T, expression string) {
	t.Helper()
	c.must(t, c.sits.Wait(expression, shows))
}

// text is the value of an expression of the page.
func (c *console) text(t *testing.T, expression string) string {
	t.Helper()
	var out string
	c.must(t, c.sits.Eval("String("+expression+")", &out))
	return out
}

// says types a sentence and sends it.
func (c *console) says(t *testing.T, words string) {
	t.Helper()
	c.must(t, c.sits.Type(words), c.sits.Press("Enter"))
}

const (
	asked   = `document.querySelector(".answers:not(.closed) button.primary, .answers:not(.closed) button.danger")`
	running = `document.querySelector('.card[data-state="running"]')`
	done    = `document.querySelector('.card[data-state="done"]')`
)

// usable holds that axe-core finds nothing serious in what is shown now, in any
// light, on any screen.
func (c *console) usable(t *testing.T, state string) {
	t.Helper()
	for name, v := range map[string]browser.View{
		"desktop, light": browser.Desktop(false), "desktop, dark": browser.Desktop(true), "phone, light": browser.Phone(false), "phone, dark": browser.Phone(true),
	} {
		c.must(t, c.sits.Look(v), c.sits.Settled())
		found, err := c.sits.Axe(c.axe)
		c.must(t, err)
		for _, f := range found {
			if f.Impact == "serious" || f.Impact == "critical" {
				nodes, _ := json.Marshal(f.Nodes) // strings alone
				t.Errorf("%s, %s: %s (%s): %s\n%s", state, name, f.ID, f.Impact, f.Help, nodes)
			}
		}
		if wide := c.text(t, "document.documentElement.scrollWidth > innerWidth"); wide != "false" {
			t.Errorf("%s, %s: the page is wider than the screen", state, name)
		}
	}
	c.must(t, c.sits.Look(browser.Desktop(false)))
	if dir := os.Getenv("FIRSTMATE_SHOTS"); dir != "" {
		c.must(t, c.sits.Shot(filepath.Join(dir, strings.ReplaceAll(state, " ", "-")+".png")))
	}
}

// replicas is what the cluster says.
func (c *console) replicas(t *testing.T, name, want string) {
	t.Helper()
	if got := c.w.replicas(t.Context(), t, name); got != want {
		t.Errorf("%s has %s replicas, want %s", name, got, want)
	}
}

// A change that is typed: shown with its diff, agreed to with a click, watched in
// one card that changes, and told politely.
func (c *console) typed(t *testing.T) {
	c.usable(t, "nothing said")
	c.must(t, c.sits.Eval(`window.seen = []; new MutationObserver(() => {
		const card = document.querySelector(".card"), now = card && card.dataset.state + " " + card.querySelector(".card-now").textContent;
		if (now && seen.at(-1) !== now) seen.push(now);
	}).observe(document.getElementById("log"), {subtree: true, childList: true, characterData: true, attributes: true})`, nil))
	c.says(t, "scale web to five")
	c.waits(t, asked)
	if diff := c.text(t, `[...document.querySelectorAll(".diff ins, .diff del")].map((e) => e.textContent.trim()).join("|")`); !strings.Contains(diff, "-  replicas: 3|+  replicas: 5") {
		t.Errorf("the diff says %q", diff)
	}
	c.usable(t, "asked")
	c.must(t, c.sits.Click(".answers:not(.closed) .primary"))
	c.waits(t, done)
	c.replicas(t, "web", "5")
	if seen := c.text(t, `seen.join("|")`); !strings.Contains(seen, "running web") || !strings.Contains(seen, "|done ✔ web runs 5 of 5") {
		t.Errorf("the card told: %s", seen)
	}
	if n := c.text(t, `document.querySelectorAll(".card").length`); n != "1" {
		t.Errorf("%s cards for one change", n)
	}
	c.waits(t, `/Web runs 5 of 5/.test(document.querySelector("#announce[aria-live=polite]").textContent)`)
	c.usable(t, "done")

	// It can be undone; what is asked then is bound to that proposal.
	c.must(t, c.sits.Click(".card .answers button"))
	c.waits(t, asked)
	c.must(t, c.sits.Click(".answers:not(.closed) button:last-child"))
	c.waits(t, `/I leave web as it is/.test(document.querySelector(".turn.bot:last-child").textContent)`)
	c.replicas(t, "web", "5")

	// Words are words, whatever they look like, here and in what is answered.
	c.says(t, `how is <img src=x onerror=alert(1)>?`)
	c.waits(t, `document.querySelectorAll(".turn.bot").length >= 4 && !document.querySelector(".thinking")`)
	if n := c.text(t, `document.querySelectorAll("#log img, #log script").length + " " + /<img src=x/.test([...document.querySelectorAll(".turn.me .said")].at(-1).textContent)`); n != "0 true" {
		t.Errorf("words became markup: %s", n)
	}
	c.must(t, c.sits.Press("Alt+n"))
	c.waits(t, `!document.querySelector(".turn")`)
	c.must(t, c.sits.Click("#conversations .entry"))
	c.waits(t, `document.querySelector(".card")`)

	// It is all there again after a reload, once.
	before := c.text(t, `[...document.querySelectorAll(".turn .said, .card-now")].map((e) => e.textContent).join("|")`)
	c.must(t, c.sits.Eval("window.before = true; location.reload()", nil))
	c.waits(t, `!window.before && document.body?.dataset.server === "here" && document.querySelector(".card")`)
	if after := c.text(t, `[...document.querySelectorAll(".turn .said, .card-now")].map((e) => e.textContent).join("|")`); after != before {
		t.Errorf("before the reload: %s\nafter it: %s", before, after)
	}
}

// Everything can be done without a pointer.
func (c *console) keyboardOnly(t *testing.T) {
	c.must(t, c.sits.Eval(`window.pointed = 0; for (const k of ["pointerdown", "mousedown", "touchstart"]) addEventListener(k, () => pointed++, true)`, nil))
	c.must(t, c.sits.Press("?"))
	c.waits(t, `document.getElementById("help").open`)
	c.usable(t, "help")
	c.must(t, c.sits.Press("Escape"))
	c.waits(t, `!document.getElementById("help").open`)
	c.must(t, c.sits.Press("Tab", "Tab", "/"))
	c.waits(t, `document.activeElement.id === "text" && document.activeElement.value === ""`)
	c.says(t, "scale cart to three")
	c.waits(t, asked)
	// Back from the input: the copy button of the answer, No, Yes.
	for range 6 {
		c.must(t, c.sits.Press("Shift+Tab"))
		if c.text(t, "document.activeElement.textContent") == "Yes" {
			break
		}
	}
	if on := c.text(t, `document.activeElement.textContent + getComputedStyle(document.activeElement).outlineStyle`); on != "Yessolid" {
		t.Fatalf("the focus is on %q", on)
	}
	c.must(t, c.sits.Press("Enter"))
	c.waits(t, done)
	c.replicas(t, "cart", "3")
	if on := c.text(t, "document.activeElement.id"); on != "text" {
		t.Errorf("after the answer the focus is on %q", on)
	}
	c.must(t, c.sits.Press("ArrowUp"))
	if v := c.text(t, `document.getElementById("text").value`); v != "scale cart to three" {
		t.Errorf("the arrow brings back %q", v)
	}
	c.must(t, c.sits.Press("Escape", "Alt+n"))
	c.waits(t, `!document.querySelector(".turn") && document.activeElement.id === "text"`)
	// On a narrow screen the panels lie over the conversation, and give the focus back.
	c.must(t, c.sits.Look(browser.Phone(true)), c.sits.Settled()) // what another width closes is closed then
	c.must(t, c.sits.Press("Alt+c"))
	c.waits(t, `document.getElementById("history").contains(document.activeElement) && document.getElementById("middle").inert`)
	c.usable(t, "history on a phone")
	c.must(t, c.sits.Look(browser.Phone(true)))
	c.must(t, c.sits.Press("Escape"))
	c.waits(t, `document.activeElement.id === "text" && !document.getElementById("middle").inert`)
	if n := c.text(t, "pointed"); n != "0" {
		t.Errorf("%s pointer events", n)
	}
}

// A roll-out that fails says why, and its offer takes it back.
func (c *console) rolledBack(t *testing.T) {
	c.says(t, "roll out v7-bad of checkout")
	c.waits(t, asked)
	c.must(t, c.sits.Click(".answers:not(.closed) .primary"))
	c.waits(t, `document.querySelector('.card[data-state="failed"]') && `+asked)
	if said := c.text(t, `document.querySelector('.card[data-state="failed"]').textContent`); !strings.Contains(said, "cannot be pulled") || !strings.Contains(said, "Shall I roll checkout back") {
		t.Errorf("the card says %s", said)
	}
	c.usable(t, "failed")
	c.must(t, c.sits.Click(".answers:not(.closed) .primary"))
	c.waits(t, done)
	out, err := kubectl(t.Context(), "", "-n", c.w.namespace, "get", "deployment", "checkout", "-o", "jsonpath={.spec.template.spec.containers[*].image}")
	c.must(t, err)
	if !strings.HasSuffix(out, "checkout:v1") {
		t.Errorf("checkout runs %s", out)
	}
	// One's own words are kept as they were said.
	if kept := c.kept(t); !strings.Contains(kept, `"roll out v7-bad of checkout"`) {
		t.Errorf("it is kept as %s", kept)
	}
}

// twoWindows: what is said in another window of the same conversation is seen here
// when the window is looked at, and when a change of there tells of itself; once.
func (c *console) twoWindows(t *testing.T) {
	c.says(t, "how is web?")
	c.waits(t, `document.querySelector(".turn.bot") && !document.querySelector(".thinking")`)
	here := c.sits
	there, err := c.b.Page(browser.Desktop(false))
	c.must(t, err)
	defer there.Close()
	c.must(t, there.Open(c.url))
	c.sits = there
	c.waits(t, `document.body.dataset.server === "here"`)
	c.must(t, there.Eval(fmt.Sprintf(`sessionStorage.setItem("conversation", %q), window.before = true, location.reload()`, c.idOf(t, here)), nil))
	c.waits(t, `!window.before && document.body?.dataset.server === "here" && document.querySelector(".turn.me")`)
	c.says(t, "how is gateway?")
	c.waits(t, `document.querySelectorAll(".turn.bot").length === 2`)

	c.sits = here
	c.must(t, here.Eval(`document.dispatchEvent(new Event("visibilitychange"))`, nil))
	c.waits(t, `document.querySelectorAll(".turn.me").length === 2 && document.querySelectorAll(".turn.bot").length === 2`)

	c.sits = there
	c.says(t, "restart gateway")
	c.waits(t, asked)
	c.must(t, there.Click(".answers:not(.closed) .primary"))
	c.sits = here
	c.waits(t, done+` && document.querySelectorAll(".turn.me").length >= 4`)
	if n := c.text(t, `document.querySelectorAll(".turn.me").length + " " + document.querySelectorAll(".card").length`); n != "4 1" {
		t.Errorf("this window shows turns and cards: %s", n)
	}
	for _, complaint := range there.Complaints() {
		t.Errorf("the console of the other window says: %s", complaint)
	}
}

// kept is what the server has of the conversation of the page, as the page gets it.
func (c *console) kept(t *testing.T) string {
	t.Helper()
	var out string
	c.must(t, c.sits.Eval(`fetch("/api/v1/conversations/" + sessionStorage.getItem("conversation")).then((r) => r.text())`, &out))
	return out
}

// idOf is the conversation of a page.
func (c *console) idOf(t *testing.T, p *browser.Page) string {
	t.Helper()
	var id string
	c.must(t, p.Eval(`sessionStorage.getItem("conversation")`, &id))
	return id
}

// slowCheckout has the requests of checkout measured, which are slow of late.
func (c *console) slowCheckout(t *testing.T, prometheus string) {
	now := time.Now().Truncate(15 * time.Second)
	from := now.Add(-70 * time.Minute)
	var all []promtest.Series
	for _, s := range []struct {
		name, le    string
		quick, slow float64 // requests a second, before and of late
	}{{"bucket", "0.1", 9, 1}, {"bucket", "0.5", 10, 2}, {"bucket", "2.5", 10, 10}, {"bucket", "+Inf", 10, 10}, {"count", "", 10, 10}, {"sum", "", 1, 15}} {
		labels := map[string]string{"__name__": "http_request_duration_seconds_" + s.name, "namespace": c.w.namespace, "pod": "checkout-1", "service": "checkout", "code": "200"}
		if s.le != "" {
			labels["le"] = s.le
		}
		const good = 55 * time.Minute
		all = append(all, promtest.Line(labels, from, now, 15*time.Second, func(since time.Duration) float64 {
			return s.quick*min(since, good).Seconds() + s.slow*max(0, since-good).Seconds()
		}))
	}
	c.must(t, promtest.Write(t.Context(), prometheus, all...))
}

// Why something is slow is shown with what it is measured by, which can be read
// without eyes, and without a mouse.
func (c *console) whySlow(t *testing.T) {
	c.says(t, "why is checkout slow?")
	c.waits(t, `document.querySelector(".turn.bot .plot path.line")`)
	c.must(t, c.sits.Eval(`document.querySelector(".plot").focus()`, nil), c.sits.Press("End", "ArrowLeft"))
	if tip := c.text(t, `document.querySelector(".tip").hidden + " " + document.querySelector(".chart [role=status]").textContent`); !strings.HasPrefix(tip, "false ") || !strings.Contains(tip, " s") {
		t.Errorf("the chart reads %q", tip)
	}
	c.must(t, c.sits.Click(".chart .data summary"))
	c.waits(t, `document.querySelectorAll(".chart .data tbody tr").length > 20`)
	c.usable(t, "a chart")
}

// reconnects: what is said while the server is away is kept, and said once.
func (c *console) reconnects(t *testing.T) {
	c.sits.Expected = func(complaint string) bool { // nobody is there, or just starts
		return strings.Contains(complaint, "net::ERR_") || strings.Contains(complaint, "status of 503")
	}
	c.says(t, "scale gateway to three")
	c.waits(t, asked)
	c.must(t, c.sits.Click(".answers:not(.closed) .primary"))
	c.waits(t, running+" || "+done)
	c.must(t, c.w.crash())
	c.waits(t, `document.body.dataset.server === "away" && !document.getElementById("notice").hidden`)
	c.says(t, "how is web?")
	c.waits(t, `document.querySelector('.turn.me[data-state="waiting"]')`)
	c.usable(t, "away")
	c.must(t, c.w.start(t.Context()))
	c.waits(t, `document.body.dataset.server === "here" && !document.querySelector('.turn.me[data-state="waiting"]')`)
	c.waits(t, done+` && /web runs v1.9/.test(document.getElementById("log").textContent)`)
	c.replicas(t, "gateway", "3")
	// Neither the sentence nor the outcome came twice: not here, and not there.
	var turns struct {
		Turns []struct{ Who, Text, Action string }
	}
	b, err := fetch(t.Context(), c.url+"/api/v1/conversations/"+c.text(t, `sessionStorage.getItem("conversation")`))
	c.must(t, err, json.Unmarshal([]byte(b), &turns))
	var there []string
	for _, turn := range turns.Turns {
		there = append(there, fmt.Sprintf("%s%v", turn.Text, turn.Action != ""))
	}
	if len(there) != 4 || strings.Count(strings.Join(there, "|"), "how is web?") != 1 || strings.Count(strings.Join(there, "|"), "true") != 1 {
		t.Errorf("the server kept %q", there)
	}
	if n := c.text(t, `document.querySelectorAll(".turn.me").length + " " + document.querySelectorAll(".card").length + " " + document.querySelectorAll(".turn.bot:not(.card)").length`); n != "3 1 2" && n != "3 1 3" {
		t.Errorf("the page shows turns, cards, answers: %s", n)
	}
}
