package skill

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

const (
	// everywhereLimit is how long a question to several clusters waits for all
	// of them: some channels must answer in less than five seconds.
	everywhereLimit = 2500 * time.Millisecond
	allClusters     = "*"
)

// several reports whether clusters must be told apart.
func (c *Crew) several() bool { return len(c.cluster.Clusters()) > 1 }

// said are the clusters that a turn names, none where it names none.
func (c *Crew) said(t *dialogue.Turn) []string {
	names := t.Intent.Slots.Strings("cluster")
	if slices.Contains(names, allClusters) {
		return c.cluster.Clusters()
	}
	return names
}

// inTurn is the order in which a change goes through clusters: that which others
// depend on comes last.
func (c *Crew) inTurn(names []string) []string {
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int {
		switch pa, pb := c.cluster.Production(a), c.cluster.Production(b); {
		case pa == pb:
			return 0
		case pb:
			return -1
		}
		return 1
	})
	return names
}

// in is the turn as if it had named one cluster.
func in(t *dialogue.Turn, cluster string, s *dialogue.Session) *dialogue.Turn {
	one := intents.Intent{Name: t.Intent.Name, Slots: intents.Slots{}}
	for k, v := range t.Intent.Slots {
		one.Slots[k] = v
	}
	one.Slots["cluster"] = cluster
	return t.As(one, s)
}

// inEach plans what is asked of several clusters: one after the other, each when
// it is done in the one before, so that what goes wrong stops there.
func (c *Crew) inEach(f planner) planner {
	return func(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
		names := c.said(t)
		switch len(names) {
		case 0:
			p, err := f(ctx, t, before)
			return c.staged(p), err
		case 1:
			t.Intent.Slots["cluster"] = names[0]
			p, err := f(ctx, t, before)
			if err == nil {
				err = onlyIn(p, names)
			}
			return c.staged(p), err
		}
		some := slices.Contains(t.Intent.Slots.Strings("cluster"), allClusters)
		var all plan
		var none error
		nothing := false // to be done where it is
		if some {
			names = c.inTurn(names) // else as they were said
		}
		for _, name := range names {
			one := in(t, name, t.Session)
			p, err := f(ctx, one, before)
			var i instead
			switch {
			case errors.As(err, &i) && i.nothing:
				all.warnings = append(all.warnings, c.ofCluster(name, intents.Say{Speech: i.reply.Speech, Text: i.reply.Text}))
				nothing = true
				continue
			case errors.As(err, &i):
				if q := t.Session.Question; q != nil {
					q.Intent = t.Intent // the answer holds for all
				}
				return plan{}, err
			case some && fault.KindOf(err) == fault.NotFound:
				all.warnings = append(all.warnings, c.ofCluster(name, intents.Say{Speech: fault.Say(err), Text: fault.Say(err)}))
				none = cmp.Or(none, err)
				continue
			case fault.KindOf(err) == fault.Unavailable:
				return plan{}, fault.Wrap(err, fault.Unavailable, "%s So I propose nothing for the others either; name them if you want it done there.", fault.Say(err))
			case err != nil:
				return plan{}, fault.Wrap(err, fault.KindOf(err), "I propose nothing, because of %s: %s", name, fault.Say(err))
			}
			if err := onlyIn(p, []string{name}); err != nil {
				return plan{}, err
			}
			for _, stage := range append([][]kube.Change{p.changes}, p.then...) {
				if all.changes == nil {
					all.changes = stage
				} else {
					all.then = append(all.then, stage)
				}
			}
			all.warnings = append(all.warnings, p.warnings...)
		}
		if all.changes != nil {
			return all, nil
		}
		if nothing {
			none = nil
		}
		r := dialogue.Reply{Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone, Fault: fault.KindOf(none)}
		for _, w := range all.warnings {
			r.Speech, r.Text = strings.TrimSpace(r.Speech+" "+w.Speech), strings.TrimSpace(r.Text+"\n"+w.Text)
		}
		return plan{}, instead{reply: r, nothing: none == nil}
	}
}

