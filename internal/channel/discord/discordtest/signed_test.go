package discordtest

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/peers"
)

// endpoint is a bot that takes interactions over HTTP.
func endpoint(t *testing.T, s *Server, careless bool, answer func(http.ResponseWriter, map[string]any)) string {
	t.Helper()
	key, err := hex.DecodeString(s.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		signature, err := hex.DecodeString(r.Header.Get("X-Signature-Ed25519"))
		if err != nil {
			t.Error(err)
		}
		if !careless && !ed25519.Verify(key, append([]byte(r.Header.Get("X-Signature-Timestamp")), body...), signature) {
			http.Error(w, "invalid request signature", http.StatusUnauthorized)
			return
		}
		var o map[string]any
		if err := json.Unmarshal(body, &o); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		if o["type"] == 1.0 {
			_, _ = io.WriteString(w, `{"type":1}`)
			return
		}
		answer(w, o)
	}))
	t.Cleanup(web.Close)
	return web.URL
}

// TestOverHTTP delivers interactions by signed POST, and takes the answers there.
func TestOverHTTP(t *testing.T) {
	s := New(t, Patience(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.UseEndpoint(ctx, endpoint(t, s, true, nil)); err == nil {
		t.Error("who takes wrong signatures is taken")
	}
	heard := make(chan map[string]any, 10)
	answers := make(chan string, 10)
	if err := s.UseEndpoint(ctx, endpoint(t, s, false, func(w http.ResponseWriter, o map[string]any) {
		heard <- o
		switch a := <-answers; {
		case a == "202":
			w.WriteHeader(http.StatusAccepted)
		case a == "500":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			_, _ = io.WriteString(w, a)
		}
	})); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "PUT", "/applications/"+s.Bot()+"/commands", l{m{"name": "list", "description": "lists"}}); got.status != 200 {
		t.Fatal(got)
	}
	s.Roles("alice", "ops")
	answers <- `{"type":4,"data":{"content":"here","components":[{"type":1,"components":[{"type":2,"style":1,"label":"More","custom_id":"more"}]}]}}`
	id := s.Command("alice", "ops", "list", nil)
	if got, err := s.Answered(ctx, id); err != nil || got.Answer != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	o := <-heard
	if roles := o["member"].(map[string]any)["roles"].([]any); len(roles) != 1 || roles[0] != s.Role("ops") || o["guild_id"] != s.Guild() || o["user"] != nil {
		t.Errorf("%v", o)
	}
	answers <- `{"type":6}`
	s.Repeat() // the same interaction, which was answered
	if again := <-heard; again["id"] != o["id"] {
		t.Errorf("%v", again)
	}
	if all := s.Messages("ops", ""); len(all) != 1 || all[0].Text != "here" {
		t.Errorf("%+v", all)
	}

	answers <- "202"
	id = s.Click("alice", s.Messages("ops", "")[0].ID, "more")
	o = <-heard
	if got := ask(t, s, "POST", "/interactions/"+id+"/"+o["token"].(string)+"/callback", m{"type": 7, "data": m{"content": "there", "components": l{}}}); got.status != 204 {
		t.Errorf("%v", got)
	}
	if all := s.Messages("ops", ""); all[0].Text != "there" || len(all[0].Buttons) != 0 {
		t.Errorf("%+v", all)
	}
	for name, answer := range map[string]string{
		"status 500": "500", "BASE_TYPE_MAX_LENGTH": `{"type":4,"data":{"content":"` + strings.Repeat("x", 2001) + `"}}`, "UNKNOWN_FIELD": `{"type":4,"data":{"text":"hi"}}`,
	} {
		answers <- answer
		if _, err := s.Answered(ctx, s.Command("alice", "ops", "list", nil)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		<-heard
	}
}

// TestWhoDoesNotAnswer: after the time that an interaction has, it failed.
func TestWhoDoesNotAnswer(t *testing.T) {
	s := New(t, Patience(50*time.Millisecond))
	stop := make(chan struct{})
	address := endpoint(t, s, false, func(http.ResponseWriter, map[string]any) { <-stop })
	t.Cleanup(func() { close(stop) })
	s.endpoint = address
	if got := ask(t, s, "PUT", "/applications/"+s.Bot()+"/commands", l{m{"name": "list", "description": "lists"}}); got.status != 200 {
		t.Fatal(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Answered(ctx, s.Command("alice", "ops", "list", nil)); err == nil || !strings.Contains(err.Error(), "deadline") || ctx.Err() != nil {
		t.Errorf("without an answer: %v", err)
	}
}

// TestTheSignatureIsDiscords has Discord's own library look at what is sent.
func TestTheSignatureIsDiscords(t *testing.T) {
	s := New(t)
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(peers.Node(t, "discord"), "verify.js"))
	var questions []string
	for _, change := range []func(map[string]string){
		func(map[string]string) {},
		func(q map[string]string) { q["body"] += " " },
		func(q map[string]string) { q["timestamp"] = "1" },
		func(q map[string]string) { q["key"] = strings.Repeat("0", 64) },
	} {
		q := map[string]string{"body": `{"type":1,"text":"ü"}`, "key": s.PublicKey()}
		q["timestamp"], q["signature"] = s.Sign(time.Now(), []byte(q["body"]))
		change(q)
		line, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		questions = append(questions, string(line))
	}
	cmd.Stdin = strings.NewReader(strings.Join(questions, "\n"))
	out, err := cmd.Output()
	if err != nil || strings.Join(strings.Fields(string(out)), " ") != "true false false false" {
		t.Errorf("%s, %v", out, err)
	}
}
