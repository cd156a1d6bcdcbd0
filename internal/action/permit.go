package action

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Access says who speakers are and what they may do; *access.Guard is one.
type Access interface {
	// Writer returns the person in whose name a speaker may change anything at all.
	Writer(ctx context.Context, s access.Speaker) (access.Person, error)
	// Who returns the person that a speaker is.
	Who(ctx context.Context, s access.Speaker) (access.Person, bool, error)
	// Judge says what the policy says to acts that are only done together.
	Judge(s access.Speaker, p access.Person, acts []access.Act, now time.Time) access.Verdict
	// CheckPIN returns nil where that is the person's PIN.
	CheckPIN(ctx context.Context, p access.Person, pin access.Hidden) error
}

// Approval is somebody's agreement to what somebody else wants. It counts for
// the changes with this digest and no others.
type Approval struct {
	Person  string         `json:"person"`
	Speaker access.Speaker `json:"speaker"`
	Rules   []string       `json:"rules"` // that it is enough for
	Digest  string         `json:"digest"`
	At      time.Time      `json:"at"`
}

// ApprovalLife is how long a proposal waits for somebody else's approval.
const ApprovalLife = 15 * time.Minute

// PINWanted is the error of a yes that goes with a PIN, and came without.
type PINWanted struct{}

// Error gives the text for logs.
func (PINWanted) Error() string { return "action: the yes needs a PIN" }

// acts are the steps of an entry as the policy sees them.
func (e Entry) acts() []access.Act {
	out := make([]access.Act, len(e.Steps))
	for i, s := range e.Steps {
		ref := s.Change.Ref
		if s.Change.Canary != nil {
			ref = s.Change.Canary.Of // what holds of a workload holds of its canary
		}
		out[i] = access.Act{
			Intents: e.intents(s), Cluster: ref.Cluster, Namespace: ref.Namespace, Kind: ref.Kind, Name: ref.Name,
			Labels: s.Change.Labels, Risk: s.Risk,
		}
	}
	return out
}

