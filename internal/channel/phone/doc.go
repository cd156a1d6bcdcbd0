// Package phone is the telephone: calls that come in and go out, and text
// messages, through Twilio or a carrier that speaks as it does. It verifies who
// posts, turns what was said or keyed into turns of a conversation, and answers
// with TwiML that is composed for the ear.
//
// A caller's number can be forged. What a caller may change is decided by the
// access rules: the carrier must vouch for the number, and the person keys a PIN.
package phone