// ofCluster says of which cluster a sentence is true.
func (c *Crew) ofCluster(cluster string, s intents.Say) intents.Say {
	w, err := c.catalogue.Say("cluster.of", dialogue.Data{"Cluster": cluster, "Speech": s.Speech, "Text": s.Text})
	if err != nil {
		return s
	}
	return w
}

// onlyIn refuses a plan that would change another cluster than those that were
// named. No planner makes one; this is what holds if one ever does.
func onlyIn(p plan, clusters []string) error {
	for _, stage := range append([][]kube.Change{p.changes}, p.then...) {
		for _, ch := range stage {
			if !slices.Contains(clusters, ch.Ref.Cluster) {
				return fault.New(fault.Internal, "You spoke of %s, and I would have changed %s in %s, so I propose nothing. Please report that.", strings.Join(clusters, " and "), ch.Ref.Name, ch.Ref.Cluster)
			}
		}
	}
	return nil
}

// staged parts the stages of a plan that are about several clusters ("restart
// them") into one for each.
func (c *Crew) staged(p plan) plan {
	if !c.several() || len(p.changes) == 0 {
		return p
	}
	var out [][]kube.Change
	for _, stage := range append([][]kube.Change{p.changes}, p.then...) {
		at := map[string]int{}
		for _, ch := range stage {
			i, ok := at[ch.Ref.Cluster]
			if !ok {
				i = len(out)
				at[ch.Ref.Cluster] = i
				out = append(out, nil)
			}
			out[i] = append(out[i], ch)
		}
	}
	p.changes, p.then = out[0], out[1:]
	return p
}

// inCluster adds to a phrase in which cluster that is, where there are several:
// half asleep, somebody must hear it.
func (c *Crew) inCluster(of kube.Change, prefix string, s intents.Say) (intents.Say, error) {
	if !c.several() {
		return s, nil
	}
	key, cluster := "cluster.in", of.Ref.Cluster
	if of.Of != "" && prefix == "change." {
		key = "cluster.first" // "…, which runs in prod-eu in prod-us" would not be clear
	}
	return c.catalogue.Say(key, dialogue.Data{"Cluster": cluster, "Speech": s.Speech, "Text": s.Text})
}

// namespaceIn is how a namespace is said with its cluster, where that is not home.
func (c *Crew) namespaceIn(cluster, namespace string) string {
	switch {
	case !c.several() || cluster == c.cluster.Cluster():
		return namespace
	case namespace == "":
		return cluster
	}
	return namespace + " in " + cluster
}

// hasNamespace returns an error where a cluster has no such namespace, or does
// not say.
func (c *Crew) hasNamespace(ctx context.Context, cluster, namespace string) error {
	if slices.Contains(c.cluster.Namespaces(ctx, cluster), namespace) {
		return nil
	}
	if _, err := c.cluster.Find(ctx, kube.Query{Cluster: cluster, Namespace: namespace}); err != nil {
		return err // nobody has looked at it yet
	}
	if slices.Contains(c.cluster.Namespaces(ctx, cluster), namespace) {
		return nil
	}
	if !c.several() {
		return fault.New(fault.NotFound, "There is no namespace %s.", namespace)
	}
	return fault.New(fault.NotFound, "There is no namespace %s in %s.", namespace, cluster)
}

// inAnother finds a name that is not in the cluster that a turn is about: in the
// only other where it was seen; one of several is asked for.
func (c *Crew) inAnother(ctx context.Context, t *dialogue.Turn, name string) (kube.Workload, error) {
	here := c.where(t)
	if t.Intent.Slots.Has("cluster") || !c.several() {
		return kube.Workload{}, c.otherKind(ctx, here, name)
	}
	var where []string
	for _, ref := range c.cluster.Seen(ctx, name) {
		if ref.Cluster != here && !slices.Contains(where, ref.Cluster) {
			where = append(where, ref.Cluster)
		}
	}
	switch len(where) {
	case 0:
		return kube.Workload{}, c.otherKind(ctx, here, name)
	case 1:
		return c.workload(ctx, in(t, where[0], t.Session), name)
	}
	r, err := t.Reply("ask.where", dialogue.Data{"Name": name, "Where": where})
	if err != nil {
		return kube.Workload{}, err
	}
	r.Fault = fault.Ambiguous
	return kube.Workload{}, instead{reply: t.Ask(r, "cluster", where)}
}

