package emit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// Lines gathers log lines and pushes them to a Loki server. It is not for use by
// several at once.
type Lines struct {
	url     string
	client  *http.Client
	streams map[string][]entry
	bytes   int
}

type entry struct {
	at   time.Time
	text string
}

// NewLines pushes to the server at a base URL.
func NewLines(url string, client *http.Client) *Lines {
	return &Lines{url: strings.TrimRight(url, "/") + "/loki/api/v1/push", client: client, streams: map[string][]entry{}}
}

// Stream names a stream by its labels, names and values in turn.
func Stream(labels ...string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i+1 < len(labels); i += 2 {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s=%q", labels[i], labels[i+1])
	}
	b.WriteByte('}')
	return b.String()
}

// Add adds a line to a stream.
func (l *Lines) Add(stream string, at time.Time, text string) {
	l.streams[stream] = append(l.streams[stream], entry{at, text})
	l.bytes += len(text) + 24
}

// Bytes is about how much waits to be pushed.
func (l *Lines) Bytes() int { return l.bytes }

// Drop forgets what was gathered.
func (l *Lines) Drop() {
	clear(l.streams)
	l.bytes = 0
}

// Flush pushes what was gathered, each stream in the order of time. What cannot
// be pushed is dropped.
func (l *Lines) Flush(ctx context.Context) error {
	if len(l.streams) == 0 {
		return nil
	}
	// PushRequest of Loki's push.proto: streams = 1 {labels = 1, entries = 2
	// {timestamp = 1, line = 2}}. Its Go package would bring half of Loki.
	body := make([]byte, 0, l.bytes+l.bytes/4)
	var stream, one, stamp []byte
	for _, labels := range slices.Sorted(maps.Keys(l.streams)) {
		entries := l.streams[labels]
		slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
		stream = protowire.AppendTag(stream[:0], 1, protowire.BytesType)
		stream = protowire.AppendString(stream, labels)
		for _, e := range entries {
			stamp = protowire.AppendTag(stamp[:0], 1, protowire.VarintType)
			stamp = protowire.AppendVarint(stamp, uint64(e.at.Unix()))
			stamp = protowire.AppendTag(stamp, 2, protowire.VarintType)
			stamp = protowire.AppendVarint(stamp, uint64(e.at.Nanosecond()))
			one = protowire.AppendTag(one[:0], 1, protowire.BytesType)
			one = protowire.AppendBytes(one, stamp)
			one = protowire.AppendTag(one, 2, protowire.BytesType)
			one = protowire.AppendString(one, e.text)
			stream = protowire.AppendTag(stream, 2, protowire.BytesType)
			stream = protowire.AppendBytes(stream, one)
		}
		body = protowire.AppendTag(body, 1, protowire.BytesType)
		body = protowire.AppendBytes(body, stream)
	}
	l.Drop()
	if err := post(ctx, l.client, l.url, snappy.Encode(nil, body), "application/x-protobuf", ""); err != nil {
		return fmt.Errorf("pushing log lines: %w", err)
	}
	return nil
}
