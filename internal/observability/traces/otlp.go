package traces

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// otlp is a trace in OTLP's JSON, under the names that it has had there.
type otlp struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
	Batches       []resourceSpans `json:"batches"`
}

type resourceSpans struct {
	Resource struct {
		Attributes []attribute `json:"attributes"`
	} `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
	Older      []scopeSpans `json:"instrumentationLibrarySpans"`
}

type scopeSpans struct {
	Spans []otlpSpan `json:"spans"`
}

type attribute struct {
	Key   string `json:"key"`
	Value struct {
		StringValue string `json:"stringValue"`
	} `json:"value"`
}

type otlpSpan struct {
	TraceID      string `json:"traceId"`
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	Kind         word   `json:"kind"`
	Start        nanos  `json:"startTimeUnixNano"`
	End          nanos  `json:"endTimeUnixNano"`
	Status       struct {
		Code word `json:"code"`
	} `json:"status"`
}

// word is an enumeration, which is written as its number or its name.
type word string

// UnmarshalJSON reads either.
func (w *word) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*w = word(s)
		return nil
	}
	var n int
	err := json.Unmarshal(b, &n)
	*w = word(strconv.Itoa(n))
	return err
}

// nanos is a time in nanoseconds, which is written as a number or as a text.
type nanos int64

// UnmarshalJSON reads either.
func (n *nanos) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	v, err := strconv.ParseInt(s, 10, 64)
	*n = nanos(v)
	return err
}

// spans are those of a trace.
func (o otlp) spans() ([]span, error) {
	all := append(o.ResourceSpans, o.Batches...)
	if len(all) == 0 {
		return nil, errors.New("traces: a trace without spans")
	}
	var out []span
	for _, r := range all {
		service := ""
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.StringValue
			}
		}
		for _, scope := range append(r.ScopeSpans, r.Older...) {
			for _, s := range scope.Spans {
				trace, err := identity(s.TraceID, 16)
				if err != nil {
					return nil, err
				}
				id, err := identity(s.SpanID, 8)
				if err != nil {
					return nil, err
				}
				parent := ""
				if s.ParentSpanID != "" {
					if parent, err = identity(s.ParentSpanID, 8); err != nil {
						return nil, err
					}
				}
				out = append(out, span{
					trace: trace, id: id, parent: parent, service: service, name: s.Name,
					start: time.Unix(0, int64(s.Start)).UTC(), duration: time.Duration(s.End - s.Start),
					failed: s.Status.Code == "2" || s.Status.Code == "STATUS_CODE_ERROR",
					async:  s.Kind == "5" || s.Kind == "SPAN_KIND_CONSUMER",
				})
			}
		}
	}
	return out, nil
}

// identity is an id in hexadecimal, which OTLP's JSON demands; Tempo writes
// base64, as JSON of protocol buffers is by default.
func identity(s string, size int) (string, error) {
	if len(s) == 2*size && hexadecimal(s) {
		return s, nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != size {
		return "", fmt.Errorf("traces: %q is no id of %d bytes", clip(s), size)
	}
	return hex.EncodeToString(b), nil
}
