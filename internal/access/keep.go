package access

import (
	"context"
	"log/slog"
	"time"
)

// Keeper keeps what must outlive the process; *store.Store is one.
type Keeper interface {
	links
	codes
	pins
	tries
}

type links interface {
	// LinkOf returns the person a speaker is linked to, "" for none.
	LinkOf(ctx context.Context, speaker string) (person string, err error)
	// PutLink links a speaker to a person, in place of any other.
	PutLink(ctx context.Context, speaker, person string) error
	// DropLink ends a speaker's link and reports whether there was one.
	DropLink(ctx context.Context, speaker string) (bool, error)
}

type codes interface {
	// PutCode keeps the hash of a person's code, in place of an earlier one.
	PutCode(ctx context.Context, person, hash string, expires time.Time) error
	// Codes returns the hashes that have not expired, by person.
	Codes(ctx context.Context, now time.Time) (map[string]string, error)
	// TakeCode forgets a person's code and reports whether it was there.
	TakeCode(ctx context.Context, person, hash string) (bool, error)
}

type pins interface {
	// PINOf returns the hash of a person's PIN, "" for none.
	PINOf(ctx context.Context, person string) (hash string, err error)
	PutPIN(ctx context.Context, person, hash string) error
}

type tries interface {
	// Try counts a try of a key and reports how many are left after it. Once max
	// were made, none is counted nor allowed (ok is false) before rest has passed
	// since the last; after such a rest counting begins anew.
	Try(ctx context.Context, key string, now time.Time, max int, rest time.Duration) (left int, ok bool, err error)
	// Forgive forgets the tries of a key.
	Forgive(ctx context.Context, key string) error
}

// Hidden is a PIN or code on its way to being checked. It shows itself to
// nobody: not to a log, an error, or JSON.
type Hidden string

const hidden = "(hidden)"

// String hides the value.
func (Hidden) String() string { return hidden }

// GoString hides the value from %#v.
func (Hidden) GoString() string { return hidden }

// MarshalText hides the value from JSON and YAML.
func (Hidden) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the value from logs.
func (Hidden) LogValue() slog.Value { return slog.StringValue(hidden) }
