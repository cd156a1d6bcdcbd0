// Package emit sends what services would have written to where it would have
// ended up: samples by Prometheus' remote write, lines by Loki's push API, spans
// by OTLP. It knows nothing of the shop.
package emit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// stale is the sample that says that a series has ended (value.StaleNaN of
// Prometheus' model).
var stale = math.Float64frombits(0x7ff0000000000002)

// Metrics gathers samples and writes them to a Prometheus server. A series that
// is there in one round and not in the next has ended, as a scrape would say.
// It is not for use by several at once.
type Metrics struct {
	url    string
	client *http.Client
	series map[string]*series
	hists  map[string]*histogram
	round  int
	at     int64
	order  []*series // those with samples
}

type series struct {
	labels  []prompb.Label
	samples []prompb.Sample
	round   int
	key     string
}

type histogram struct {
	buckets    []*series
	sum, count *series
	round      int
}

// NewMetrics writes to the server at a base URL.
func NewMetrics(url string, client *http.Client) *Metrics {
	return &Metrics{url: strings.TrimRight(url, "/") + "/api/v1/write", client: client, series: map[string]*series{}, hists: map[string]*histogram{}}
}

// Begin starts a round: samples that are added now are of that moment.
func (m *Metrics) Begin(at time.Time) {
	m.round++
	m.at = at.UnixMilli()
}

// Gauge adds a sample. labels are names and values in turn.
func (m *Metrics) Gauge(name string, value float64, labels ...string) {
	m.add(m.find(name, labels, ""), value)
}

// Histogram adds what a histogram holds: counts (not cumulative) for the bounds
// and for what is above the last.
func (m *Metrics) Histogram(name string, bounds, counts []float64, sum float64, labels ...string) {
	key := name + "\xff" + strings.Join(labels, "\xff")
	h := m.hists[key]
	if h == nil {
		h = &histogram{}
		for _, b := range bounds {
			h.buckets = append(h.buckets, m.find(name+"_bucket", labels, strconv.FormatFloat(b, 'g', -1, 64)))
		}
		h.buckets = append(h.buckets, m.find(name+"_bucket", labels, "+Inf"))
		h.sum, h.count = m.find(name+"_sum", labels, ""), m.find(name+"_count", labels, "")
		m.hists[key] = h
	}
	h.round = m.round
	total := 0.0
	for i, s := range h.buckets {
		total += counts[i]
		m.add(s, total)
	}
	m.add(h.sum, sum)
	m.add(h.count, total)
}

func (m *Metrics) find(name string, labels []string, le string) *series {
	key := name + "\xfe" + le + "\xff" + strings.Join(labels, "\xff")
	s := m.series[key]
	if s != nil {
		return s
	}
	s = &series{key: key, labels: []prompb.Label{{Name: "__name__", Value: name}}}
	if le != "" {
		s.labels = append(s.labels, prompb.Label{Name: "le", Value: le})
	}
	for i := 0; i+1 < len(labels); i += 2 {
		if labels[i+1] != "" { // to Prometheus, an empty label is none
			s.labels = append(s.labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
		}
	}
	slices.SortFunc(s.labels, func(a, b prompb.Label) int { return strings.Compare(a.Name, b.Name) })
	m.series[key] = s
	return s
}

func (m *Metrics) add(s *series, value float64) {
	if len(s.samples) == 0 {
		m.order = append(m.order, s)
	}
	s.samples = append(s.samples, prompb.Sample{Timestamp: m.at, Value: value})
	s.round = m.round
}

// End ends a round: series that had no sample in it have ended.
func (m *Metrics) End() {
	for key, s := range m.series {
		if s.round == m.round {
			continue
		}
		at := m.round
		m.add(s, stale)
		s.round = at
		delete(m.series, key)
	}
	for key, h := range m.hists {
		if h.round != m.round {
			delete(m.hists, key)
		}
	}
}

// perRequest is how many samples go in one request.
const perRequest = 20000

// Flush writes what was gathered. What cannot be written is dropped: a server
// that was away has a gap, as with a scrape.
func (m *Metrics) Flush(ctx context.Context) error {
	order := m.order
	m.order = nil
	defer func() {
		for _, s := range order {
			s.samples = s.samples[:0]
		}
	}()
	var req prompb.WriteRequest
	n := 0
	for i, s := range order {
		req.Timeseries = append(req.Timeseries, prompb.TimeSeries{Labels: s.labels, Samples: s.samples})
		n += len(s.samples)
		if n < perRequest && i < len(order)-1 {
			continue
		}
		b, err := req.Marshal()
		if err != nil {
			return err
		}
		if err := post(ctx, m.client, m.url, snappy.Encode(nil, b), "application/x-protobuf", "snappy"); err != nil {
			return fmt.Errorf("writing metrics: %w", err)
		}
		req.Timeseries, n = req.Timeseries[:0], 0
	}
	return nil
}

// Series is how many there are at present.
func (m *Metrics) Series() int { return len(m.series) }

func post(ctx context.Context, client *http.Client, url string, body []byte, contentType, encoding string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 400))
		return fmt.Errorf("%s answered %s: %s", url, res.Status, bytes.TrimSpace(b))
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
