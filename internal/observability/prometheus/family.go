package prometheus

import (
	"regexp"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Family is a way to measure something: what there has to be in Prometheus, and
// the query then. Users add their own in the configuration, before the built-in ones.
//
// In Query these stand for what a question is about: $scope the matchers of the
// workload, last in the braces; $by the labels that lines are told apart by, as
// in sum by ($by le); $window the span of a rate; $range the whole span that was
// asked about; $q a quantile, 0.99; $status the matcher of failed requests.
//
// In Scopes: $namespace, $name, $kind ("deployment"), and with =~ $pods and
// $services, the regular expressions of their names.
type Family struct {
	Name   string               `yaml:"name"`   // as it is shown where nothing was found
	Metric observability.Metric `yaml:"metric"` // what it measures
	// Histogram makes families for latency, error_rate and request_rate of a
	// histogram, classic or native, in place of Metric and Query.
	Histogram string `yaml:"histogram"`
	Query     string `yaml:"query"`
	// Needs are the names that all have to exist, by default those in Query;
	// Without is one that must not.
	Needs   []string `yaml:"needs"`
	Without string   `yaml:"without"`
	// Scopes are ways to say which workload, each a list of matchers like
	// namespace="$namespace". The first with data is taken. By default by pod,
	// then by Service.
	Scopes [][]string `yaml:"scopes"`
	// Status are the labels that may hold the status of a request, and Failed
	// the regular expression of a failure there.
	Status []string `yaml:"status"`
	Failed string   `yaml:"failed"`
	// Of is what it is about: "" a workload, "node", or "peer": calls to others.
	Of    string             `yaml:"of"`
	Scale float64            `yaml:"scale"` // to the unit of the metric: 0.001 for milliseconds
	Unit  observability.Unit `yaml:"unit"`  // where it is not that of the metric
	Mean  bool               `yaml:"mean"`  // a mean in place of a quantile
	// Owner tells how workloads are told apart: by the names of pods, or, where
	// it is "label", by a label such as service.
	Owner string `yaml:"owner"`
}

// unit is what the numbers of a metric are in.
func unit(m observability.Metric) observability.Unit {
	switch m {
	case observability.Latency, observability.Uptime:
		return observability.Seconds
	case observability.ErrorRate, observability.Disk, observability.Saturation, observability.Throttling:
		return observability.Ratio
	case observability.RequestRate:
		return observability.PerSecond
	case observability.CPU:
		return observability.Cores
	case observability.Memory:
		return observability.Bytes
	case observability.Network:
		return observability.BytesRate
	}
	return observability.Count
}

// metrics are the names that a family may measure.
func metrics() []observability.Metric {
	return []observability.Metric{
		observability.Latency, observability.ErrorRate, observability.RequestRate, observability.CPU, observability.Memory,
		observability.Disk, observability.Network, observability.Lag, observability.Restarts, observability.Saturation,
		observability.Connections, observability.Queue, observability.Throttling, observability.Uptime, observability.Replicas,
	}
}

// needed finds the metric names of a query: what stands before braces with $scope.
var needed = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{[^{}]*\$scope\}`)

// Expand checks families and writes out what they leave to defaults.
func Expand(all []Family) ([]Family, error) {
	var out []Family
	for _, f := range all {
		bad := func(why string) error {
			return fault.New(fault.Usage, "observability.prometheus.families: %s: %s.", nameOf(f), why)
		}
		if f.Of != "" && f.Of != "node" && f.Of != "peer" {
			return nil, bad("of is node or peer, or left out")
		}
		if len(f.Scopes) == 0 {
			f.Scopes = appScopes()
		}
		for _, s := range f.Scopes {
			if _, err := parseScope(s); err != nil {
				return nil, bad(fault.Say(err))
			}
		}
		if f.Scale == 0 {
			f.Scale = 1
		}
		if f.Failed == "" {
			f.Failed = "5.."
		}
		if f.Name == "" {
			f.Name = nameOf(f)
		}
		if f.Histogram != "" {
			if f.Query != "" || f.Metric != "" {
				return nil, bad("it has a histogram, so metric and query are not needed: remove them or the histogram")
			}
			if len(f.Status) == 0 {
				f.Status = statuses()
			}
			out = append(out, histogram(f)...)
			continue
		}
		if !slices.Contains(metrics(), f.Metric) {
			return nil, bad("metric is one of " + list(metrics()) + ", or there is a histogram")
		}
		if len(f.Needs) == 0 {
			for _, m := range needed.FindAllStringSubmatch(f.Query, -1) {
				if !slices.Contains(f.Needs, m[1]) {
					f.Needs = append(f.Needs, m[1])
				}
			}
		}
		if len(f.Needs) == 0 {
			return nil, bad("query is PromQL with $scope as the last matcher of each metric, like sum by ($by) (jobs_waiting{$scope})")
		}
		if strings.Contains(f.Query, "$status") && len(f.Status) == 0 {
			f.Status = statuses()
		}
		if f.Unit == "" {
			f.Unit = unit(f.Metric)
		}
		out = append(out, f)
	}
	// A quantile, whoever has it, says more than a mean.
	slices.SortStableFunc(out, func(a, b Family) int {
		switch {
		case a.Mean == b.Mean:
			return 0
		case a.Mean:
			return 1
		}
		return -1
	})
	return out, nil
}

func nameOf(f Family) string {
	for _, s := range []string{f.Name, f.Histogram, string(f.Metric)} {
		if s != "" {
			return s
		}
	}
	return "a family without a name"
}

func list(all []observability.Metric) string {
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = string(m)
	}
	return strings.Join(out, ", ")
}

// histogram makes the families of a histogram of durations.
func histogram(f Family) []Family {
	h := f.Histogram
	f.Histogram, f.Owner = "", "label"
	part := func(metric observability.Metric, mean bool, without, query string, needs ...string) Family {
		p := f
		p.Metric, p.Mean, p.Without, p.Query, p.Needs, p.Unit = metric, mean, without, query, needs, unit(metric)
		if metric != observability.Latency {
			p.Scale = 1
		}
		return p
	}
	count := "rate(" + h + "_count{$scope}[$window])"
	failed := "rate(" + h + "_count{$status,$scope}[$window])"
	native := "histogram_count(rate(" + h + "{$scope}[$window]))"
	nativeFailed := "histogram_count(rate(" + h + "{$status,$scope}[$window]))"
	return []Family{
		part(observability.Latency, false, "", "histogram_quantile($q, sum by ($by le) (rate("+h+"_bucket{$scope}[$window])))", h+"_bucket"),
		part(observability.Latency, false, h+"_count", "histogram_quantile($q, sum by ($by) (rate("+h+"{$scope}[$window])))", h),
		part(observability.Latency, true, "", "sum by ($by) (rate("+h+"_sum{$scope}[$window])) / sum by ($by) ("+count+")", h+"_sum", h+"_count"),
		part(observability.RequestRate, false, "", "sum by ($by) ("+count+")", h+"_count"),
		part(observability.RequestRate, false, h+"_count", "sum by ($by) ("+native+")", h),
		part(observability.ErrorRate, false, "", share(failed, count), h+"_count"),
		part(observability.ErrorRate, false, h+"_count", share(nativeFailed, native), h),
	}
}

// share is the part of the requests that failed: 0 where there are requests and
// none failed, nothing where there are none.
func share(failed, all string) string {
	return "(sum by ($by) (" + failed + ") or 0 * sum by ($by) (" + all + ")) / sum by ($by) (" + all + ")"
}

// counter makes the families of a counter of requests.
func counter(f Family, total string) []Family {
	if len(f.Status) == 0 {
		f.Status = statuses()
	}
	f.Owner = "label"
	rate, errors := f, f
	all := "rate(" + total + "{$scope}[$window])"
	rate.Metric, rate.Query = observability.RequestRate, "sum by ($by) ("+all+")"
	errors.Metric, errors.Query = observability.ErrorRate, share("rate("+total+"{$status,$scope}[$window])", all)
	return []Family{rate, errors}
}

// statuses are the labels by which the status of an HTTP request goes.
func statuses() []string {
	return []string{"http_response_status_code", "http_status_code", "status_code", "code", "status", "response_code", "http_code"}
}
