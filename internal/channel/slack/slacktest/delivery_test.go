//go:build unix

package slacktest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
)

// envelope is what comes through a socket.
type envelope struct {
	ID      string `json:"envelope_id"`
	Type    string
	Reason  string
	Payload object
	Attempt int    `json:"retry_attempt"`
	Why     string `json:"retry_reason"`
	at      time.Time
}

// client is a bare one of Socket Mode.
type client struct {
	t    *testing.T
	s    *slacktest.Server
	ws   *websocket.Conn
	came chan envelope
}

func dial(t *testing.T, s *slacktest.Server) *client {
	t.Helper()
	to, _ := call(t, s, s.Config().AppToken, "apps.connections.open", object{})["url"].(string)
	ws, res, err := websocket.DefaultDialer.DialContext(t.Context(), to, http.Header{"Origin": {"https://api.slack.com"}})
	if err != nil {
		t.Fatal(err, res)
	}
	if _, res, err := websocket.DefaultDialer.DialContext(t.Context(), to, nil); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a URL for one connection took two: %v", err)
	}
	c := &client{t, s, ws, make(chan envelope, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.came)
		for {
			var e envelope
			if ws.ReadJSON(&e) != nil {
				return
			}
			e.at = s.Now()
			c.came <- e
		}
	}()
	t.Cleanup(func() {
		_ = ws.Close()
		<-done
	})
	if e := c.next(); e.Type != "hello" {
		t.Errorf("%+v", e)
	}
	return c
}

// next is the next envelope.
func (c *client) next() envelope {
	c.t.Helper()
	select {
	case e, ok := <-c.came:
		if !ok {
			c.t.Fatal("the connection is gone")
		}
		return e
	case <-time.After(20 * time.Second):
		c.t.Fatal("nothing came")
	}
	return envelope{}
}

// hurried gives an app the time that Slack gives it.
func hurried(c *slacktest.Config) { c.AckLimit = 3 * time.Second }

// pass lets the time pass until what is due within these bounds.
func pass(t *testing.T, s *slacktest.Server, least, most time.Duration) {
	t.Helper()
	for range 20000 {
		if d := s.NextAlarm(); d > least && d <= most {
			s.Advance(d)
			return
		}
		time.Sleep(time.Millisecond) // until Slack waits for it
	}
	t.Fatalf("nothing is due within %v", most)
}

func (c *client) ack(e envelope, payload any) {
	c.t.Helper()
	if err := c.ws.WriteJSON(object{"envelope_id": e.ID, "payload": payload}); err != nil {
		c.t.Fatal(err)
	}
}

func event(e envelope) object {
	ev, _ := e.Payload["event"].(object)
	return ev
}

func TestAnEventComesAgainUntilItIsAcknowledged(t *testing.T) {
	s := slacktest.New(t, hurried)
	c := dial(t, s)
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "hello")
	var all []envelope
	for attempt := range 4 {
		all = append(all, c.next())
		pass(t, s, 0, 3*time.Second) // for an acknowledgement
		if attempt == 1 || attempt == 2 {
			pass(t, s, 30*time.Second, 5*time.Minute)
		}
	}
	id := all[0].Payload["event_id"]
	for i, least := range []time.Duration{0, 2 * time.Second, 62 * time.Second, 302 * time.Second} {
		e := all[i]
		if gap := e.at.Sub(all[max(0, i-1)].at); gap < least || gap > least+30*time.Second {
			t.Errorf("attempt %d came %v after the one before", i, gap)
		}
		if e.Attempt != i || (e.Why == "timeout") != (i > 0) || e.Payload["event_id"] != id || i > 0 && e.ID == all[i-1].ID {
			t.Errorf("%+v", e)
		}
	}
	failures(t, s, 1)

	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "again")
	c.ack(c.next(), nil)
	s.Repeat()
	e := c.next()
	if c.ack(e, nil); e.Attempt != 1 || event(e)["text"] != "again" {
		t.Errorf("%+v", e)
	}

	// A command is not repeated; who used it sees that nobody answered.
	s.Command(slacktest.Alice, slacktest.General, "mate", nil)
	c.next()
	pass(t, s, 0, 3*time.Second)
	if got := failures(t, s, 2)[1]; got != "/mate: operation_timeout" {
		t.Error(got)
	}
}

