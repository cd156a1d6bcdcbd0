package web

import (
	"embed"
	"fmt"
	"net/http"
)

//go:embed static login
var static embed.FS

// page is one file of the console.
type page struct{ name, contentType string }

// pages is the console by path.
var pages = map[string]page{
	"/{$}":        {"static/index.html", "text/html; charset=utf-8"},
	"/icon.svg":   {"static/icon.svg", "image/svg+xml"},
	"/base.css":   {"static/base.css", "text/css; charset=utf-8"},
	"/parts.css":  {"static/parts.css", "text/css; charset=utf-8"},
	"/account.js": {"static/account.js", "text/javascript; charset=utf-8"},
	"/api.js":     {"static/api.js", "text/javascript; charset=utf-8"},
	"/blocks.js":  {"static/blocks.js", "text/javascript; charset=utf-8"},
	"/card.js":    {"static/card.js", "text/javascript; charset=utf-8"},
	"/chart.js":   {"static/chart.js", "text/javascript; charset=utf-8"},
	"/dom.js":     {"static/dom.js", "text/javascript; charset=utf-8"},
	"/history.js": {"static/history.js", "text/javascript; charset=utf-8"},
	"/keys.js":    {"static/keys.js", "text/javascript; charset=utf-8"},
	"/log.js":     {"static/log.js", "text/javascript; charset=utf-8"},
	"/main.js":    {"static/main.js", "text/javascript; charset=utf-8"},
	"/outbox.js":  {"static/outbox.js", "text/javascript; charset=utf-8"},
	"/panels.js":  {"static/panels.js", "text/javascript; charset=utf-8"},
	"/stream.js":  {"static/stream.js", "text/javascript; charset=utf-8"},
	"/units.js":   {"static/units.js", "text/javascript; charset=utf-8"},
	"/voice.js":   {"static/voice.js", "text/javascript; charset=utf-8"},
}

// policy lets the page load its own files, call its own server and play the sound
// that it got from there, nothing else; with trusted types even a mistake in the
// script cannot make text of a cluster into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; media-src blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// permissions lets the page listen while somebody pushes to talk, and nothing else.
const permissions = "microphone=(self), camera=(), geolocation=(), display-capture=(), payment=(), usb=(), serial=(), hid=()"

func (p page) serve(w http.ResponseWriter, _ *http.Request) error {
	b, err := static.ReadFile(p.name)
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	h := w.Header()
	pageHeaders(h, p.contentType)
	h.Set("Cache-Control", "no-cache")
	_, err = w.Write(b)
	return err
}

// pageHeaders are those of everything that a browser shows.
func pageHeaders(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("Permissions-Policy", permissions)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
}
