// Package intents understands sentences about a cluster without a language
// model, and words the replies.
//
// What can be said lies in a catalogue: one YAML file an intent family under
// en/, with sentence templates, slots, the questions of the conversation and
// the replies. Adding an intent or a phrasing needs no Go. [Load] checks a
// catalogue and names file, line and template where it is wrong.
//
// # Sentences
//
// A template is a line of words with
//
//	(a|b)          one of them
//	[a]            may be left out
//	(a;b)          both, in any order
//	{slot}         a value of the slot's declared type
//	{slot:type}    a value of another type
//	{slot=value}   sets the slot, consumes no words
//	<rule>         a rule of the file's rules: section, or of another file
//
// Sentences below `terse:` hold for sentences that are not questions; those
// below `answers:` only while that slot is asked for.
//
// # Frames
//
// People put their words in any order. A frame is a cue with parts around it,
// each as often as it comes, in any order:
//
//	frames:
//	  - cue: (log|logs)
//	    before: [show me]            # parts that stand before the cue only
//	    parts: ["[of] {targets}", <since>, "{level:level} [messages]"]
//	    exact: true                  # skip nothing between the parts
//
// Frames are tried where no template fits, or none without a repair. In a frame
// of an intent that only reads, small words (words: idle:) are skipped between
// the parts, and up to three others where something that exists was named;
// never a word of a writing intent. A frame of a writing intent skips nothing.
//
// # How a sentence is read
//
// All templates are compiled into one automaton, which follows those that begin
// alike together for their first words. A sentence becomes a lattice
// of words and typed spans (numbers, versions, names of the inventory), and the
// cheapest path through both wins: every word must be accounted for, polite
// words cost little, a repaired word more, a name nobody knows most. The
// automaton does not know the inventory, so names may change while it serves.
//
// A wrong act costs an outage, a question costs a second. So templates never
// skip words they do not know, and guards (questions, negation, reported
// speech, conditions) forbid every reading that would write.
package intents