// failures waits for so many.
func failures(t *testing.T, s *slacktest.Server, n int) []string {
	t.Helper()
	for range 20000 {
		if f := s.Failures(); len(f) >= n {
			return f
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d failures: %q", n, s.Failures())
	return nil
}

func TestEveryEnvelopeGoesToOneConnection(t *testing.T) {
	s := slacktest.New(t)
	a, b := dial(t, s), dial(t, s)
	const n = 40
	for i := range n {
		s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", strconv.Itoa(i))
	}
	var got []int
	byA := 0
	for range n {
		var e envelope
		select {
		case e = <-a.came:
			byA++
			a.ack(e, nil)
		case e = <-b.came:
			b.ack(e, nil)
		case <-time.After(20 * time.Second):
			t.Fatal("nothing came")
		}
		i, _ := strconv.Atoi(fmt.Sprint(event(e)["text"])) // -1 and 0 would show below
		got = append(got, i)
	}
	slices.Sort(got)
	if byA == 0 || byA == n || len(slices.Compact(got)) != n {
		t.Errorf("%d of %d by one connection: %v", byA, n, got)
	}

	// A warning is no goodbye.
	s.Warn()
	for _, c := range []*client{a, b} {
		if e := c.next(); e.Type != "disconnect" || e.Reason != "warning" {
			t.Errorf("%+v", e)
		}
	}
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "still here")
	select {
	case e := <-a.came:
		a.ack(e, nil)
	case e := <-b.came:
		b.ack(e, nil)
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}

	// A connection that is told to go gets nothing more, and what it had not
	// acknowledged comes again.
	s.Disconnect()
	if e := a.next(); e.Type != "disconnect" || e.Reason != "refresh_requested" {
		t.Errorf("%+v", e)
	}
	c := dial(t, s)
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "left open")
	c.next()
	s.Drop()
	d := dial(t, s)
	if e := d.next(); e.Attempt != 1 || event(e)["text"] != "left open" {
		t.Errorf("%+v", e)
	}
}

func TestSlackHearsWhatIsSaidAsItIs(t *testing.T) {
	s := slacktest.New(t)
	c := dial(t, s)
	take := func() envelope {
		e := c.next()
		c.ack(e, nil)
		return e
	}
	// Both events for a mention, none of them for a stranger's channel.
	s.Say(slacktest.Alice, s.AddChannel("elsewhere", false, slacktest.Alice), "", slacktest.BotMention)
	id := s.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" see grafana.example.com & https://example.com/?a=1&b=2 <b>")
	const want = "<@U0FIRSTMATE> see <http://grafana.example.com|grafana.example.com> &amp; <https://example.com/?a=1&amp;b=2> &lt;b&gt;"
	message, mention := event(take()), event(take())
	if message["type"] != "message" || mention["type"] != "app_mention" || message["ts"] != id || mention["ts"] != id || message["text"] != want || message["channel_type"] != "channel" {
		t.Errorf("%v\n%v", message, mention)
	}
	if ev := event(take()); ev["subtype"] != "message_changed" || ev["hidden"] != true { // the preview of the link
		t.Errorf("%v", ev)
	}
	// Who is of another workspace is told apart.
	mallory := s.AddPerson(slacktest.Person{Name: "mallory", Email: "alice@example.com", Team: "T0ELSEWHERE"})
	s.Say(mallory, slacktest.General, "", slacktest.BotMention)
	message, mention = event(take()), event(take())
	if message["user_team"] != "T0ELSEWHERE" || mention["team"] != "T0ELSEWHERE" {
		t.Errorf("%v\n%v", message, mention)
	}
	user, _ := call(t, s, s.Config().BotToken, "users.info", url.Values{"user": {mallory}})["user"].(object)
	if user["is_stranger"] != true || user["team_id"] != "T0ELSEWHERE" {
		t.Errorf("%v", user)
	}
	// The bot hears itself, and edits.
	call(t, s, s.Config().BotToken, "chat.postMessage", object{"channel": slacktest.General, "thread_ts": id, "text": "mine"})
	if ev := event(take()); ev["bot_id"] != slacktest.BotID || ev["thread_ts"] != id {
		t.Errorf("%v", ev)
	}
	s.Edit(slacktest.Alice, id, "never mind")
	if ev := event(take()); ev["subtype"] != "message_changed" {
		t.Errorf("%v", ev)
	}
	// What it did not subscribe to does not come.
	s.Change(func(c *slacktest.Config) { c.Events = []string{"app_mention"} })
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "hello")
	s.Say(slacktest.Alice, slacktest.General, id, slacktest.BotMention)
	if ev := event(take()); ev["type"] != "app_mention" || ev["thread_ts"] != id {
		t.Errorf("%v", ev)
	}
}

