package intents

import (
	"slices"
)

const (
	clusterSlot = "cluster"
	// allClusters in the slot means all there are.
	allClusters = "*"
	// costPlaced is what a reading costs that leaves out in which cluster: one
	// that can do without that is the better one.
	costPlaced = 0.004
)

// inCluster is where a sentence says which cluster it is about.
type inCluster struct {
	from, to int
	value    any // a name, several, or allClusters
	how      placing
}

// placing is how a cluster is brought into a sentence.
type placing int

const (
	placedIn   placing = iota // "in prod-eu"
	placedAll                 // "everywhere"
	placedTo                  // "to prod-eu": of what is brought there
	placedBare                // "prod-eu": of questions
)

// placed adds what a clause says about clusters to its readings. Nearly every
// sentence can say that, and at nearly every place: so the words are found, taken
// out, and the rest is read as it would be without them. best are the readings
// of the clause with the words in it, which come first where they are whole.
func (rd *reading) placed(tokens []token, best []parsed) []parsed {
	if rd.inv == nil || rd.inv.clusters.maxLen == 0 || rd.placing || rd.searches >= maxSearches {
		return best
	}
	whole := len(best) > 0 && !unclear(best)
	if whole && (best[0].slots.Has(clusterSlot) || !rd.loose && !rd.r.speaksOfAll(tokens)) {
		return best
	}
	at, ok := rd.inCluster(tokens)
	if !ok || at.how != placedAll && whole {
		return best
	}
	from, to := at.from, at.to
	switch { // "in prod-eu, restart web", "restart web, in prod-eu"
	case from == 0 && to < len(tokens) && tokens[to].text == ",":
		to++
	case to == len(tokens) && from > 0 && tokens[from-1].text == ",":
		from--
	}
	rest := slices.Concat(tokens[:from], tokens[to:])
	if len(rest) == 0 {
		return best
	}
	rd.placing = true
	defer func() { rd.placing = false }()
	var out []parsed
	for _, p := range rd.parse(rest) {
		d := rd.r.c.intents[p.intent]
		if d == nil || unknownTarget(p) && len(best) > 0 && !unknownTarget(best[0]) {
			continue
		}
		if _, takes := d.slots[clusterSlot]; !takes || p.slots.Has(clusterSlot) || p.intent == "switch_cluster" {
			continue
		}
		switch {
		case at.how == placedTo && (p.intent != "deploy" || rd.r.ask(p) != ""), at.how == placedBare && d.spec.Risk == RiskWrite:
			continue
		}
		p.slots[clusterSlot] = at.value
		p.cost += costPlaced
		out = append(out, p)
	}
	if len(out) == 0 {
		rd.tokens = tokens
		return best
	}
	return out
}

// speaksOfAll reports a word with which all clusters may be meant.
func (r *Recognizer) speaksOfAll(tokens []token) bool {
	return slices.ContainsFunc(tokens, func(t token) bool { return r.everywhere.starts(t.text) || r.allClusters.starts(t.text) })
}

// inCluster finds the one place where a clause says which cluster it is about;
// ok is false where there is none, or more, or a cluster that is not meant.
func (rd *reading) inCluster(tokens []token) (inCluster, bool) {
	words, at := rd.withoutNoise(tokens)
	defer func() { rd.tokens = tokens }()
	rd.tokens = words
	var found inCluster
	n := 0
	for i := 0; i < len(words); {
		c, ok := rd.clusterAt(words, i)
		if !ok {
			i++
			continue
		}
		if i > 0 && rd.r.notThere.starts(words[i-1].text) || c.to < len(words) && rd.r.notThere.starts(words[c.to].text) {
			return inCluster{}, false // "everywhere but in prod-eu", "not in prod-eu"
		}
		found, n, i = c, n+1, c.to
	}
	if n != 1 {
		return inCluster{}, false
	}
	found.from, found.to = at[found.from], at[found.to-1]+1
	return found, true
}

