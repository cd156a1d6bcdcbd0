package export

import (
	"net/url"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// alexaLocales are the kinds of English that the skill is made for.
func alexaLocales() []string { return []string{"en-GB", "en-US"} }

// alexaDialog lets the endpoint ask for a slot by itself.
type alexaDialog struct {
	DelegationStrategy string              `json:"delegationStrategy"`
	Intents            []alexaDialogIntent `json:"intents"`
}

type alexaDialogIntent struct {
	Name                 string            `json:"name"`
	DelegationStrategy   string            `json:"delegationStrategy"`
	ConfirmationRequired bool              `json:"confirmationRequired"`
	Prompts              struct{}          `json:"prompts"`
	Slots                []alexaDialogSlot `json:"slots"`
}

type alexaDialogSlot struct {
	Name                 string           `json:"name"`
	Type                 string           `json:"type"`
	ConfirmationRequired bool             `json:"confirmationRequired"`
	ElicitationRequired  bool             `json:"elicitationRequired"`
	Prompts              alexaElicitation `json:"prompts"`
}

type alexaElicitation struct {
	Elicitation string `json:"elicitation"`
}

type alexaPrompt struct {
	ID         string           `json:"id"`
	Variations []alexaVariation `json:"variations"`
}

type alexaVariation struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// alexaAsks makes “anything” an intent whose words the endpoint can ask for: an
// answer to a question arrives as it was said, with no carrier phrase before it.
// The endpoint manages the dialog itself, so that the prompt is only a last resort.
func alexaAsks() (alexaDialog, []alexaPrompt) {
	const prompt = "Elicit.Slot.anything.text"
	return alexaDialog{DelegationStrategy: "SKILL_RESPONSE", Intents: []alexaDialogIntent{{
			Name: anything, DelegationStrategy: "SKILL_RESPONSE",
			Slots: []alexaDialogSlot{{Name: "text", Type: "AMAZON.SearchQuery", ElicitationRequired: true, Prompts: alexaElicitation{prompt}}},
		}}},
		[]alexaPrompt{{prompt, []alexaVariation{{"PlainText", "What do you say?"}, {"PlainText", "What shall I do?"}}}}
}

// AlexaEndpoint stands for the address of an endpoint that nobody named.
const AlexaEndpoint = "https://firstmate.example.com/webhooks/alexa"

// alexaManifest is the file skill.json of a skill package: a private skill, whose
// requests come to the endpoint, and which is told the voice that Alexa recognised.
func alexaManifest(endpoint string) ([]byte, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Port() != "" && u.Port() != "443" || u.User != nil {
		return nil, fault.New(fault.Usage, "Alexa calls an https address on port 443, like %s, not %q.", AlexaEndpoint, endpoint)
	}
	name := strings.ToUpper(alexaInvocation[:1]) + alexaInvocation[1:]
	published, private := map[string]any{}, map[string]any{}
	for _, locale := range alexaLocales() {
		published[locale] = map[string]any{
			"name":        name,
			"summary":     "Asks your Kubernetes clusters how they are, and changes them after a yes.",
			"description": "First mate answers what runs, what is slow and why, rolls out, scales and rolls back. Every change is read back first, done after a yes and your PIN, as you and with your rights. It works with the firstmate that you run yourself.",
			"examplePhrases": []string{
				"Alexa, open " + alexaInvocation, "Alexa, ask " + alexaInvocation + " why is checkout slow", "Alexa, ask " + alexaInvocation + " for the status of web",
			},
			"keywords": []string{"kubernetes", "operations", "on call"},
		}
		private[locale] = map[string]any{}
	}
	return encode(map[string]any{"manifest": map[string]any{
		"manifestVersion": "1.0",
		"apis": map[string]any{"custom": map[string]any{
			"endpoint":   map[string]any{"uri": endpoint, "sslCertificateType": "Trusted"},
			"interfaces": []any{},
		}},
		"permissions": []any{map[string]any{"name": "alexa::person_id:read"}},
		"publishingInformation": map[string]any{
			"locales": published, "category": "ORGANIZERS_AND_ASSISTANTS", "distributionMode": "PRIVATE", "isAvailableWorldwide": false,
			"distributionCountries": []string{"GB", "US"},
			"testingInstructions":   "Run firstmate as docs/alexa.md says, then: Alexa, open " + alexaInvocation + ".",
		},
		"privacyAndCompliance": map[string]any{
			"allowsPurchases": false, "usesPersonalInfo": true, "isChildDirected": false, "isExportCompliant": true, "containsAds": false, "locales": private,
		},
	}})
}