// intents are the names that a step goes by: what was asked for, and what the
// step does. A chain is what its steps are: else nothing a rule says of "scale"
// would hold for "scale web and restart cart".
func (e Entry) intents(s Step) []string {
	var out []string
	if e.Intent != "chain" && e.Intent != "" {
		out = append(out, e.Intent)
	}
	does := []string{intentOf(s.Change.Verb)}
	if s.Change.Pull != nil { // by way of Git it is the same change
		does = append(does, intentOf(s.Change.Pull.Change.Verb))
	}
	for _, d := range does {
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// intentOf is the intent by which people ask for a verb.
func intentOf(v kube.Verb) string {
	switch v {
	case kube.VerbImage, kube.VerbCanary, kube.VerbWithdraw:
		return "deploy"
	case kube.VerbTemplate:
		return "rollback"
	case kube.VerbSuspend:
		return "pause"
	case kube.VerbUnsuspend:
		return "resume"
	case kube.VerbSilence:
		return "alert_silence"
	case kube.VerbUnsilence:
		return "alert_unsilence"
	case kube.VerbDeleteJob: // nobody asks for it but to undo a run
		return "run_job"
	}
	return string(v)
}

// digest is a hash of all that an entry would do.
func digest(steps []Step) (string, error) {
	type shown struct {
		Change kube.Change
		Stage  int
		Diff   string
	}
	all := make([]shown, len(steps))
	for i, s := range steps {
		all[i] = shown{s.Change, s.Stage, s.Diff}
	}
	b, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("action: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// open are the approvals that are still wanted.
func (e Entry) open() []access.Approvers {
	return e.Verdict.Open(func(a access.Approvers) bool {
		return slices.ContainsFunc(e.Approvals, func(g Approval) bool { return g.Digest == e.Digest && slices.Contains(g.Rules, a.Rule) })
	})
}

// Approvers names those who agreed beside the one who asked.
func (e Entry) Approvers() []string {
	var out []string
	for _, a := range e.Approvals {
		if !slices.Contains(out, a.Person) {
			out = append(out, a.Person)
		}
	}
	return out
}

// WaitsFor names who may still approve, "" where nobody needs to.
func (e Entry) WaitsFor() string { return access.Verdict{Approvals: e.open()}.WhoMayApprove() }

// mayDecide returns the person who says yes or no to an entry, if they may. Who
// asked for it may always say no to it, and stop it: no freeze keeps anybody from
// doing less.
func (l *Ledger) mayDecide(ctx context.Context, e Entry, d Decision) (access.Person, error) {
	if l.writer != nil && !d.Yes && d.By.Key() == e.Speaker.Key() {
		p, _, err := l.access.Who(ctx, d.By)
		return p, err
	}
	return l.may(ctx, d.By)
}

// agree takes a yes of the one who asked as far as the policy lets it go: to
// Approved, or to Waiting where somebody else has to agree as well.
func (l *Ledger) agree(ctx context.Context, e Entry, d Decision, person access.Person) (Entry, error) {
	now := time.Now()
	e.Verdict = l.access.Judge(d.By, person, e.acts(), now) // anew: the time may be another, and the policy
	if err := e.Verdict.Refusal(); err != nil {
		return e, err
	}
	if e.Verdict.PIN {
		if d.PIN == "" {
			return e, PINWanted{}
		}
		if err := l.access.CheckPIN(ctx, person, d.PIN); err != nil {
			l.wrongPIN(ctx, e, d, person.Name, err)
			return e, err
		}
		e.PINGiven = true
	}
	if len(e.open()) == 0 {
		return l.begin(ctx, e, d.By)
	}
	code, err := l.freeCode(ctx)
	if err != nil {
		return e, err
	}
	e.Agreed, e.Expires, e.Code = now, now.Add(ApprovalLife), code
	return l.swap(ctx, e, Waiting)
}

// begin hands an entry that all agreed to over to Run.
func (l *Ledger) begin(ctx context.Context, e Entry, by access.Speaker) (Entry, error) {
	e.Decided = time.Now()
	if e.Undoes != "" {
		// What is being put back must not go on behind it.
		if _, err := l.CallOff(ctx, e.Undoes, by); err != nil && fault.KindOf(err) != fault.NotFound {
			return e, err
		}
	}
	e, err := l.swap(ctx, e, Approved)
	if err != nil {
		return e, err
	}
	l.enqueue(e)
	return e, nil
}

// MayApprove says whether somebody may approve an entry, with the reason if not.
func (l *Ledger) MayApprove(ctx context.Context, e Entry, by access.Speaker) error {
	_, _, err := l.mayApprove(ctx, e, by)
	return err
}

// mayApprove returns the entry with the policy's word of now, and the approval
// that somebody may give it.
func (l *Ledger) mayApprove(ctx context.Context, e Entry, by access.Speaker) (Entry, Approval, error) {
	now := time.Now()
	if l.writer == nil {
		return e, Approval{}, l.MayChange(ctx, by)
	}
	who, ok, err := l.access.Who(ctx, by)
	switch {
	case err != nil:
		return e, Approval{}, err
	case !ok:
		return e, Approval{}, fault.New(fault.Refused, "I do not know who you are, so you cannot approve: nobody has linked %s to a person.", by.Key())
	case e.State == Proposed:
		return e, Approval{}, fault.New(fault.Refused, "%s has not said yes to that yet, so there is nothing to approve.", e.Person)
	case e.State == Expired || e.State == Waiting && now.After(e.Expires):
		return e, Approval{}, fault.New(fault.Refused, "That waited for an approval too long. %s has to ask again.", e.Person)
	case e.State != Waiting:
		return e, Approval{}, fault.New(fault.Refused, "That is decided already.")
	case who.Name == e.Person || by.Key() == e.Speaker.Key():
		return e, Approval{}, fault.New(fault.Refused, "You asked for it yourself, so somebody else has to approve it: %s.", e.WaitsFor())
	}
	if who.ByRole { // who asked may be the same human being, by another name
		return e, Approval{}, fault.New(fault.Refused, "I know you by a role only, so I cannot tell whether you asked for it yourself. An admin can add %s to a person under access.people, or you say “link my phone” where I know you.", by.Key())
	}
	asker, err := l.access.Writer(ctx, e.Speaker)
	if err != nil {
		return e, Approval{}, err
	}
	e.Verdict = l.access.Judge(e.Speaker, asker, e.acts(), now)
	if err := e.Verdict.Refusal(); err != nil {
		return e, Approval{}, err
	}
	var rules []string
	for _, a := range e.open() {
		if a.May(who, by) {
			rules = append(rules, a.Rule)
		}
	}
	if len(rules) == 0 && len(e.open()) > 0 {
		return e, Approval{}, fault.New(fault.Refused, "You may not approve that here; %s may.", e.WaitsFor())
	}
	return e, Approval{Person: who.Name, Speaker: by, Rules: rules, Digest: e.Digest, At: now}, nil
}

// Approve is somebody's agreement to what somebody else asked for and said yes
// to. shown is the digest of what they were shown: what is another proposal
// since then is not approved by it.
func (l *Ledger) Approve(ctx context.Context, id, shown string, by access.Speaker) (Entry, error) {
	e, err := l.Entry(ctx, id)
	if err != nil {
		return e, err
	}
	e, approval, err := l.mayApprove(ctx, e, by)
	if err != nil {
		return e, err
	}
	sum, err := digest(e.Steps)
	if err != nil {
		return e, err
	}
	if sum != e.Digest || shown != sum {
		return e, fault.New(fault.Refused, "That is not what was shown to you, so your approval does not count. Ask for it to be read again.")
	}
	e.Approvals = append(slices.Clone(e.Approvals), approval)
	l.log.InfoContext(ctx, "approved", "action", id, "by", by.Key(), "person", approval.Person)
	if len(e.open()) > 0 {
		return l.swap(ctx, e, Waiting)
	}
	return l.begin(ctx, e, e.Speaker)
}

// Awaiting calls f with what waits for somebody's approval, newest first, until
// f returns false. f must not call the ledger.
func (l *Ledger) Awaiting(ctx context.Context, f func(Entry) bool) error {
	now := time.Now()
	return noJournal(l.journal.ActionsIn(ctx, string(Waiting), func(data []byte) (bool, error) {
		e, err := decode(data)
		if err != nil {
			return false, err
		}
		return now.After(e.Expires) || f(e), nil
	}))
}

// freeCode is four digits that no other entry that waits goes by. It is a name
// to say, not a secret: who approves is known by who speaks.
func (l *Ledger) freeCode(ctx context.Context) (string, error) {
	used := map[string]bool{}
	err := l.Awaiting(ctx, func(e Entry) bool {
		used[e.Code] = true
		return len(used) < 1000
	})
	for err == nil {
		n, rerr := rand.Int(rand.Reader, big.NewInt(9000))
		if rerr != nil {
			return "", fmt.Errorf("action: %w", rerr)
		}
		if code := strconv.FormatInt(n.Int64()+1000, 10); !used[code] {
			return code, nil
		}
	}
	return "", err
}

// lapse ends what waited for an approval too long, and tells the one who asked.
func (l *Ledger) lapse(ctx context.Context, r Reporter) error {
	var late []Entry
	now := time.Now()
	err := l.journal.ActionsIn(ctx, string(Waiting), func(data []byte) (bool, error) {
		e, err := decode(data)
		if err == nil && now.After(e.Expires) {
			late = append(late, e)
		}
		return true, err
	})
	for _, e := range late {
		if e, err = l.swap(ctx, e, Expired); err == nil {
			err = r.Outcome(ctx, e)
		}
		if err != nil {
			l.log.WarnContext(ctx, "not told that nobody approved", "action", e.ID, "err", err)
		}
	}
	return err
}
