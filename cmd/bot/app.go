package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/gate/compare"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/oncall"
	"github.com/firstmate-ops/firstmate/internal/recorder"
	"github.com/firstmate-ops/firstmate/internal/skill"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// terminalPatience is how long somebody at a terminal waits for a cluster that
// is spoken of for the first time: its credentials may come from another program.
const terminalPatience = 10 * time.Second

// app is the parts of firstmate, put together. It is the only place that knows
// a Writer, and hands it to the ledger alone.
type app struct {
	reader    compiling          // of sentences
	listening listening          // to recordings
	voice     speech.Synthesizer // nil where nothing can speak
	engine    *dialogue.Engine
	eyes      eyes
	ledger    *action.Ledger
	fleet     *kube.Fleet
	store     *store.Store
	crew      *skill.Crew
	// investigation is how the crew finds causes.
	investigation skill.Investigation
	catalogue     *intents.Catalogue
	compiled      func() // waits until sentences can be read
	log           *slog.Logger
	metrics       *metrics
	outside       outside
	desk          *oncall.Desk                                     // nil: nobody is called
	rings         bool                                             // this process calls people
	told          []func(ctx context.Context, conversation string) // who is told that an outcome was
	alerts        *alertNames

	// overhear are told of all that is pushed in this process, and must not wait; bots
	// run beside, until the process ends. Both are complete before run.
	overhear []func(conversation string, ev dialogue.Event)
	bots     []func(ctx context.Context) error

	history *recorder.History // of what is said in the console
	names   dialogue.Inventory
	view    seen // nil: everybody may see all

	elector *kube.Elector // nil: this process is the only one
	notes   chan note     // for other replicas
}

// appOptions is what a command asks of the app.
type appOptions struct {
	people   []access.Person
	limits   access.Limits
	readOnly bool // no Writer is built at all
	replica  bool // it may be one of several
	oneTurn  bool // the process lives for one turn: pods are asked for, not watched
	terminal bool // somebody at a terminal: all contexts of the kubeconfig are known
}

