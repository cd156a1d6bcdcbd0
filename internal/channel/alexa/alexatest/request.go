package alexatest

import (
	"encoding/json"
	"time"
)

// Said is something said to the skill.
type Said struct {
	ID     string            // of the request
	Type   string            // "" is an IntentRequest
	Intent string            // its name
	Slots  map[string]string // what was said in them
	Locale string            // "" is en-US
	At     time.Time         // zero is now
	New    bool              // the first of a session
	Known  json.RawMessage   // the session's attributes

	User, UserToken     string
	Person, PersonToken string
	Application         string // "" is ApplicationID
	Endpoint            string // "" is Alexa's
}

// Body is the JSON that Alexa sends.
func (s Said) Body() []byte {
	or := func(v, otherwise string) string {
		if v == "" {
			return otherwise
		}
		return v
	}
	at := s.At
	if at.IsZero() {
		at = time.Now()
	}
	known := s.Known
	if known == nil {
		known = json.RawMessage("{}")
	}
	app := map[string]any{"applicationId": or(s.Application, ApplicationID)}
	user := map[string]any{"userId": or(s.User, "amzn1.ask.account.TEST")}
	if s.UserToken != "" {
		user["accessToken"] = s.UserToken
	}
	system := map[string]any{
		"application": app, "user": user, "device": map[string]any{"deviceId": "amzn1.ask.device.TEST"},
		"apiEndpoint": or(s.Endpoint, "https://api.amazonalexa.com"), "apiAccessToken": "the-token",
	}
	if s.Person != "" {
		person := map[string]any{"personId": s.Person}
		if s.PersonToken != "" {
			person["accessToken"] = s.PersonToken
		}
		system["person"] = person
	}
	request := map[string]any{
		"type": or(s.Type, "IntentRequest"), "requestId": or(s.ID, "amzn1.echo-api.request.1"),
		"timestamp": at.UTC().Format("2006-01-02T15:04:05Z"), "locale": or(s.Locale, "en-US"),
	}
	if s.Intent != "" {
		slots := map[string]any{}
		for name, v := range s.Slots {
			slots[name] = map[string]any{"name": name, "value": v, "confirmationStatus": "NONE", "source": "USER"}
		}
		request["intent"] = map[string]any{"name": s.Intent, "confirmationStatus": "NONE", "slots": slots}
	}
	b, err := json.Marshal(map[string]any{
		"version": "1.0",
		"session": map[string]any{"new": s.New, "sessionId": "amzn1.echo-api.session.1", "application": app, "attributes": known, "user": user},
		"context": map[string]any{"System": system},
		"request": request,
	})
	if err != nil {
		panic(err) // strings and booleans
	}
	return b
}
