package alexa

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/channel/alexa/alexatest"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/export"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// TestWhatComesTooLateIsToldFirst has the real engine take longer than Alexa
// waits: the answer is told once, before whatever is said next, also in another
// session.
func TestWhatComesTooLateIsToldFirst(t *testing.T) {
	if testing.Short() {
		t.Skip("waits as long as Alexa does: run without -short")
	}
	st, err := store.OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	found := make(chan struct{})
	answers := func(says string) dialogue.HandlerFunc {
		return func(context.Context, *dialogue.Turn) (dialogue.Reply, error) {
			return dialogue.Reply{Speech: says, Text: says, Outcome: dialogue.OutcomeNone}, nil
		}
	}
	inv := intents.NewInventory(intents.InventoryData{Namespaces: []string{"shop"}, Workloads: []intents.Workload{{Name: "web", Namespace: "shop"}}})
	e := dialogue.NewEngine(english(), intents.NewRecognizer(english()), func(context.Context, []string) (*intents.Inventory, error) { return inv, nil }, st,
		map[string]dialogue.Handler{
			"status": answers("Web is fine."),
			"diagnose": dialogue.HandlerFunc(func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
				<-found
				return answers("The database is slow.")(ctx, t)
			}),
		}, dialogue.NewHub(), nil, slog.New(slog.DiscardHandler))
	h := (&skill{engine: e, keeper: e}).handler(t)
	n := 0
	ask := func(text string) string {
		n++
		return say(t, h, alexatest.Said{ID: fmt.Sprintf("amzn1.echo-api.request.%d", n), Intent: anything, Slots: map[string]string{anythingSlot: text}, New: true}).speech()
	}
	began := time.Now()
	if got := ask("why is web slow"); !strings.Contains(got, "still at it") {
		t.Errorf("while it looks: %q", got)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	close(found)
	var told []string
	deadline := time.Now().Add(30 * time.Second)
	for len(told) == 0 || !strings.Contains(told[len(told)-1], "database") {
		if time.Now().After(deadline) {
			t.Fatalf("never told: %q", told)
		}
		told = append(told, ask("how is web"))
	}
	if last := told[len(told)-1]; last != "The database is slow. Web is fine." {
		t.Errorf("told as %q", last)
	}
	if again := ask("how is web"); again != "Web is fine." {
		t.Errorf("told again: %q", again)
	}
}

// TestAlexaIsToldTheNames holds that what exists now can be understood, within
// what Alexa takes.
func TestAlexaIsToldTheNames(t *testing.T) {
	names := Names{Workloads: []string{"web", "payments-api", "redis_cache.v2"}, Namespaces: []string{"shop"}}
	for i := range 150 {
		names.Workloads = append(names.Workloads, fmt.Sprintf("worker-%d", i))
		names.Namespaces = append(names.Namespaces, fmt.Sprintf("team-%d", i))
	}
	s := &skill{engine: channeltest.NewEngine(nil), names: func(context.Context) Names { return names }}
	h := s.handler(t)
	r := say(t, h, alexatest.Said{Type: "LaunchRequest", New: true})
	b, err := json.Marshal(r.Response.Directives)
	if err != nil {
		t.Fatal(err)
	}
	var got []dynamicEntities
	if err := json.Unmarshal(b, &got); err != nil || len(got) != 1 || got[0].Type != "Dialog.UpdateDynamicEntities" || got[0].UpdateBehavior != "REPLACE" || len(got[0].Types) != 2 {
		t.Fatalf("%v: %s", err, b)
	}
	values, said := 0, map[string]string{}
	for _, typ := range got[0].Types {
		for _, v := range typ.Values {
			values += 1 + len(v.Name.Synonyms)
			said[v.Name.Value] = typ.Name + " " + v.ID
		}
	}
	if values > maxEntities || said["payments api"] != "Workload payments-api" || said["shop"] != "Namespace shop" {
		t.Errorf("%d values: %v", values, said)
	}
	if r := say(t, h, alexatest.Said{Intent: "status"}); len(r.Response.Directives) != 0 {
		t.Errorf("told again within a session: %+v", r.Response.Directives)
	}
	s.names = func(context.Context) Names { return Names{} }
	if r := say(t, s.handler(t), alexatest.Said{Type: "LaunchRequest", New: true}); len(r.Response.Directives) != 0 {
		t.Errorf("nothing is told of nothing: %+v", r.Response.Directives)
	}
	// The types are those of the model.
	files, _, err := export.Alexa(english(), export.AlexaEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{workloadType, namespaceType} {
		if !strings.Contains(string(files["interactionModels/custom/en-US.json"]), `"name": "`+typ+`"`) {
			t.Errorf("the model has no type %s", typ)
		}
	}
}