// withoutNoise leaves out what may be passed over, and takes words mistyped for
// those that say what a cluster is; at are the places of the others.
func (rd *reading) withoutNoise(tokens []token) (words []token, at []int) {
	r := rd.r
	words, at = make([]token, 0, len(tokens)), make([]int, 0, len(tokens))
	for i := 0; i < len(tokens); i++ {
		if rd.noise[i] {
			continue
		}
		if end := max(r.filler.longest(tokens, i), r.hesitation.longest(tokens, i)); end > i {
			i = end - 1
			continue
		}
		t := tokens[i]
		if rd.loose && !r.clusterNoun.starts(t.text) {
			for _, w := range rd.words[i] {
				for _, noun := range [...]*phrases{r.clusterNoun, r.everywhere} {
					for said := range noun.next {
						if id, ok := r.a.words[said]; ok && id == w.id && len(said) > 5 {
							t.text = said
						}
					}
				}
			}
		}
		words, at = append(words, t), append(at, i)
	}
	return words, at
}

// clusterAt reads "in prod-eu", "on the clusters east and west", "everywhere" at
// a position.
func (rd *reading) clusterAt(tokens []token, pos int) (inCluster, bool) {
	r := rd.r
	end := r.everywhere.longest(tokens, pos)
	if w := tokens[pos].text; (r.inCluster.starts(w) || r.aboutCluster.starts(w)) && pos+1 < len(tokens) {
		if e := r.allClusters.longest(tokens, pos+1); e > pos+1 {
			end = e
		}
	}
	if name, _ := rd.clusterName(tokens, end); end > pos && name == "" {
		return inCluster{from: pos, to: end, value: allClusters, how: placedAll}, len(rd.inv.data.Clusters) > 1
	}
	how, start := placedIn, r.inCluster.longest(tokens, pos)
	if start == pos {
		if how, start = placedTo, r.toCluster.longest(tokens, pos); start == pos {
			how, start = placedBare, r.aboutCluster.longest(tokens, pos)
		}
	}
	loose := rd.loose
	rd.loose = loose && start > pos // only behind "in" it is clear what was misheard
	name, end := rd.clusterName(tokens, start)
	rd.loose = loose
	if name == "" {
		return inCluster{}, false
	}
	names := []string{name}
	for {
		next := r.clusterNoun.longest(tokens, end)
		if next >= len(tokens)-1 {
			break
		}
		j := next
		if tokens[j].text == "," {
			j++
		}
		if j = r.and.longest(tokens, j); j == next {
			break
		}
		more, e := rd.clusterName(tokens, r.inCluster.longest(tokens, j))
		if more == "" {
			break
		}
		if end = e; !slices.Contains(names, more) {
			names = append(names, more)
		}
	}
	at := inCluster{from: pos, to: r.clusterNoun.longest(tokens, end), value: any(names[0]), how: how}
	if len(names) > 1 {
		at.value = names
	}
	if start == pos && rd.isElse(tokens[pos]) {
		return inCluster{}, false // it may be meant for something else
	}
	return at, true
}

// clusterName reads the name of a cluster.
func (rd *reading) clusterName(tokens []token, pos int) (name string, end int) {
	if pos >= len(tokens) {
		return "", pos
	}
	for _, s := range rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.clusters }) {
		if v, ok := s.val.(string); ok && s.end > end {
			name, end = v, s.end
		}
	}
	return name, end
}

// isElse reports a word that may mean something else than a cluster.
func (rd *reading) isElse(t token) bool {
	key := squash(t.text)
	for _, x := range [...]*nameIndex{&rd.inv.workloads, &rd.inv.namespaces, &rd.inv.nodes} {
		if _, ok := x.exact[key]; ok {
			return true
		}
	}
	_, word := rd.r.a.words[t.text]
	return word
}

// shareClusters lets what is said of a cluster in one step of a chain hold for
// those that say nothing: for those behind it, and for all where it is said last.
func (r *Recognizer) shareClusters(steps []parsed) {
	var said any
	for i := range slices.Backward(steps) {
		if v, ok := steps[i].slots[clusterSlot]; ok && steps[i].intent != "switch_cluster" {
			said = v
		}
	}
	if said == nil {
		return
	}
	for i, s := range steps {
		d := r.c.intents[s.intent]
		if v, ok := s.slots[clusterSlot]; ok {
			said = v
		} else if _, takes := d.slots[clusterSlot]; takes {
			steps[i].slots[clusterSlot] = said
		}
	}
}
