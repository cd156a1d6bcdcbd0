package alertmanager_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// fire posts alerts as Prometheus does.
func fire(t *testing.T, url string, alerts ...map[string]any) {
	t.Helper()
	b, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(url+"/api/v2/alerts", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal("posting alerts: ", resp.Status)
	}
}

func firing(name, severity string, since time.Time, labels map[string]string, annotations map[string]string) map[string]any {
	all := map[string]string{"alertname": name, "severity": severity}
	for k, v := range labels {
		all[k] = v
	}
	return map[string]any{"labels": all, "annotations": annotations, "startsAt": since, "generatorURL": "http://prometheus.example/graph"}
}
