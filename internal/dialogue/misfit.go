package dialogue

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

var (
	nodeRequest  = regexp.MustCompile(`^(?:please )?(drain|cordon|uncordon) (?:the )?(nodes? )?([a-z0-9][a-z0-9.-]*(?:(?:, and | and |, | )[a-z0-9][a-z0-9.-]*){0,9})(?: please)?$`)
	nodeBetween  = regexp.MustCompile(`, and | and |, | `)
	notNodes     = regexp.MustCompile(`\b(?:drain|cordon|uncordon|off|then|not|it|them|all|every|everything|this|that)\b`)
	portSaid     = regexp.MustCompile(`\bport[ =]+(\d{1,12})\b`)
	spellsOfNode = regexp.MustCompile(`[0-9.-]`)
)

// mostNodes is how many nodes are named to somebody who named one that is none.
const mostNodes = 5

// misfit says what does not fit in a sentence that was not understood, because what
// it names cannot be: a port, or a node beside those that there are. It is nil where
// nothing of that can be seen.
func misfit(text string, known func() []string) error {
	text = strings.Trim(strings.ToLower(strings.Join(strings.Fields(text), " ")), ".! ")
	if m := portSaid.FindStringSubmatch(text); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && (n < 1 || n > 65535) {
			return fault.New(fault.Usage, "%d is no port: a port is a number from 1 to 65535.", n)
		}
	}
	m := nodeRequest.FindStringSubmatch(text)
	if m == nil || notNodes.MatchString(m[3]) {
		return nil
	}
	nodes := known()
	if len(nodes) == 0 {
		return nil
	}
	names := nodeBetween.Split(m[3], -1)
	if m[2] == "" && !spellsOfNode.MatchString(m[3]) && !strings.ContainsAny(m[3], ",") {
		return nil // "drain the swamp"
	}
	var none []string
	for _, n := range names {
		if !slices.Contains(nodes, n) {
			none = append(none, n)
		}
	}
	switch {
	case len(none) == 0 && len(names) > 1:
		return fault.New(fault.Usage, "I %s one node at a time. Say “%s %s” first.", m[1], m[1], names[0])
	case len(none) == 0:
		return nil
	}
	list := strings.Join(nodes[:min(len(nodes), mostNodes)], ", ")
	if more := len(nodes) - mostNodes; more > 0 {
		list += " and " + strconv.Itoa(more) + " more"
	}
	return fault.New(fault.NotFound, "There is no node %s. I know %s.", strings.Join(none, " or "), list)
}
