package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/llm"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// LLMConfig is a language model that helps out.
type LLMConfig struct {
	URL       string        `yaml:"url" doc:"An API that talks as OpenAI's does, with its version: https://api.openai.com/v1, or a server of your own. What is asked below LEAVES THE HOUSE for that address: see docs/llm.md."`
	Key       Secret        `yaml:"key" doc:"The API key, where it wants one."`
	Model     string        `yaml:"model" doc:"The model."`
	Sentences bool          `yaml:"sentences" doc:"Whether sentences that the grammar does not know are sent there, with what looks like secrets masked, and with the names of workloads, namespaces, nodes and alerts that the speaker may know of. What comes back is held to the catalogue, said to be a guess, and never changes anything without a yes of its own."`
	Diagnoses bool          `yaml:"diagnoses" doc:"Whether the result of a diagnosis is sent there, with its facts (names, numbers, times, lines of logs and events, masked), to be worded for the eye. A sentence that says anything that the facts lack is dropped."`
	Timeout   time.Duration `yaml:"timeout" doc:"How long an answer may take; less where the channel has less time."`
	Answer    int           `yaml:"answer_tokens" doc:"Tokens of an answer, at most."`
	Turn      int           `yaml:"turn_tokens" doc:"Tokens of a question with its answer, at most. Counted by three letters a token, until the endpoint says."`
	Person    int           `yaml:"person_tokens" doc:"Tokens that one person, as a channel knows them, may use in a day (UTC), at most. This process counts them."`
	Day       int           `yaml:"day_tokens" doc:"Tokens that all together may use in a day, at most."`
}

func llmDefaults() LLMConfig {
	return LLMConfig{Timeout: 3 * time.Second, Answer: 400, Turn: 12_000, Person: 200_000, Day: 1_000_000}
}

func (c LLMConfig) on() bool { return c.Sentences || c.Diagnoses }

func (c LLMConfig) check() error {
	switch {
	case !c.on():
		return nil
	case !strings.HasPrefix(c.URL, "https://") && !strings.HasPrefix(c.URL, "http://"):
		return fault.New(fault.Usage, "llm.url is an address like https://api.openai.com/v1, and is needed for llm.sentences and llm.diagnoses.")
	case c.Model == "":
		return fault.New(fault.Usage, "llm.model is needed: the name of a model that llm.url knows.")
	case c.Timeout < 200*time.Millisecond || c.Timeout > time.Minute:
		return fault.New(fault.Usage, "llm.timeout is a duration like 3s.")
	case c.Answer < 50 || c.Turn <= c.Answer || c.Person < c.Turn || c.Day < c.Person:
		return fault.New(fault.Usage, "llm: answer_tokens, turn_tokens, person_tokens and day_tokens are each at least as much as the one before, and answer_tokens 50.")
	}
	return nil
}

func (c LLMConfig) endpoint(count llm.Count, log *slog.Logger) *llm.Endpoint {
	return llm.New(llm.Config{
		URL: c.URL, Key: string(c.Key), Model: c.Model, Timeout: c.Timeout, Answer: c.Answer,
		Budget: llm.Budget{Day: c.Day, Person: c.Person, Turn: c.Turn},
	}, &http.Client{}, time.Now, count, log)
}

// use has the model help out with what is switched on.
func (c LLMConfig) use(engine *dialogue.Engine, crew *skill.Crew, catalogue *intents.Catalogue, r llm.Reader, count llm.Count, log *slog.Logger) error {
	if !c.on() {
		return nil
	}
	e := c.endpoint(count, log)
	if c.Sentences {
		u, err := llm.NewUnderstander(e, catalogue, r, catalogue.Vocabulary())
		if err != nil {
			return err
		}
		engine.UseFallback(u)
	}
	if c.Diagnoses {
		crew.UseWording(llm.NewWordsmith(e))
	}
	return nil
}

// model says whether the language model answers, and how.
func (d *doctor) model(ctx context.Context, c LLMConfig) {
	if !c.on() {
		d.well("language model: off; sentences and diagnoses stay in the house")
		return
	}
	var sent []string
	if c.Sentences {
		sent = append(sent, "sentences that are not understood")
	}
	if c.Diagnoses {
		sent = append(sent, "diagnoses")
	}
	schema, err := c.endpoint(nil, slog.New(slog.DiscardHandler)).Probe(ctx)
	switch {
	case err != nil:
		d.fail(fault.Unavailable, "Check llm.url, llm.key and llm.model; until then what is not understood stays that.", "language model: %s: %s", c.URL, fault.Say(err))
	case !schema:
		d.warn("A model that takes json_schema is right more often.", "language model: %s answers at %s, with JSON but by no schema; there go %s", c.Model, c.URL, strings.Join(sent, " and "))
	default:
		d.well("language model: %s answers at %s, by schema; there go %s", c.Model, c.URL, strings.Join(sent, " and "))
	}
}