// notIn says that a cluster has no such workload.
func (c *Crew) notIn(cluster, name string) error {
	if !c.several() {
		return fault.New(fault.NotFound, "I see no %s in the cluster.", name)
	}
	return fault.New(fault.NotFound, "I see no %s in %s.", name, cluster)
}

// answer is what one of several clusters answered.
type answer struct {
	cluster string
	reply   dialogue.Reply
	found   []kube.Workload
	session dialogue.Session
	err     error
}

// everywhere asks a question of each cluster that a turn names, all at the same
// time and under one deadline. One that does not answer is named.
func (c *Crew) everywhere(h dialogue.HandlerFunc) dialogue.HandlerFunc {
	return func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
		names := c.said(t)
		switch len(names) {
		case 0:
			return h(ctx, t)
		case 1:
			t.Intent.Slots["cluster"] = names[0]
			return h(ctx, t)
		}
		answers := c.ask(ctx, t, names, func(ctx context.Context, one *dialogue.Turn, a *answer) { a.reply, a.err = h(ctx, one) })
		r := dialogue.Reply{}
		var speech, text []string
		for _, a := range answers {
			if a.err != nil {
				continue
			}
			say := c.ofCluster(a.cluster, intents.Say{Speech: a.reply.Speech, Text: a.reply.Text})
			speech, text = append(speech, say.Speech), append(text, say.Text)
			r.Blocks = merged(r.Blocks, a)
		}
		return c.partly(r, intents.Say{Speech: strings.Join(speech, " "), Text: strings.Join(text, "\n")}, answers)
	}
}

// ask asks clusters at the same time; who has not answered at the deadline does
// not answer. What they speak of is "it" from then on.
func (c *Crew) ask(ctx context.Context, t *dialogue.Turn, names []string, f func(ctx context.Context, one *dialogue.Turn, a *answer)) []answer {
	ctx, cancel := context.WithTimeout(ctx, everywhereLimit)
	defer cancel()
	answered := make(chan answer, len(names))
	out := make([]answer, len(names))
	for i, name := range names {
		out[i] = answer{cluster: name, err: fault.New(fault.Unavailable, "The cluster %s does not answer.", name)}
		asked := *t.Session
		asked.Question = nil
		one := in(t, name, &asked)
		go func() {
			a := answer{cluster: name}
			f(ctx, one, &a)
			a.session = asked
			answered <- a
		}()
	}
	for range names {
		select {
		case a := <-answered:
			out[slices.Index(names, a.cluster)] = a
			continue
		case <-ctx.Done():
		}
		break
	}
	var spoken []dialogue.Target
	for _, a := range out {
		for _, o := range a.session.Targets {
			if a.err == nil && !slices.Equal(a.session.Targets, t.Session.Targets) && !slices.Contains(spoken, o) {
				spoken = append(spoken, o)
			}
		}
	}
	if len(spoken) > 0 {
		t.Session.Focus(spoken...)
	}
	return out
}

// partly ends an answer with what clusters did not answer, and why. Where none
// did, that is the error.
func (c *Crew) partly(r dialogue.Reply, say intents.Say, answers []answer) (dialogue.Reply, error) {
	r.Speech, r.Text = say.Speech, say.Text
	var silent []string
	var others []answer
	for _, a := range answers {
		switch kind := fault.KindOf(a.err); {
		case a.err == nil:
		case kind == fault.Unavailable || errors.Is(a.err, context.DeadlineExceeded):
			silent = append(silent, a.cluster)
		case kind == fault.Internal:
			return r, a.err
		default:
			others = append(others, a)
		}
	}
	add := func(s intents.Say) {
		r.Speech, r.Text = strings.TrimSpace(r.Speech+" "+s.Speech), strings.TrimSpace(r.Text+"\n"+s.Text)
	}
	for _, a := range others {
		add(c.ofCluster(a.cluster, intents.Say{Speech: fault.Say(a.err), Text: fault.Say(a.err)}))
	}
	if len(silent) > 0 {
		s, err := c.catalogue.Say("cluster.silent", dialogue.Data{"Names": silent, "Some": len(silent) < len(answers)})
		if err != nil {
			return r, err
		}
		add(s)
	}
	switch {
	case len(silent) == len(answers):
		return r, fault.New(fault.Unavailable, "%s", r.Text)
	case len(silent)+len(others) == len(answers):
		return r, fault.New(fault.KindOf(others[0].err), "%s", r.Text)
	}
	return r, nil
}