func TestWhomATextPings(t *testing.T) {
	s := slacktest.New(t)
	mrkdwn := func(text string, verbatim bool) object {
		return object{"type": "section", "text": object{"type": "mrkdwn", "text": text, "verbatim": verbatim}}
	}
	for _, c := range []struct {
		args                  object
		text, mentions, links string
	}{
		{object{"text": "a <!channel> <@U1|bob> <!subteam^S1> <#C1> <!date^1^{date}|then>"}, "a @channel bob @!subteam", "@channel U1 S1", ""},
		{object{"text": "a &lt;!channel&gt; @here a@b.example"}, "a <!channel> @here", "", ""},
		{object{"text": "a @here", "link_names": true}, "a @here", "@here", ""},
		{object{"text": "<https://evil.example/?a=1&amp;b|click>"}, "click", "", "https://evil.example/?a=1&b"},
		{object{"text": "x", "blocks": []any{mrkdwn("`<!everyone>` @here", false)}}, "`@everyone` @here", "@everyone @here", ""},
		{object{"text": "x", "blocks": []any{mrkdwn("@here evil.com", true)}}, "@here evil.com", "", ""},
		{object{"text": "x", "blocks": []any{mrkdwn("see evil.com", false)}}, "see evil.com", "", "evil.com"},
		{object{"text": "x", "blocks": []any{object{"type": "header", "text": plain("<!channel> <@U1>")}}}, "<!channel> <@U1>", "", ""},
		{object{"text": "x", "blocks": []any{rich(object{"type": "text", "text": "<!channel>"}, object{"type": "broadcast", "range": "here"})}}, "<!channel>@here", "@here", ""},
		{object{"text": "<@U2> in what is read out", "blocks": []any{object{"type": "divider"}}}, "", "U2", ""},
		{object{"text": "x", "blocks": []any{object{"type": "table", "rows": []any{[]any{object{"type": "raw_text", "text": "<!channel>"}, object{"type": "raw_text", "text": "b"}}}}}}, "<!channel>\tb", "", ""},
	} {
		c.args["channel"] = slacktest.General
		if out := call(t, s, s.Config().BotToken, "chat.postMessage", c.args); out["ok"] != true {
			t.Errorf("%v: %v", c.args, out)
			continue
		}
		all := s.Messages(slacktest.General, "")
		m := all[len(all)-1]
		if !strings.HasPrefix(m.Text, strings.TrimSuffix(c.text, "@!subteam")) || strings.Join(m.Mentions, " ") != c.mentions || strings.Join(m.Links, " ") != c.links {
			t.Errorf("%v: %q pings %q, links %q", c.args, m.Text, m.Mentions, m.Links)
		}
	}
}

func TestAResponseURLIsGoodForFiveAnswersInHalfAnHour(t *testing.T) {
	s := slacktest.New(t, hurried)
	c := dial(t, s)
	ask := func() string {
		s.Command(slacktest.Alice, slacktest.General, "mate", nil)
		e := c.next()
		c.ack(e, nil)
		to, _ := e.Payload["response_url"].(string)
		return to
	}
	post := func(to string) string {
		res, err := http.Post(to, "application/json", strings.NewReader(`{"text":"x"}`)) //nolint:noctx // of this test's server
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		return fmt.Sprintln(res.StatusCode, strings.TrimSpace(string(b)), err)
	}
	to := ask()
	for i := range 6 {
		if got, want := post(to), map[bool]string{true: "200 ok <nil>\n", false: `404 {"error":"used_url","ok":false} <nil>` + "\n"}[i < 5]; got != want {
			t.Errorf("use %d: %s", i, got)
		}
	}
	to = ask()
	s.Advance(31 * time.Minute)
	if got := post(to); !strings.Contains(got, "expired_url") {
		t.Error(got)
	}
	trigger := s.Trigger(slacktest.Alice)
	s.Advance(4 * time.Second)
	if out := call(t, s, s.Config().BotToken, "views.open", object{"trigger_id": trigger, "view": modal(nil)}); out["error"] != "expired_trigger_id" {
		t.Errorf("%v", out)
	}
	trigger = s.Trigger(slacktest.Alice)
	for _, want := range []any{nil, "exchanged_trigger_id"} {
		if out := call(t, s, s.Config().BotToken, "views.open", object{"trigger_id": trigger, "view": modal(nil)}); out["error"] != want {
			t.Errorf("%v, not %v", out, want)
		}
	}
}

