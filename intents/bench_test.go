package intents

import (
	"fmt"
	"testing"
)

// names makes an inventory of n workloads with names as clusters have them.
func names(n int) *Inventory {
	first := []string{"checkout", "payments", "search", "inventory", "catalog", "billing", "auth", "session", "gateway", "media", "report", "ledger"}
	second := []string{"api", "worker", "web", "cache", "proxy", "sync", "index", "admin", "cron", "stream"}
	d := InventoryData{Namespaces: []string{"shop", "staging", "prod"}, Workloads: []Workload{{Name: "web", Namespace: "shop"}, {Name: "cart", Namespace: "shop"}}}
	for i := 0; len(d.Workloads) < n; i++ {
		name := first[i%len(first)] + "-" + second[i/len(first)%len(second)]
		if k := i / len(first) / len(second); k > 0 {
			name += fmt.Sprintf("-%c%c%d", 'a'+k%26, 'a'+k/26%26, k%7)
		}
		d.Workloads = append(d.Workloads, Workload{Name: name, Namespace: "shop"})
	}
	return NewInventory(d)
}

func benchmark(b *testing.B, inv *Inventory, sentences ...string) {
	r := testRecognizer(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Recognize(sentences[i%len(sentences)], inv, Expect{})
	}
}

func BenchmarkRecognizeShort(b *testing.B) {
	benchmark(b, names(50), "scale web to five", "restart web", "how is cart?", "roll back checkout api")
}

func BenchmarkRecognizeLong(b *testing.B) {
	benchmark(b, names(50), "hey firstmate could you please go ahead and scale the checkout api deployment in the staging namespace up to twenty five replicas")
}

func BenchmarkRecognize5000Names(b *testing.B) {
	benchmark(b, names(5000), "scale checkout worker ab3 to five", "restart pyaments-api-ba1 please", "scale the frobnicator to five", "how is billing proxy?")
}

func BenchmarkCompile(b *testing.B) {
	c, err := English()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		NewRecognizer(c)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := English(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInventory5000Names(b *testing.B) {
	d := names(5000).Data()
	for b.Loop() {
		NewInventory(d)
	}
}
