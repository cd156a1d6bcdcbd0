// Package browser is a real Chromium, without a window, that uses the web
// console as a person would: with keys, a pointer and a microphone. chromedp
// drives it, which needs nothing but the Go module and a Chromium.
package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Find is the path of a Chromium on this machine; "" where there is none.
func Find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}

// Browser is a running Chromium.
type Browser struct {
	ctx   context.Context
	close []context.CancelFunc
}

// Start starts a Chromium that keeps its files in dir. What its microphone hears
// is the recording, a WAV file, once; "" is silence.
func Start(ctx context.Context, program, dir, recording string) (*Browser, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(time.Minute), // on a machine that has other things to do
		chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	if recording != "" {
		options = append(options, chromedp.Flag("use-file-for-fake-audio-capture", recording+"%noloop"))
	}
	allocator, stop := chromedp.NewExecAllocator(ctx, options...)
	root, leave := chromedp.NewContext(allocator)
	b := &Browser{root, []context.CancelFunc{leave, stop}}
	if err := chromedp.Do(root); err != nil {
		b.Close()
		return nil, fmt.Errorf("browser: %w", err)
	}
	return b, nil
}

// Close ends the browser and waits for it.
func (b *Browser) Close() {
	_ = chromedp.Cancel(b.ctx) // ended already, or killed below
	for _, c := range b.close {
		c()
	}
}

// View is on what somebody looks at a page.
type View struct {
	Width, Height int64
	Dark, Phone   bool
	Scale         float64 // pixels a point; 0 is 1
}

// Desktop and Phone are two that are common.
func Desktop(dark bool) View { return View{Width: 1360, Height: 860, Dark: dark} }

// Phone is a narrow screen that is touched.
func Phone(dark bool) View { return View{Width: 390, Height: 844, Dark: dark, Phone: true} }

// Page is one tab of one person: nothing is shared with other pages.
type Page struct {
	ctx  context.Context
	shut context.CancelFunc
	mu   sync.Mutex
	said []string
	// Expected says of a complaint that it belongs to what is being tried.
	Expected func(complaint string) bool
}

// Page opens a tab, in a profile of its own.
func (b *Browser) Page(v View) (*Page, error) {
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	p := &Page{ctx: ctx, shut: cancel}
	messages := chromedp.Console(ctx)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		return nil, fmt.Errorf("browser: opening a page: %w", err)
	}
	go func() { // ends with the page
		for m, err := range messages {
			if err != nil {
				return
			}
			p.note(m)
		}
	}()
	return p, p.Look(v)
}

// Close closes the tab, and forgets what belongs to it.
func (p *Page) Close() { p.shut() }

// note keeps what a person would find amiss in the console of the browser.
func (p *Page) note(m chromedp.ConsoleMessage) {
	switch m.Type {
	case chromedp.ConsoleError, chromedp.ConsoleException, chromedp.ConsoleWarning, "assert":
	default:
		return
	}
	said := fmt.Sprintf("%s: %s (%s)", m.Type, m.Text, m.URL)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Expected == nil || !p.Expected(said) {
		p.said = append(p.said, said)
	}
}

// Complaints are the errors and warnings of the page so far: of its scripts, of
// what could not be loaded, and of what its policy forbade.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.said...)
}

// Look changes the screen, or the light.
func (p *Page) Look(v View) error {
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	if v.Scale == 0 {
		v.Scale = 1
	}
	if _, err := chromedp.Call(p.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.Width, Height: v.Height, DeviceScaleFactor: v.Scale, Mobile: v.Phone}); err != nil {
		return err
	}
	if _, err := chromedp.Call(p.ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: v.Phone}); err != nil {
		return err
	}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	return err
}

// Open goes to an address.
func (p *Page) Open(url string) error { return chromedp.Do(p.ctx, chromedp.Navigate(url)) }

