package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

// TestWithoutWhatSpeaks: the story is told where nothing can be said or heard, at the
// pace of a telephone, and says what is missing and how to have it.
func TestWithoutWhatSpeaks(t *testing.T) {
	var out strings.Builder
	s := newStudio(offline.Tools{}, t.TempDir(), "slt", &out)
	defer s.close()
	if how := s.how(); !strings.HasPrefix(how, "VOICE=none: not installed: flite, espeak-ng") || !strings.Contains(how, "make speech") || !strings.Contains(how, "shown only") {
		t.Error(how)
	}
	if hears := s.hears(); !strings.HasPrefix(hears, "EARS=none: ") || !strings.Contains(hears, "pocketsphinx") || !strings.Contains(hears, "make speech") || !strings.Contains(hears, "taken as said") {
		t.Error(hears)
	}
	began := time.Now()
	heard, sure, err := s.person().Hear(t.Context(), "roll it back", nil)
	if err != nil || heard != "roll it back" || sure < 0.9 {
		t.Errorf("%q %g %v", heard, sure, err)
	}
	if over, err := s.bot().Speak(t.Context(), "Hello."); err != nil || over != "Hello." {
		t.Errorf("%q %v", over, err)
	}
	if took := time.Since(began); took < time.Second { // four words, of 150 a minute
		t.Errorf("it took %s: nobody could read that", took)
	}
}

// TestEspeakStandsIn: without flite it is spoken all the same, and said by whom.
func TestEspeakStandsIn(t *testing.T) {
	tools := offline.Find(os.Getenv)
	if tools.Espeak == "" {
		t.Skip("espeak-ng is not installed; run make speech")
	}
	tools.Flite = ""
	dir := t.TempDir()
	var out strings.Builder
	s := newStudio(tools, dir, "slt", &out)
	defer s.close()
	s.player = nil
	if how := s.how(); !strings.HasPrefix(how, "VOICE=files") || !strings.Contains(how, "espeak-ng") {
		t.Error(how)
	}
	if _, err := s.bot().Speak(t.Context(), "Hello."); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "01-bot.wav")); err != nil || len(b) < 5000 {
		t.Errorf("%d bytes of sound, %v", len(b), err)
	}
}
