// Package llm asks a language model, through any endpoint that talks as OpenAI's
// does, two things and no more: what a sentence means that the grammar does not know,
// as an intent of the catalogue (Understander), and how to word a diagnosis whose
// evidence is already there (Wordsmith). Either is off by default.
//
// The model is a stranger. It gets no tools and no way to act; it sees the sentence
// with what looks like secrets masked, the names that the speaker may know of, or the
// facts of one diagnosis: fenced, labelled as data, encoded so that nothing in it can
// end the fence. What it answers is read strictly, bounded in size and time, held to
// the catalogue by intents.Recognizer.Fill and to the evidence by Check, and
// otherwise dropped. Tokens are counted for each person and day; an endpoint that fails
// is not asked for a while.
//
// go-openai is the client, because it is the kept one that takes any base URL;
// gobreaker the circuit, as in observability/backend, whose client asks back-ends for
// JSON of their own and repeats requests: a sentence is asked about once.
package llm
