package diagnosis

import "time"

// Verdict is what the evidence says.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Causes, the likeliest first; none where the Outcome is Nothing.
	Causes []Cause `json:"causes,omitempty"`
	// Innocent are changes that look guilty and are not, with why.
	Innocent []Innocent `json:"innocent,omitempty"`
	// Since is when the trouble began, zero where that is not known.
	Since time.Time `json:"since,omitzero"`
	// Shows is how the symptom shows itself at the target, the plainest first.
	Shows []Evidence `json:"shows,omitempty"`
	// Missing is what would have to be known to be surer: LacksRequests, …
	Missing []string `json:"missing,omitempty"`
}

// Outcome is what came of a diagnosis.
type Outcome string

// The outcomes.
const (
	Found   Outcome = "found"   // the first cause is worth saying
	Nothing Outcome = "nothing" // nothing is wrong
	Unclear Outcome = "unclear" // not enough evidence
)

// Sure is how sure a cause is, as a word.
type Sure string

// How sure.
const (
	Surely   Sure = "surely"
	Probably Sure = "probably"
	Perhaps  Sure = "perhaps"
)

// Cause is one explanation.
type Cause struct {
	Rule  string `json:"rule"`  // "bad_release_errors", see Rules
	About Object `json:"about"` // what is at fault
	// Detail is what the wording needs beside About: a key, an image, a port.
	Detail   string     `json:"detail,omitempty"`
	Since    time.Time  `json:"since,omitzero"`
	Score    float64    `json:"score"` // 0 to 1
	Sure     Sure       `json:"sure"`
	Evidence []Evidence `json:"evidence"`          // what speaks for it
	Against  []Evidence `json:"against,omitempty"` // what speaks against it
	Next     Step       `json:"next"`
}

// Innocent is a change that did not do it.
type Innocent struct {
	Change Evidence `json:"change"`
	Why    string   `json:"why"` // "began_before", "old_is_the_same", "others_too", "callee", "unhurt"
	Then   Object   `json:"then,omitzero"`
}

// Step is what to do next.
type Step struct {
	Do    Do     `json:"do"`
	About Object `json:"about"`
	// To is the value to set: a version, an image, a name; Name what is set.
	To   string `json:"to,omitempty"`
	Name string `json:"name,omitempty"`
	// Value is a number to set: replicas, a maximum, a revision.
	Value int `json:"value,omitempty"`
}

// Do is a kind of step.
type Do string

// The steps. The first few are what firstmate does itself when it is told "yes".
const (
	RollBack     Do = "roll_back"     // About the workload; Value the revision, To its version
	ScaleUp      Do = "scale_up"      // About the workload; Value the replicas
	RaiseMaximum Do = "raise_maximum" // About the workload; Value the HPA's maximum
	Uncordon     Do = "uncordon"      // About the node
	RaiseLimit   Do = "raise_limit"   // About the workload; Name "memory" or "cpu"; To the limit
	FixImage     Do = "fix_image"     // About the workload; To the image that cannot be had
	GiveRights   Do = "give_rights"   // About the workload: a pull secret
	RestoreKey   Do = "restore_key"   // About the ConfigMap or Secret; Name the key
	SetVariable  Do = "set_variable"  // About the workload; Name the variable
	FixProbe     Do = "fix_probe"     // About the workload; Name which
	FixSelector  Do = "fix_selector"  // About the Service; To the labels
	FixPort      Do = "fix_port"      // About the Service; To the port
	FixVolume    Do = "fix_volume"    // About the PVC
	RaiseQuota   Do = "raise_quota"   // About the ResourceQuota; Name the resource
	FixPolicy    Do = "fix_policy"    // About the NetworkPolicy
	RenewCert    Do = "renew_cert"    // About the Secret, Ingress or host
	RaisePool    Do = "raise_pool"    // About the workload
	RestoreConf  Do = "restore_conf"  // About the ConfigMap
	AddNode      Do = "add_node"      // About the cluster
	LimitOther   Do = "limit_other"   // About the neighbour
	LookAt       Do = "look_at"       // About what is to be looked at
	Wait         Do = "wait"          // nothing to do
)