// newApp puts the parts together. Nothing runs yet.
func newApp(ctx context.Context, c Config, getenv func(string) string, opt appOptions, log *slog.Logger) (*app, error) {
	catalogue, err := intents.English()
	if err != nil {
		return nil, err
	}
	recognizer := compile(catalogue)
	members, err := c.Kubernetes.members(opt.terminal)
	if err != nil {
		return nil, err
	}
	for i, m := range members {
		members[i].Production = m.Production || action.IsProduction(m.Name, nil, c.Risk.Production)
	}
	of := kube.FleetOptions{ReaderOptions: kube.ReaderOptions{NoPods: opt.oneTurn, Argo: c.GitOps.argo()}, Wait: !opt.terminal}
	if opt.terminal {
		of.Patience = terminalPatience
	}
	fleet, err := kube.NewFleet(members, of, log)
	if err != nil {
		return nil, err
	}
	st, err := openStore(ctx, c, getenv)
	if err != nil {
		return nil, err
	}
	rules, err := c.rules()
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	guard := access.NewGuard(opt.people, rules, st).WithRoles(c.Access.roles())
	out, err := c.Observability.outside(log, nil)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	if c.Alerts.on() {
		out.board = alertmanager.NewBoard(st, time.Now)
	}
	var writer action.Writer
	if !opt.readOnly {
		if writer, err = c.GitOps.before(kube.NewWriters(fleet), fleet, log); err != nil {
			return nil, errors.Join(err, st.Close())
		}
		writer = out.before(writer)
	}
	patience := action.Patience{Hard: c.Rollouts.StuckAfter, Still: c.Rollouts.StillAfter, Answer: c.Proposals.ExpireAfter, Drain: c.Nodes.DrainFor}
	ledger := action.NewLedger(st, writer, fleet, guard, patience, log)
	ledger.Mark(func(ref kube.Ref) bool {
		return action.IsProduction(ref.Namespace, fleet.NamespaceLabels(ref.Cluster, ref.Namespace), c.Risk.Production) ||
			fleet.Production(ref.Cluster)
	})
	inv := &inventory{fleet: fleet, aliases: c.Kubernetes.NamespaceAliases, alerts: newAlertNames(log)}
	var shown clusters = fleet
	if c.Access.ReadsAsPerson && !opt.terminal { // at a terminal, the process is the person
		inv.view = kube.NewView(fleet, time.Now)
		inv.held = held{view: inv.view, all: fleet.All, clusters: fleet.Clusters}
		shown, out.held = inv.view, &inv.held
	}
	crew := skill.NewCrew(shown, ledger, catalogue).Recall(skill.Past{Trail: st, Cluster: shown, Who: guard, Now: time.Now})
	crew.UseGitOps(c.GitOps.skills())
	crew.UseAlerts(skill.Alerts{Now: time.Now})
	m := newMetrics(fleet.Clusters(), fleet.Up)
	numbers, err := c.Observability.prometheus(fleet.Cluster(), log, m.backend)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	if numbers != nil && !opt.oneTurn { // a process that lives for one turn does not stay to watch
		kept, err := c.Observability.loki(fleet, log, m.backend) // the watch is nobody's, so it sees all
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
		ledger.Guard(c.Rollouts.guard(compare.New(compare.Parts{Metrics: numbers, Pods: fleet, Logs: kept, Issues: out.fresh()})))
	}
	if inv.alerts.firing = out.firing(); numbers != nil {
		inv.alerts.rules = numbers.AlertNames
	}
	crew.UseMetrics(c.Observability.numbers(numbers, shown, fleet))
	reading, err := c.Observability.logs(shown, log, m.backend)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	crew.ReadLogs(reading)
	investigation, err := c.investigation(shown, fleet.Cluster(), numbers, out, reading.Store)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	crew.Investigate(investigation)
	out.equip(crew, c.Observability)
	desk, err := c.desk(oncall.Parts{Store: st, People: guard, Catalogue: catalogue, Log: log}, numbers, fleet.Cluster())
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	handlers := crew.Handlers()
	maps.Copy(handlers, onCallHandlers(desk))
	maps.Copy(handlers, skill.NewIdentity(guard).Handlers())
	record := recorder.New(st, guard, catalogue.Vocabulary, log)
	ears := newListeners(record, c.Misses, st, catalogue.Vocabulary, log)
	history := record.History(st, "web")
	if c.Web.History {
		ears = append(ears, history)
	}
	if desk != nil {
		desk.Around(handlers)
		crew.TellVerdicts(desk.Diagnosed)
		ears = append(ears, desk)
	}
	if err := dialogue.CheckHandlers(catalogue, handlers); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	handlers = limited(handlers, catalogue, guard, opt.limits)
	engine := dialogue.NewEngine(catalogue, recognizer, inv.current, st, m.time(handlers), dialogue.NewHub(), ears, log)
	if err := c.LLM.use(engine, crew, catalogue, recognizer, m.model, log); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	if !opt.oneTurn { // else nobody is there to be told
		crew.TellLogs(engine)
	}
	a := &app{engine: engine, reader: recognizer, eyes: eyes{guard}, ledger: ledger, fleet: fleet, store: st, crew: crew, investigation: investigation, catalogue: catalogue, compiled: func() { recognizer() }, log: log, metrics: m, outside: out, alerts: inv.alerts, history: history, names: inv.current}
	if inv.view != nil {
		a.view = inv.view
	}
	if a.desk, a.rings = desk, !opt.terminal; desk != nil {
		desk.RolledOut = a.rolledOut
		desk.Speak(a.turns(), engine)
	}
	engine.Relay(func(conversation string, ev dialogue.Event) {
		for _, f := range a.overhear {
			f(conversation, ev)
		}
	})
	if c.Replicas.Lease != "" && opt.replica {
		home, err := members[0].Connect() // the Lease is in the home cluster
		if err == nil {
			err = a.replica(c.Replicas.Lease, home)
		}
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
	}
	return a, nil
}

// turns is where channels hand in what was said.
func (a *app) turns() seeing { return seeing{a.engine, a.eyes} }

// compiling is a recogniser that is made while the cluster is being looked at:
// for a process that lives for one turn, either is most of its life.
type compiling func() *intents.Recognizer

func compile(c *intents.Catalogue) compiling {
	made := sync.OnceValue(func() *intents.Recognizer { return intents.NewRecognizer(c) })
	go made()
	return made
}

// Recognize understands a sentence once the recogniser is made.
func (c compiling) Recognize(text string, inv *intents.Inventory, open intents.Expect) intents.Result {
	return c().Recognize(text, inv, open)
}

// Nearest names what is called almost so.
func (c compiling) Nearest(name string, inv *intents.Inventory) []string {
	return c().Nearest(name, inv)
}

// MayAct reports whether a sentence could ask for a change at all.
func (c compiling) MayAct(text string, inv *intents.Inventory) bool { return c().MayAct(text, inv) }

// Fill makes an intent of slots that were named one by one.
func (c compiling) Fill(intent string, terms []intents.Term, sentence string, inv *intents.Inventory) (intents.Intent, error) {
	return c().Fill(intent, terms, sentence, inv)
}

