package main

// DialogflowConfig is the Dialogflow webhooks.
type DialogflowConfig struct {
	PIN bool     `yaml:"pin" doc:"Whether a change through Dialogflow needs the person's PIN, whatever access.policies say: a session or a caller's number proves nobody. Leave it on unless they ask for it in a better way."`
	ES  ESConfig `yaml:"es"`
}

// ESConfig is the Dialogflow ES webhook; it is there once it has credentials.
type ESConfig struct {
	Username    string `yaml:"username" doc:"Basic authentication, as set in the agent's fulfillment page."`
	Password    Secret `yaml:"password" doc:"Basic authentication."`
	HeaderName  string `yaml:"header_name" doc:"Or a header of your own that the agent sends."`
	HeaderValue Secret `yaml:"header_value" doc:"The header's value."`
}

func dialogflowDefaults() DialogflowConfig { return DialogflowConfig{PIN: true} }
