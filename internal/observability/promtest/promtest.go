// Package promtest puts samples into a Prometheus by remote write, for tests.
package promtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// Series is a series with its samples.
type Series struct {
	Labels  map[string]string // with __name__
	Samples []Sample          // oldest first
}

// Sample is a value at a moment: of a counter or gauge, or of a native histogram.
type Sample struct {
	At    time.Time
	Value float64
	// Native makes it a native histogram whose observations all lie in one bucket.
	Native *Native
}

// Native is a native histogram of schema 0, whose buckets end at powers of two.
type Native struct {
	Count  uint64 // all of them in the bucket that ends at 2^Bucket
	Bucket int32
	Sum    float64
}

// Line makes a series of which a function tells the value, from the start of a
// window to its end.
func Line(labels map[string]string, from, to time.Time, step time.Duration, value func(since time.Duration) float64) Series {
	s := Series{Labels: labels}
	for at := from; !at.After(to); at = at.Add(step) {
		s.Samples = append(s.Samples, Sample{At: at, Value: value(at.Sub(from))})
	}
	return s
}

// Write sends series to the remote-write receiver of the Prometheus at an address.
func Write(ctx context.Context, url string, series ...Series) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, encode(series))))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("remote write: %d %s", resp.StatusCode, text)
	}
	return nil
}

// encode is a prometheus.WriteRequest as a protocol buffer.
func encode(all []Series) []byte {
	var out []byte
	for _, s := range all {
		var b []byte
		for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
			var l []byte
			l = protowire.AppendString(protowire.AppendTag(l, 1, protowire.BytesType), name)
			l = protowire.AppendString(protowire.AppendTag(l, 2, protowire.BytesType), s.Labels[name])
			b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), l)
		}
		for _, p := range s.Samples {
			if p.Native != nil {
				b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), native(p))
				continue
			}
			var v []byte
			v = protowire.AppendFixed64(protowire.AppendTag(v, 1, protowire.Fixed64Type), math.Float64bits(p.Value))
			v = protowire.AppendVarint(protowire.AppendTag(v, 2, protowire.VarintType), uint64(p.At.UnixMilli())) //nolint:gosec // after 1970
			b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), v)
		}
		out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), b)
	}
	return out
}

// native is a prometheus.Histogram.
func native(p Sample) []byte {
	n := p.Native
	varint := func(b []byte, field protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
	}
	double := func(b []byte, field protowire.Number, v float64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
	}
	var b []byte
	b = varint(b, 1, n.Count)
	b = double(b, 3, n.Sum)
	b = varint(b, 4, protowire.EncodeZigZag(0)) // schema
	b = double(b, 5, 1e-128)                    // the width of the zero bucket
	var span []byte
	span = varint(span, 1, protowire.EncodeZigZag(int64(n.Bucket)))
	span = varint(span, 2, 1)
	b = protowire.AppendBytes(protowire.AppendTag(b, 11, protowire.BytesType), span)
	b = protowire.AppendBytes(protowire.AppendTag(b, 12, protowire.BytesType), protowire.AppendVarint(nil, protowire.EncodeZigZag(int64(n.Count)))) //nolint:gosec // small
	return varint(b, 15, uint64(p.At.UnixMilli()))                                                                                                  //nolint:gosec // after 1970
}
