package web

import (
	"embed"
	"fmt"
	"net/http"
)

//go:embed static
var static embed.FS

// page is one file of the console.
type page struct{ name, contentType string }

// pages is the console by path.
var pages = map[string]page{
	"/{$}":       {"static/index.html", "text/html; charset=utf-8"},
	"/app.js":    {"static/app.js", "text/javascript; charset=utf-8"},
	"/style.css": {"static/style.css", "text/css; charset=utf-8"},
}

// policy lets the page load its own files, call its own server and show and play
// what it got from there, nothing else; with trusted types even a mistake in the script cannot make text of a
// cluster into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob:; media-src blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// permissions lets the page listen while somebody pushes to talk, and nothing else.
const permissions = "microphone=(self), camera=(), geolocation=(), display-capture=(), payment=(), usb=(), serial=(), bluetooth=(), hid=()"

func (p page) serve(w http.ResponseWriter, _ *http.Request) error {
	b, err := static.ReadFile(p.name)
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", p.contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("Permissions-Policy", permissions)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	_, err = w.Write(b)
	return err
}