func TestOverHTTPItComesAgainToo(t *testing.T) {
	type request struct {
		header http.Header
		body   string
	}
	came, status := make(chan request), make(chan int)
	over := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case came <- request{r.Header, string(b)}:
		case <-over:
			return
		}
		switch code := <-status; code {
		case 0: // it does not answer
			<-r.Context().Done()
		case http.StatusTeapot:
			w.Header().Set("X-Slack-No-Retry", "1")
			w.WriteHeader(code)
		default:
			w.WriteHeader(code)
		}
	}))
	defer app.Close()
	s := slacktest.New(t, hurried, func(c *slacktest.Config) {
		c.EventsURL, c.CommandsURL, c.InteractionsURL = app.URL, app.URL, app.URL
	})
	defer close(over)
	next := func(answer int) (r request) {
		select {
		case r = <-came:
			status <- answer
		case <-time.After(20 * time.Second):
			t.Fatal("nothing came")
		}
		return r
	}
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "hello")
	first := ""
	for i, want := range []struct {
		why    string
		answer int
	}{{"", 500}, {"http_error", 0}, {"http_timeout", 302}, {"http_error", 503}} {
		r := next(want.answer)
		if i == 0 {
			first = r.body
		}
		num := map[bool]string{true: "", false: strconv.Itoa(i)}[i == 0]
		if r.body != first || r.header.Get("X-Slack-Retry-Num") != num || r.header.Get("X-Slack-Retry-Reason") != want.why {
			t.Errorf("attempt %d: %v", i, r)
		}
		if i == 1 {
			pass(t, s, 0, 3*time.Second)
		}
		if i == 1 || i == 2 {
			pass(t, s, 30*time.Second, 5*time.Minute)
		}
	}
	failures(t, s, 1)
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "one")
	next(http.StatusTeapot)
	if got := failures(t, s, 2)[1]; got != "message.im: no_retry" {
		t.Error(got)
	}
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "two")
	if r := next(http.StatusOK); !strings.Contains(r.body, `"two"`) {
		t.Errorf("%v", r)
	}
}

// TestWhatComesLooksLikeSlacks holds what the fake sends against what Slack sent.
func TestWhatComesLooksLikeSlacks(t *testing.T) {
	s := slacktest.New(t)
	c := dial(t, s)
	bot := s.Config().BotToken
	sample := func(name string) (out object) {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err == nil {
			err = json.NewDecoder(bytes.NewReader(b)).Decode(&out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	next := func(kind string) object {
		for {
			e := c.next()
			c.ack(e, nil)
			if e.Type == kind && (kind != "events_api" || event(e)["type"] == "app_mention") {
				return e.Payload
			}
		}
	}
	s.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" hey")
	alike(t, "", sample("event_app_mention.json"), next("events_api"))

	out := call(t, s, bot, "chat.postEphemeral", object{"channel": slacktest.General, "user": slacktest.Alice, "text": "x", "blocks": []any{actions(button("a", object{"value": "v"}))}})
	s.Click(slacktest.Alice, fmt.Sprint(out["message_ts"]), "a")
	alike(t, "", sample("block_actions.json"), next("interactive"))

	s.Command(slacktest.Alice, slacktest.General, "mate", map[string]string{"text": "x"})
	command := next("slash_commands")
	b, err := os.ReadFile(filepath.Join("testdata", "slash-command.form"))
	if err != nil {
		t.Fatal(err)
	}
	for pair := range strings.SplitSeq(strings.TrimSpace(string(b)), "&") {
		if name, _, _ := strings.Cut(pair, "="); command[name] == nil && !strings.HasPrefix(name, "enterprise") {
			t.Errorf("a command without %s", name)
		}
	}

	call(t, s, bot, "views.open", object{"trigger_id": command["trigger_id"], "view": modal(nil)})
	sent := make(chan map[string]string)
	go func() { sent <- s.Submit(slacktest.Alice, map[string]string{"v": "test"}) }()
	alike(t, "", sample("view_submission.json"), next("interactive"))
	if wrong := <-sent; wrong != nil {
		t.Error(wrong)
	}
}

// alike reports what Slack sends and the fake does not: fields, and their kinds.
func alike(t *testing.T, at string, slacks, ours object) {
	t.Helper()
	for k, v := range slacks {
		at := at + "/" + k
		switch {
		// What concerns other kinds of workspaces, apps and inputs.
		case strings.HasPrefix(k, "enterprise"), slices.Contains([]string{"bot_access_token", "function_data", "interactivity", "text-block", "blocks", "emoji", "values", "close"}, k):
		case ours[k] == nil:
			t.Errorf("%s is missing", at)
		default:
			want, isObject := v.(object)
			got, weToo := ours[k].(object)
			if fmt.Sprintf("%T", v) != fmt.Sprintf("%T", ours[k]) {
				t.Errorf("%s is %T, and %T at Slack", at, ours[k], v)
			}
			if isObject && weToo {
				alike(t, at, want, got)
			}
			list, isList := v.([]any)
			mine, myList := ours[k].([]any)
			if isList && myList && len(list) > 0 && len(mine) > 0 {
				a, _ := list[0].(object)
				b, _ := mine[0].(object)
				alike(t, at+"/0", a, b)
			}
		}
	}
}
