package emit

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one step of a trace. Parent is 0 for the first.
type Span struct {
	Trace, ID, Parent uint64
	// Service and the rest of Resource say who made it.
	Service, Version, Namespace, Pod string
	Name                             string
	Client                           bool
	Start                            time.Time
	Took                             time.Duration
	Failure                          string // "" if it went well
	Attributes                       map[string]string
	Code                             int
}

// Spans gathers spans and exports them by OTLP over HTTP. It is not for use by
// several at once.
type Spans struct {
	url    string
	client *http.Client
	all    map[origin][]*trace.Span
}

type origin struct{ service, version, namespace, pod string }

// NewSpans exports to the receiver at a base URL.
func NewSpans(url string, client *http.Client) *Spans {
	return &Spans{url: strings.TrimRight(url, "/") + "/v1/traces", client: client, all: map[origin][]*trace.Span{}}
}

// TraceID is how a trace's number is written.
func TraceID(n uint64) string { return fmt.Sprintf("%016x%016x", n*0x9e3779b97f4a7c15, n) }

// Add adds a span.
func (s *Spans) Add(sp Span) {
	id := make([]byte, 16)
	binary.BigEndian.PutUint64(id, sp.Trace*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], sp.Trace)
	out := &trace.Span{
		TraceId: id, SpanId: binary.BigEndian.AppendUint64(nil, sp.ID), Name: sp.Name,
		Kind:              trace.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: uint64(sp.Start.UnixNano()), EndTimeUnixNano: uint64(sp.Start.Add(sp.Took).UnixNano()),
	}
	if sp.Parent != 0 {
		out.ParentSpanId = binary.BigEndian.AppendUint64(nil, sp.Parent)
	}
	if sp.Client {
		out.Kind = trace.Span_SPAN_KIND_CLIENT
	}
	for _, k := range slices.Sorted(maps.Keys(sp.Attributes)) {
		out.Attributes = append(out.Attributes, text(k, sp.Attributes[k]))
	}
	if sp.Code > 0 {
		out.Attributes = append(out.Attributes, &common.KeyValue{Key: "http.response.status_code", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(sp.Code)}}})
	}
	if sp.Failure != "" {
		out.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR, Message: sp.Failure}
	}
	o := origin{sp.Service, sp.Version, sp.Namespace, sp.Pod}
	s.all[o] = append(s.all[o], out)
}

func text(k, v string) *common.KeyValue {
	return &common.KeyValue{Key: k, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}}
}

// Flush exports what was gathered. What cannot be exported is dropped.
func (s *Spans) Flush(ctx context.Context) error {
	if len(s.all) == 0 {
		return nil
	}
	var data trace.TracesData // on the wire the same as a request to export
	for o, spans := range s.all {
		data.ResourceSpans = append(data.ResourceSpans, &trace.ResourceSpans{
			Resource: &resource.Resource{Attributes: []*common.KeyValue{
				text("service.name", o.service), text("service.version", o.version), text("service.namespace", o.namespace),
				text("k8s.namespace.name", o.namespace), text("k8s.pod.name", o.pod), text("k8s.deployment.name", o.service),
			}},
			ScopeSpans: []*trace.ScopeSpans{{Scope: &common.InstrumentationScope{Name: "http"}, Spans: spans}},
		})
	}
	clear(s.all)
	b, err := proto.Marshal(&data)
	if err != nil {
		return err
	}
	if err := post(ctx, s.client, s.url, b, "application/x-protobuf", ""); err != nil {
		return fmt.Errorf("exporting spans: %w", err)
	}
	return nil
}