// run watches the cluster and works off the journal until ctx ends; ready is
// called once the cluster has been seen. What is being applied is finished.
func (a *app) run(ctx context.Context, ready func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { err = errors.Join(err, a.store.Close()) }()
	defer cancel()
	if err := a.fleet.Start(ctx); err != nil {
		return err
	}
	narrator := a.metrics.count(passingOn{telling{skill.NewNarrator(a.crew, a.engine, a.log), a.eyes}, a.told})
	var wg sync.WaitGroup
	var ledgerErr error
	wg.Go(func() { a.gossip(ctx) })
	wg.Go(func() { a.sweep(ctx) })
	wg.Go(func() { a.alerts.watch(ctx) })
	for _, bot := range a.bots {
		wg.Go(func() {
			if err := bot(ctx); err != nil && ctx.Err() == nil { // the other channels go on
				a.log.ErrorContext(ctx, "a chat is left", "err", err)
			}
		})
	}
	wg.Go(func() {
		defer cancel() // without it, nothing that is agreed to would be done
		ledgerErr = a.carryOut(ctx, func(ctx context.Context) error { return a.lead(ctx, narrator) })
	})
	err = ready(ctx)
	cancel()
	wg.Wait()
	return errors.Join(err, ledgerErr)
}

// inventory is the names of the cluster, as the recogniser needs them, made
// anew when a name came or went.
type inventory struct {
	fleet   *kube.Fleet
	aliases map[string]string
	alerts  *alertNames

	view *kube.View // set where everybody has names of their own
	held held       // with it

	mu    sync.Mutex
	names uint64
	inv   *intents.Inventory
	own   map[string]ownNames // by whose they are
}

// ownNames are the names that one person may know of.
type ownNames struct {
	inv   *intents.Inventory
	names uint64 // of the fleet when they were read
	at    time.Time
}

const (
	// ownNamesLife is how long a person's names count while none came or went:
	// rights come and go too.
	ownNamesLife = 30 * time.Second
	// ownNamesKept bounds for how many people names are kept.
	ownNamesKept = 200
)

// current gives the names of the home cluster and of those that were looked at,
// and has these clusters looked at first.
func (i *inventory) current(ctx context.Context, clusters []string) (*intents.Inventory, error) {
	if slices.Contains(clusters, "*") {
		clusters = i.fleet.Clusters()
	}
	err := i.fleet.Learn(ctx, clusters...)
	if i.view != nil {
		inv, e := i.ofPerson(ctx)
		return inv, errors.Join(err, e)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	alerts, n := i.alerts.known(ctx)
	if n += i.fleet.Names(); i.inv == nil || n != i.names { // either only grows
		i.inv, i.names = intents.NewInventory(i.data(i.fleet.AllNames(), alerts)), n
	}
	return i.inv, err
}

// ofPerson gives the names that the person of a context may know of, so that
// "did you mean" gives away no others.
func (i *inventory) ofPerson(ctx context.Context) (*intents.Inventory, error) {
	who, now, names := kube.Whose(ctx), time.Now(), i.fleet.Names()
	i.mu.Lock()
	own, ok := i.own[who]
	i.mu.Unlock()
	if ok && own.names == names && now.Sub(own.at) < ownNamesLife {
		return own.inv, nil
	}
	n, err := i.view.Names(ctx)
	inv := intents.NewInventory(i.data(n, i.seenAlerts(ctx)))
	if err != nil {
		return inv, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.own) >= ownNamesKept || i.own == nil {
		i.own = map[string]ownNames{}
	}
	i.own[who] = ownNames{inv, names, now}
	return inv, nil
}

// seenAlerts are the names of alerts that the person of a context may know of: of
// those that fire, as rules tell of no place.
func (i *inventory) seenAlerts(ctx context.Context) []string {
	var out []string
	for _, a := range i.alerts.fires() {
		if i.held.seesAlert(ctx, a) && !slices.Contains(out, a.Name) {
			out = append(out, a.Name)
		}
	}
	return out
}

func (i *inventory) data(n kube.Names, alerts []string) intents.InventoryData {
	d := intents.InventoryData{
		Clusters: i.fleet.Clusters(), ClusterAliases: i.fleet.Aliases(), Namespaces: n.Namespaces, NamespaceAliases: i.aliases, Nodes: n.Nodes,
		Containers: n.Containers, Tags: n.Tags, Alerts: alerts,
	}
	for _, w := range n.Workloads {
		d.Workloads = append(d.Workloads, intents.Workload{Name: w.Name, Namespace: w.Namespace, Kind: w.Kind})
	}
	return d
}
