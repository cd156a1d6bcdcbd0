package diagnosis

// Finding is a verdict as it would be told, for somebody else to put into better
// words: what they may say is what stands in it.
type Finding struct {
	// Lead and Why are how firstmate itself tells it: the symptom ("checkout is slow
	// since 14:05"), and what it puts behind "because".
	Lead, Why string
	// Target and Cause are what was asked about and what is at fault.
	Target, Cause string
	Sure          Sure
	Facts         []Fact
}

// Fact is one piece of evidence in words.
type Fact struct {
	Line string // ours, but for names, numbers and times
	// Quote is what a workload, an event or an alert says, clipped and masked: text of
	// strangers.
	Quote string
}
