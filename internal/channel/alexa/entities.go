package alexa

import (
	"strings"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

// maxEntities is how many names Alexa takes from a skill, with other ways to say
// them; maxNamespaces is how many of them are namespaces.
const (
	maxEntities   = 100
	maxNamespaces = 20
	maxEntity     = 100 // characters of a name
)

// The types of the model that take names of the cluster.
const (
	workloadType  = "Workload"
	namespaceType = "Namespace"
)

// dynamicEntities tells Alexa the names of today: the model has only those of the
// day it was made. Alexa keeps them for half an hour.
type dynamicEntities struct {
	Type           string       `json:"type"`
	UpdateBehavior string       `json:"updateBehavior"`
	Types          []entityType `json:"types"`
}

type entityType struct {
	Name   string   `json:"name"`
	Values []entity `json:"values"`
}

type entity struct {
	ID   string `json:"id"`
	Name struct {
		Value    string   `json:"value"`
		Synonyms []string `json:"synonyms"`
	} `json:"name"`
}

// entities is the directive for these names; ok is false where there are none.
func entities(n Names) (d dynamicEntities, ok bool) {
	spaces, room := entitiesOf(n.Namespaces, maxNamespaces)
	workloads, _ := entitiesOf(n.Workloads, maxEntities-maxNamespaces+room)
	d = dynamicEntities{Type: "Dialog.UpdateDynamicEntities", UpdateBehavior: "REPLACE"}
	for _, t := range []entityType{{workloadType, workloads}, {namespaceType, spaces}} {
		if len(t.Values) > 0 {
			d.Types = append(d.Types, t)
		}
	}
	return d, len(d.Types) > 0
}

// entitiesOf makes entities of names, as many as there is room for, and says how
// much is left. A name of several words is also said as it is read aloud.
func entitiesOf(names []string, room int) ([]entity, int) {
	var out []entity
	seen := map[string]bool{}
	for _, name := range names {
		said := strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '.' || r == '_' }), " ")
		if seen[said] || said == "" || len(name) > maxEntity {
			continue
		}
		if room == 0 {
			break
		}
		room--
		seen[said] = true
		e := entity{ID: name}
		e.Name.Value, e.Name.Synonyms = said, []string{}
		if aloud := strings.ToLower(speech.Ear(name)); !seen[aloud] && aloud != "" && room > 0 {
			room--
			seen[aloud] = true
			e.Name.Synonyms = append(e.Name.Synonyms, aloud)
		}
		out = append(out, e)
	}
	return out, room
}