// merged adds the blocks of a cluster's answer: rows of the same table come
// together, with the cluster before them.
func merged(all []dialogue.Block, a answer) []dialogue.Block {
	for _, b := range a.reply.Blocks {
		if b.Type != "table" {
			b.Title = strings.TrimSpace(a.cluster + " " + b.Title)
			all = append(all, b)
			continue
		}
		columns := append([]string{"CLUSTER"}, b.Columns...)
		at := slices.IndexFunc(all, func(o dialogue.Block) bool {
			return o.Type == "table" && o.Title == b.Title && slices.Equal(o.Columns, columns)
		})
		if at < 0 {
			at = len(all)
			all = append(all, dialogue.Block{Type: "table", Title: b.Title, Columns: columns})
		}
		for _, row := range b.Rows {
			all[at].Rows = append(all[at].Rows, append([]string{a.cluster}, row...))
		}
	}
	return all
}

// statusOfClusters says in one sentence how one workload is in several clusters.
func (c *Crew) statusOfClusters(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	names, targets := c.said(t), t.Intent.Slots.Targets()
	what := t.Intent.Slots.String("what")
	if len(names) < 2 || len(targets) != 1 || strings.HasPrefix(targets[0], "@") || targets[0] == intents.TargetAll || what != "" && what != "version" && what != "replicas" {
		return c.everywhere(c.status)(ctx, t)
	}
	answers := c.ask(ctx, t, names, func(ctx context.Context, one *dialogue.Turn, a *answer) {
		ws, err := c.workloads(ctx, one)
		var i instead
		if errors.As(err, &i) {
			err = fault.New(fault.Ambiguous, "%s", i.reply.Text)
		}
		for i := range ws {
			if err == nil {
				ws[i].Progress, err = c.cluster.Diagnose(ctx, ws[i])
			}
		}
		if a.err = err; err == nil {
			focus(one, ws)
			a.reply.Blocks = []dialogue.Block{workloadTable(ws)}
			a.found = ws
		}
	})
	r := dialogue.Reply{}
	var speech, text, more, moreText []string
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		r.Blocks = merged(r.Blocks, a)
		for _, w := range a.found {
			p := w.Progress
			data := dialogue.Data{"Cluster": a.cluster, "Ready": p.Ready, "Desired": p.Desired, "Version": w.Version(), "OfVersion": what == "version"}
			say, err := c.catalogue.Say("status.in_cluster", data)
			if err != nil {
				return r, err
			}
			speech, text = append(speech, say.Speech), append(text, say.Text)
			if p.Done() && p.Ready >= p.Desired || what == "version" {
				continue
			}
			if say, err = c.stateAt(w, "", ""); err != nil {
				return r, err
			}
			say = c.ofCluster(a.cluster, say)
			more, moreText = append(more, say.Speech), append(moreText, say.Text)
		}
	}
	var say intents.Say
	if len(speech) > 0 {
		var err error
		say, err = c.catalogue.Say("status.everywhere", dialogue.Data{"Name": targets[0], "Speech": and(speech), "Text": and(text), "OfVersion": what == "version"})
		if err != nil {
			return r, err
		}
	}
	r, err := c.partly(r, say, answers)
	for i := range more {
		r.Speech, r.Text = r.Speech+" "+more[i], r.Text+"\n"+moreText[i]
	}
	return r, err
}
