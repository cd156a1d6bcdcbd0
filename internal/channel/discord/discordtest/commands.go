package discordtest

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

func permissions(p uint64) string { return strconv.FormatUint(p, 10) }

func (c *call) scope() (string, error) {
	if c.arg("application_id") != c.bot.id {
		return "", unknown("Application")
	}
	if g := c.arg("guild_id"); g != "" && g != c.guild {
		return "", refused(http.StatusForbidden, 50001, "Missing Access")
	}
	return c.arg("guild_id"), nil
}

func (c *call) getCommands() (int, any, error) {
	scope, err := c.scope()
	return http.StatusOK, maps2any(c.commands[scope]), err
}

// putCommands replaces all commands; those that keep their name keep their id.
func (c *call) putCommands() (int, any, error) {
	scope, err := c.scope()
	if err != nil {
		return 0, nil, err
	}
	if len(c.list) > 100 {
		return 0, nil, refused(http.StatusBadRequest, 30032, "Maximum number of application commands reached (100).")
	}
	var made []map[string]any
	seen := map[any]bool{}
	for i, each := range c.list {
		o, _ := each.(map[string]any)
		if seen[o["name"]] {
			return 0, nil, invalid(fmt.Sprintf("%d.name", i), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
		}
		seen[o["name"]] = true
		command, err := c.newCommand(o, scope, strconv.Itoa(i)+".")
		if err != nil {
			return 0, nil, err
		}
		made = append(made, command)
	}
	c.commands[scope] = made
	return http.StatusOK, maps2any(made), nil
}

// postCommand adds one, or replaces the one with this name.
func (c *call) postCommand() (int, any, error) {
	scope, err := c.scope()
	if err != nil {
		return 0, nil, err
	}
	command, err := c.newCommand(c.body, scope, "")
	if err != nil {
		return 0, nil, err
	}
	for i, o := range c.commands[scope] {
		if o["name"] == command["name"] {
			c.commands[scope][i] = command
			return http.StatusOK, command, nil
		}
	}
	c.commands[scope] = append(c.commands[scope], command)
	return http.StatusCreated, command, nil
}

func (c *call) newCommand(o map[string]any, scope, at string) (map[string]any, error) {
	out := maps.Clone(o)
	if out["type"] == nil {
		out["type"] = 1.0
	}
	if out["type"] == 1.0 {
		if err := checkCommand(o, at, true); err != nil {
			return nil, err
		}
		if n := commandSize(o); n > 8000 {
			return nil, invalid(at+"name", "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")
		}
	}
	out["id"] = c.snowflake()
	if old, ok := find(c.commands[scope], func(old map[string]any) bool { return old["name"] == o["name"] }); ok {
		out["id"] = old["id"]
	}
	out["application_id"], out["version"] = c.bot.id, c.snowflake()
	for k, v := range map[string]any{
		"name_localizations": nil, "description": "", "description_localizations": nil, "default_member_permissions": nil, "dm_permission": true, "nsfw": false,
		"integration_types": []any{0}, "contexts": nil,
	} {
		if out[k] == nil {
			out[k] = v
		}
	}
	if p, ok := out["default_member_permissions"].(float64); ok {
		out["default_member_permissions"] = permissions(uint64(p))
	}
	if scope != "" {
		out["guild_id"] = scope
	}
	if out["options"] == nil {
		delete(out, "options")
	}
	return out, nil
}

// checkCommand refuses names that nobody could type, and what excludes each other.
func checkCommand(o map[string]any, at string, top bool) error {
	name, _ := o["name"].(string)
	description, _ := o["description"].(string)
	switch {
	case !regexp.MustCompile(`^[-_'\p{L}\p{N}]{1,32}$`).MatchString(name) || strings.ToLower(name) != name:
		return invalid(at+"name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
	case top && description == "":
		return invalid(at+"description", "BASE_TYPE_REQUIRED", "This field is required")
	}
	options, _ := o["options"].([]any)
	seen, optional, nested, plain := map[any]bool{}, false, false, false
	for i, each := range options {
		v, _ := each.(map[string]any)
		where := fmt.Sprintf("%soptions.%d.", at, i)
		if err := checkCommand(v, where, false); err != nil {
			return err
		}
		required, _ := v["required"].(bool)
		choices, _ := v["choices"].([]any)
		auto, _ := v["autocomplete"].(bool)
		isNested := v["type"] == 1.0 || v["type"] == 2.0
		nested, plain = nested || isNested, plain || !isNested
		switch {
		case seen[v["name"]]:
			return invalid(where+"name", "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", "Option name already exists")
		case required && optional:
			return invalid(where+"required", "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", "Required options must be placed before non-required options")
		case auto && len(choices) > 0:
			return invalid(where+"autocomplete", "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_CHOICES", "Options with autocomplete have no choices.")
		case nested && plain:
			return invalid(where+"type", "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Sub-command and sub-command group option types are mutually exclusive to all other types")
		}
		seen[v["name"]], optional = true, optional || !required && !isNested
	}
	return nil
}

// commandSize counts names, descriptions and values, as Discord's limit of 8000 does.
func commandSize(o map[string]any) int {
	n := 0
	for _, k := range []string{"name", "description", "value"} {
		s, _ := o[k].(string)
		n += utf16Len(s)
	}
	for _, k := range []string{"options", "choices"} {
		within, _ := o[k].([]any)
		for _, each := range within {
			v, _ := each.(map[string]any)
			n += commandSize(v)
		}
	}
	return n
}

func maps2any(of []map[string]any) []any {
	out := []any{}
	for _, o := range of {
		out = append(out, o)
	}
	return out
}
