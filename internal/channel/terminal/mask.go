package terminal

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// bullet stands on the screen in the place of a key that must not be seen.
const bullet = "•"

// mask hides what is typed while a PIN is asked for: the line editor sees, shows and
// remembers bullets, and the line is put together from what was typed aside.
type mask struct {
	mu    sync.Mutex
	on    bool
	typed []rune
}

// set hides from now on, or hides no more.
func (m *mask) set(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on, m.typed = on, nil
}

// key takes in a key before the line editor does; see term.Terminal.
func (m *mask) key(line string, pos int, key rune) (newLine string, newPos int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on || key < ' ' || key == utf8.RuneError || key >= 0xd800 && key <= 0xdfff+0xff || pos != len(line) {
		return "", 0, false // no character, a key of the editor's own, or not at the end
	}
	m.keep(line)
	m.typed = append(m.typed, key)
	line += bullet
	return line, len(line), true
}

// keep forgets what was typed and taken back.
func (m *mask) keep(line string) {
	m.typed = m.typed[:min(len(m.typed), strings.Count(line, bullet))]
}

// line is what was typed where the line editor knows bullets only.
func (m *mask) line(shown string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !masked(shown) {
		return shown
	}
	m.keep(shown)
	line := string(m.typed)
	m.typed = nil
	return line
}

// masked reports whether a line is bullets only.
func masked(line string) bool {
	return strings.Contains(line, bullet) && strings.Trim(line, bullet) == ""
}
