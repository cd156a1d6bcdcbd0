package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// doctorLimit bounds what one look at the cluster may take.
const doctorLimit = 20 * time.Second

func doctorCommand(e *env) *cobra.Command {
	var config string
	var x explainFlags
	cmd := &cobra.Command{
		Use:   "doctor [--as PERSON --intent scale --target shop/cart]",
		Short: "Check configuration, cluster rights, store, back-ends and channels; each failure names its fix",
		Long: `Check the configuration, the store, the cluster, the rights that bot serve has
there, who may change things, the back-ends, and the channels. Each failure names its fix.
Exit status: 0 all is well, 2 the configuration is wrong, 3 rights are missing,
5 the cluster or the store does not answer.

With --as: what the policy says to something that this person would do, with
the rule that says so, and whether the cluster lets them. Exit status 3 where
it is denied.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), doctorLimit)
			defer cancel()
			if x.person != "" {
				return x.explain(ctx, e, config)
			}
			d := &doctor{out: e.out}
			d.examine(ctx, e, config)
			if d.worst != "" {
				return exit(d.worst.ExitCode())
			}
			return nil
		},
	}
	configFlag(cmd, e, &config)
	x.register(cmd)
	return cmd
}

// doctor says what it finds, line by line.
type doctor struct {
	out   io.Writer
	worst fault.Kind // of what failed first
}

func (d *doctor) well(format string, a ...any) { fmt.Fprintf(d.out, "✔ "+format+"\n", a...) }

func (d *doctor) warn(fix, format string, a ...any) {
	fmt.Fprintf(d.out, "! "+format+"\n", a...)
	fmt.Fprintf(d.out, "  → %s\n", fix)
}

func (d *doctor) fail(kind fault.Kind, fix, format string, a ...any) {
	fmt.Fprintf(d.out, "✘ "+format+"\n", a...)
	fmt.Fprintf(d.out, "  → %s\n", fix)
	d.worst = cmp.Or(d.worst, kind)
}

func (d *doctor) examine(ctx context.Context, e *env, file string) {
	c, err := loadConfig(file, e.getenv)
	if err != nil {
		d.fail(fault.Usage, "Put that right; “bot config” prints every key.", "configuration: %s", fault.Say(err))
		return // everything else hangs on it
	}
	rules, err := c.rules()
	if err != nil {
		d.fail(fault.Usage, "Put that right; docs/access.md has examples.", "rules: %s", fault.Say(err))
		return
	}
	d.well("configuration: %s, %d people, %d rules", cmp.Or(file, "no file, the defaults"), len(c.Access.People), len(rules))
	s, err := openStore(ctx, c, e.getenv)
	if err == nil {
		err = s.Ping(ctx)
	}
	if err != nil {
		d.fail(fault.Unavailable, "Check state.path or state.postgres: the place must be there, and writable.", "store: %v", err)
	} else {
		d.well("store: opened")
	}
	var keep access.Keeper
	if s != nil {
		keep = s
		defer func() { _ = s.Close() }() // it was only looked at
	}
	d.people(ctx, access.NewGuard(c.people(), rules, keep), c, rules)
	d.clusters(ctx, c)
	d.backends(ctx, c.Observability)
	d.channels(ctx, c)
	d.speech(ctx, c.Speech)
	d.tools(ctx, c, access.NewGuard(c.people(), rules, keep))
	d.model(ctx, c.LLM)
	d.phone(ctx, c, access.NewGuard(c.people(), rules, keep))
	d.onCall(ctx, c, access.NewGuard(c.people(), rules, keep))
}

// people looks whether those who may change things can, and whether the rules
// speak of people there are.
func (d *doctor) people(ctx context.Context, g *access.Guard, c Config, rules access.Policy) {
	all := c.people()
	writers := 0
	for _, p := range all {
		// The surest speaker that there could be: who may not even so, may not.
		best := slices.ContainsFunc(g.Policy(), func(r access.Rule) bool { return r.Verdict != access.Deny && !r.Further && couldBe(r, p) })
		switch {
		case best && p.User == "" && len(p.Speakers) > 0 && !slices.ContainsFunc(p.Speakers, func(s string) bool { return !strings.HasPrefix(s, "terminal:") }):
			// They have their own kubeconfig.
		case best && p.User == "":
			d.fail(fault.Usage, "Give "+p.Name+" a user under access.people.", "%s may change things by the rules, and has no Kubernetes user to do it as", p.Name)
		case best:
			writers++
		}
	}
	if writers == 0 {
		d.warn("Give somebody write: true under access.people, or a rule under access.policies.", "nobody may change anything through bot serve")
	} else {
		d.well("people: %d of %d may change something", writers, len(all))
	}
	for _, r := range rules {
		for _, name := range slices.Concat(r.Match.People, r.By.People) {
			if !strings.ContainsAny(name, "*?[") && !slices.ContainsFunc(all, func(p access.Person) bool { return p.Name == name }) {
				d.warn("Add them under access.people, or mend the name.", "%s: the rule “%s” names %s, who is nobody in access.people", r.Where, r.Name, name)
			}
		}
		if r.Verdict == access.Approve && !slices.ContainsFunc(all, func(p access.Person) bool {
			return r.By.May(p, access.Speaker{Assurance: access.Strong})
		}) {
			d.fail(fault.Usage, "Name somebody of access.people in by.", "%s: nobody can ever approve by the rule “%s”", r.Where, r.Name)
		}
		if r.Verdict != access.PIN || r.Further {
			continue
		}
		for _, p := range all {
			if !couldBe(r, p) {
				continue
			}
			if has, err := g.HasPIN(ctx, p); err == nil && !has {
				d.warn("bot pin "+p.Name, "the rule “%s” wants a PIN of %s, who has none", r.Name, p.Name)
			}
		}
	}
}

// couldBe reports whether a rule is about a person at all.
func couldBe(r access.Rule, p access.Person) bool {
	only := access.Rule{Match: access.Match{People: r.Match.People, Groups: r.Match.Groups}}
	return len(access.Policy{only}.For(access.Speaker{}, p, time.Now())) > 0
}

// clusters looks at each cluster.
func (d *doctor) clusters(ctx context.Context, c Config) {
	members, err := c.Kubernetes.members(false)
	if err != nil {
		d.fail(fault.Usage, "Set KUBECONFIG or kubernetes.kubeconfig to a file that works with kubectl.", "cluster: %s", fault.Say(err))
		return
	}
	for _, m := range members {
		d.cluster(ctx, c, m)
	}
}

// cluster looks whether a cluster answers, and what may be done in it.
func (d *doctor) cluster(ctx context.Context, c Config, m kube.Member) {
	cluster, err := m.Connect()
	if err != nil {
		d.fail(fault.Usage, "Set kubeconfig and context to what works with kubectl.", "cluster %s: %s", m.Name, fault.Say(err))
		return
	}
	r := kube.NewRights(cluster)
	version, err := r.Version(ctx)
	if err != nil {
		d.fail(fault.Unavailable, "Try: kubectl --context "+cluster.Name+" version", "cluster %s: %s", m.Name, fault.Say(err))
		return
	}
	d.well("cluster %s answers: %s, namespace %s", m.Name, version, cluster.Namespace)
	needed, rest := kube.ReaderNeeds()
	d.rights(ctx, r, needed, func(missing string) {
		d.fail(fault.Forbidden, "Give it a role with get, list and watch of these, as deploy/helm/firstmate/templates/rbac-read.yaml does.", "looking: the cluster does not allow %s", missing)
	})
	d.rights(ctx, r, rest, func(missing string) {
		d.warn("Add them to its read role if you want to ask about them.", "looking: the cluster does not allow %s", missing)
	})
	if may, err := r.May(ctx, kube.As{}, kube.Right{Verb: "list", Resource: "secrets"}); err == nil && may {
		d.warn("Take Secrets out of its role.", "it could read Secrets; firstmate never does, but need not be able to")
	}
	for _, p := range c.people() {
		if p.User == "" {
			continue
		}
		var missing []string
		wanted := []kube.Right{{Verb: "impersonate", Resource: "users", Name: p.User}}
		for _, group := range p.Groups {
			wanted = append(wanted, kube.Right{Verb: "impersonate", Resource: "groups", Name: group})
		}
		for _, w := range wanted {
			if may, err := r.May(ctx, kube.As{}, w); err == nil && !may {
				missing = append(missing, w.String())
			}
		}
		if len(missing) > 0 {
			d.fail(fault.Forbidden, "Give it a role that may impersonate exactly these, as deploy/helm/firstmate/templates/rbac-impersonate.yaml does.", "acting as %s: the cluster does not allow %s", p.Name, strings.Join(missing, ", "))
			continue
		}
		may, err := r.May(ctx, kube.As{User: p.User, Groups: p.Groups}, kube.Right{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: cluster.Namespace})
		switch {
		case err != nil:
			d.fail(fault.KindOf(err), "See what the cluster says.", "acting as %s: %s", p.Name, fault.Say(err))
		case !may:
			d.warn("Bind "+p.User+" to a role there, if they should.", "%s (the user %s) may not change Deployments in %s", p.Name, p.User, cluster.Namespace)
		default:
			d.well("acting as %s: the user %s may change Deployments in %s", p.Name, p.User, cluster.Namespace)
		}
	}
}

// rights checks what the process itself may do and reports what is missing.
func (d *doctor) rights(ctx context.Context, r *kube.Rights, rights []kube.Right, missing func(string)) {
	var lack []string
	for _, right := range rights {
		may, err := r.May(ctx, kube.As{}, right)
		if err != nil {
			d.fail(fault.KindOf(err), "See what the cluster says.", "looking: %s", fault.Say(err))
			return
		}
		if !may {
			lack = append(lack, right.String())
		}
	}
	if len(lack) > 0 {
		missing(strings.Join(lack, ", "))
		return
	}
	d.well("looking: all %d rights are there", len(rights))
}

// channels looks which channels there are.
func (d *doctor) channels(ctx context.Context, c Config) {
	d.web(ctx, c)
	if secure, err := c.TLS.server(); err != nil {
		d.fail(fault.Usage, "Correct the files under tls.", "HTTPS: %s", fault.Say(err))
	} else if secure != nil {
		d.well("HTTPS: on, with the certificate of %s", c.TLS.CertFile)
	}
	d.dialogflow(ctx, c)
	d.alexa(c)
	d.slack(ctx, c)
	d.discord(ctx, c)
}

// explainFlags are an act that a verdict is asked for.
type explainFlags struct {
	person, intent, target, cluster, channel, assurance, risk, when string
}

func (x *explainFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&x.person, "as", "", "explain the verdict on something this person would do")
	fs.StringVar(&x.intent, "intent", "scale", "with --as: what they ask for, by the name of the intent")
	fs.StringVar(&x.target, "target", "", "with --as: NAMESPACE/NAME of the workload")
	fs.StringVar(&x.cluster, "cluster", "", "with --as: in which cluster; else home")
	fs.StringVar(&x.channel, "channel", "web", "with --as: where they speak")
	fs.StringVar(&x.assurance, "assurance", "verified", "with --as: how sure it is that it is them: none, claimed, verified, strong")
	fs.StringVar(&x.risk, "risk", "low", "with --as: low, medium or high")
	fs.StringVar(&x.when, "at", "", "with --as: another time than now, as 2026-12-24T18:00:00+01:00")
}

// explain says what the policy says, with the rule that says so.
func (x *explainFlags) explain(ctx context.Context, e *env, file string) error {
	c, err := loadConfig(file, e.getenv)
	if err != nil {
		return err
	}
	ns, name, ok := strings.Cut(x.target, "/")
	if !ok || ns == "" || name == "" {
		return fault.New(fault.Usage, "--target is NAMESPACE/NAME, like shop/cart.")
	}
	s := access.Speaker{Channel: x.channel, ID: "somebody"}
	if s.Assurance, err = access.ParseAssurance(x.assurance); err != nil {
		return fault.Wrap(err, fault.Usage, "--assurance: %v.", err)
	}
	act := access.Act{Intents: []string{x.intent}, Namespace: ns, Name: name}
	if act.Risk, err = access.ParseRisk(x.risk); err != nil {
		return fault.Wrap(err, fault.Usage, "--risk: %v.", err)
	}
	now := time.Now()
	if x.when != "" {
		if now, err = time.Parse(time.RFC3339, x.when); err != nil {
			return fault.Wrap(err, fault.Usage, "--at is a time like 2026-12-24T18:00:00+01:00.")
		}
	}
	return e.withGuard(ctx, file, func(g *access.Guard, _ *store.Store) error {
		p, ok := g.Person(x.person)
		if !ok {
			return fault.New(fault.NotFound, "access.people has no %s.", x.person)
		}
		rights := x.look(ctx, e, c, &act)
		v := access.Decide(g.Policy(), act, s, p, now)
		fmt.Fprintf(e.out, "%s, by %s with assurance %s, %s of %s/%s at %s, risk %s: %s\n", p.Name, s.Channel, s.Assurance, x.intent, ns, name, now.Format(time.RFC3339), act.Risk, v.Kind)
		switch {
		case v.Rule == "":
			fmt.Fprintln(e.out, "because no rule matches, and what no rule allows is denied")
		default:
			fmt.Fprintf(e.out, "because of the rule “%s”%s\n", v.Rule, ifSaid(": ", v.Reason))
		}
		if v.PIN && v.Kind != access.PIN {
			fmt.Fprintln(e.out, "and with a PIN, because of another rule")
		}
		if who := v.WhoMayApprove(); who != "" {
			fmt.Fprintf(e.out, "approved by %s\n", who)
		}
		for _, f := range access.Explain(g.Policy(), act, s, p, now) {
			if f.Not == "" {
				fmt.Fprintf(e.out, "  ✔ %s (%s): matches, %s\n", f.Rule.Name, f.Rule.Where, f.Rule.Verdict)
			} else {
				fmt.Fprintf(e.out, "  – %s (%s): %s\n", f.Rule.Name, f.Rule.Where, f.Not)
			}
		}
		x.allowed(ctx, e, rights, p, act)
		if v.Kind == access.Deny {
			return exit(fault.Refused.ExitCode())
		}
		return nil
	})
}

func ifSaid(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// look fills in what the cluster knows of the object; it need not answer.
func (x *explainFlags) look(ctx context.Context, e *env, c Config, act *access.Act) *kube.Rights {
	members, err := c.Kubernetes.members(false)
	if err != nil {
		fmt.Fprintf(e.out, "! %s So labels count as missing.\n", fault.Say(err))
		return nil
	}
	m := members[0]
	for _, o := range members {
		if o.Name == x.cluster || slices.Contains(o.Aliases, x.cluster) {
			m = o
		}
	}
	act.Cluster = cmp.Or(x.cluster, m.Name)
	cluster, err := m.Connect()
	if err != nil {
		fmt.Fprintf(e.out, "! %s So labels count as missing.\n", fault.Say(err))
		return nil
	}
	r := kube.NewRights(cluster)
	ref, labels, err := r.Labels(ctx, act.Namespace, act.Name)
	if err != nil {
		fmt.Fprintf(e.out, "! %s So labels count as missing.\n", fault.Say(err))
		return r
	}
	act.Kind, act.Labels = ref.Kind, labels
	return r
}

// allowed says what the cluster itself lets the person do.
func (x *explainFlags) allowed(ctx context.Context, e *env, r *kube.Rights, p access.Person, act access.Act) {
	if r == nil || p.User == "" && !p.Own {
		return
	}
	right := kube.Right{Verb: "patch", Group: "apps", Resource: strings.ToLower(cmp.Or(act.Kind, kube.Deployment)) + "s", Namespace: act.Namespace, Name: act.Name}
	may, err := r.May(ctx, kube.As{User: p.User, Groups: p.Groups}, right)
	switch {
	case err != nil:
		fmt.Fprintf(e.out, "! %s\n", fault.Say(err))
	case may:
		fmt.Fprintf(e.out, "the cluster allows %s: %s\n", cmp.Or(p.User, "you"), right)
	default:
		fmt.Fprintf(e.out, "the cluster does not allow %s: %s, so it would refuse\n", cmp.Or(p.User, "you"), right)
	}
}
