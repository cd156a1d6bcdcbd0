package main

import "testing"

func TestBenchmarks(t *testing.T) {
	got := benchmarks([]byte("goos: linux\ncpu: Some CPU\nBenchmarkMix \t 10233\t    117654 ns/op\t     69675 p50-ns\t      8500 sentences/s\t    4545 B/op\nBenchmarkWorst/two_words-2  \t 2491\t 517611 ns/op\t 1.116 ratio\nPASS\n"))
	if len(got) != 2 || got["Mix"]["sentences/s"] != 8500 || got["Mix"]["p50-ns"] != 69675 || got["Worst/two_words-2"]["ratio"] != 1.116 {
		t.Errorf("%v", got)
	}
}

func TestMicro(t *testing.T) {
	for ns, want := range map[float64]string{512: "0.5 µs", 99400: "99.4 µs", 548343: "548 µs", 264657337: "264.7 ms"} {
		if got := micro(ns); got != want {
			t.Errorf("%v ns is %s, want %s", ns, got, want)
		}
	}
}