// Eval runs a script in the page and waits for its value, which goes into out,
// unless that is nil.
func (p *Page) Eval(script string, out any) error {
	b, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]byte](script, chromedp.EvalAwaitPromise))
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// Wait waits until an expression of the page is true.
func (p *Page) Wait(expression string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		var is bool
		err := p.Eval("Boolean("+expression+")", &is)
		if is {
			return nil
		}
		if time.Now().After(deadline) || p.ctx.Err() != nil {
			var text string
			_ = p.Eval("document.body.innerText", &text) // only to explain
			return fmt.Errorf("browser: not within %v: %s (%w); the page shows:\n%s\nand complains:\n%s", limit, expression, err, text, strings.Join(p.Complaints(), "\n"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Settled waits until what was changed is painted.
func (p *Page) Settled() error {
	return p.Eval("new Promise((done) => requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(done), 60)))", nil)
}

// Type types words where the focus is, as a keyboard does.
func (p *Page) Type(words string) error { return chromedp.Do(p.ctx, chromedp.KeyEvent(words)) }

// named are the keys that type nothing, or whose name is no sign, with the codes
// that browsers know them by.
func named(name string) (key, code, text string, number int64) {
	switch name {
	case "Enter":
		return "Enter", "Enter", "\r", 13
	case "Tab":
		return "Tab", "Tab", "", 9
	case "Escape":
		return "Escape", "Escape", "", 27
	case "Home", "End", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown":
		return name, name, "", map[string]int64{"End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[name]
	case "Space":
		return " ", "Space", " ", 32
	}
	upper := strings.ToUpper(name)
	if name == upper && name != strings.ToLower(name) || strings.ContainsAny(name, "?/") {
		return name, map[string]string{"?": "Slash", "/": "Slash"}[name], name, 0
	}
	return name, "Key" + upper, name, int64(upper[0])
}

// Press presses one key after the other: "Enter", "Tab", "Shift+Tab", "Alt+n", "?".
func (p *Page) Press(keys ...string) error {
	for _, key := range keys {
		var mods kb.Modifier
		for {
			mod, rest, ok := strings.Cut(key, "+")
			if !ok || rest == "" {
				break
			}
			mods |= map[string]kb.Modifier{"Shift": kb.ModifierShift, "Alt": kb.ModifierAlt, "Control": kb.ModifierCtrl}[mod]
			key = rest
		}
		name, code, text, number := named(key)
		if mods&(kb.ModifierAlt|kb.ModifierCtrl) != 0 {
			text = ""
		}
		// With its text, so that a page that forbids what a key does forbids its sign too.
		e := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Modifiers: int64(mods), Key: name, Code: code, Text: text, WindowsVirtualKeyCode: number}
		if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, e); err != nil {
			return err
		}
		e.Type, e.Text = input.DispatchKeyEventTypeKeyUp, ""
		if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, e); err != nil {
			return err
		}
	}
	return nil
}

// Hold holds the space bar for as long as f takes.
func (p *Page) Hold(f func() error) error {
	name, code, text, number := named("Space")
	space := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: name, Code: code, WindowsVirtualKeyCode: number, Text: text}
	if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, space); err != nil {
		return err
	}
	err := f()
	space.Type, space.Text = input.DispatchKeyEventTypeKeyUp, ""
	_, up := chromedp.Call(p.ctx, input.DispatchKeyEvent, space)
	return errors.Join(err, up)
}

// clickLimit is how long something to click may take to be seen.
const clickLimit = 30 * time.Second

// place finds the middle of the first element of a selector, once it can be seen, stands
// still and nothing lies over it; null until then.
const place = `(async (selector) => {
	const e = document.querySelector(selector);
	if (!e || e.disabled || !e.checkVisibility({visibilityProperty: true})) return null;
	e.scrollIntoView({block: "nearest", behavior: "instant"});
	const at = () => { const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2}; };
	const was = at();
	await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
	const now = at();
	const top = document.elementFromPoint(now.x, now.y);
	return e.isConnected && was.x === now.x && was.y === now.y && top && (e === top || e.contains(top)) ? now : null;
})`

// Click clicks the first element that a selector finds, once it can be seen. It is the
// place that is clicked, as a pointer does: a page may draw an element anew meanwhile.
func (p *Page) Click(selector string) error {
	quoted, err := json.Marshal(selector)
	if err != nil {
		return err
	}
	var at *struct{ X, Y float64 }
	for deadline := time.Now().Add(clickLimit); at == nil; {
		if err = p.Eval(place+"("+string(quoted)+")", &at); at != nil {
			break
		}
		if time.Now().After(deadline) || p.ctx.Err() != nil {
			return errors.Join(fmt.Errorf("browser: %s is not there to be clicked", selector), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, what := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		e := input.DispatchMouseEventParams{Type: what, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: 1}
		if _, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, e); err != nil {
			return err
		}
	}
	return nil
}

// Finding is what keeps somebody from using a page.
type Finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// Axe looks at the page as it is, with axe-core, whose source this is.
func (p *Page) Axe(source string) ([]Finding, error) {
	var there bool
	if err := p.Eval("Boolean(window.axe)", &there); err != nil {
		return nil, err
	}
	if !there {
		if err := p.Eval(source+";0", nil); err != nil {
			return nil, fmt.Errorf("browser: axe-core: %w", err)
		}
	}
	var text string
	err := p.Eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.map(({id, impact, help, nodes}) => ({id, impact, help, nodes: nodes.slice(0, 3)}))))`, &text)
	if err != nil {
		return nil, fmt.Errorf("browser: axe-core: %w", err)
	}
	var out []Finding
	return out, json.Unmarshal([]byte(text), &out)
}

// Shot writes what is to be seen as a PNG.
func (p *Page) Shot(file string) error {
	r, err := chromedp.Call(p.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	if err != nil {
		return err
	}
	return os.WriteFile(file, r.Data, 0o600)
}
