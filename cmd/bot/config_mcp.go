package main

import (
	"regexp"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/mcp"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// MCPConfig is who may call the tools over HTTP; they are there once somebody may.
type MCPConfig struct {
	Clients  []MCPClient   `yaml:"clients" doc:"Programs that may call the tools at /mcp, a list of {name, token_sha256}: the hash that sha256sum prints of a long random token. Each is the speaker mcp:name under access.people. Empty: only “bot mcp”, over standard input and output."`
	Patience time.Duration `yaml:"patience" doc:"How long a call that agrees to a change waits for how it ends."`
}

// MCPClient is one of them.
type MCPClient struct {
	Name  string `yaml:"name"`
	Token string `yaml:"token_sha256"`
}

func mcpDefaults() MCPConfig { return MCPConfig{Patience: 25 * time.Second} }

// clientName is what a client may be called: it is part of ids.
var clientName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c MCPConfig) check() error {
	_, err := c.clients()
	if err == nil && (c.Patience < 0 || c.Patience > time.Minute) {
		err = fault.New(fault.Usage, "mcp.patience is at most a minute: clients do not wait longer.")
	}
	return err
}

// clients are those who may call.
func (c MCPConfig) clients() ([]mcp.Client, error) {
	var out []mcp.Client
	names, hashes := map[string]bool{}, map[[32]byte]bool{}
	for i, cl := range c.Clients {
		sum, err := mcp.ParseHash(cl.Token)
		switch {
		case !clientName.MatchString(cl.Name):
			return nil, fault.New(fault.Usage, "mcp.clients: client %d: a name has letters, digits, dots, underscores and dashes, at most 64.", i+1)
		case err != nil:
			return nil, fault.Wrap(err, fault.Usage, "mcp.clients: %s: %s.", cl.Name, fault.Say(err))
		case names[cl.Name]:
			return nil, fault.New(fault.Usage, "mcp.clients: there are two called %s.", cl.Name)
		case hashes[sum]:
			return nil, fault.New(fault.Usage, "mcp.clients: %s has the token of another one. Give each its own.", cl.Name)
		}
		names[cl.Name], hashes[sum] = true, true
		out = append(out, mcp.Client{Name: cl.Name, SHA256: sum})
	}
	return out, nil
}
