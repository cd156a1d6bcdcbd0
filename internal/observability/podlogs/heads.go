package podlogs

import "slices"

// heads is a heap of the logs that have a line to give, the one with the
// earliest first. It is written out because container/heap calls through an
// interface for every line.
type heads []*pump

// before orders logs by their next line; of the same moment, by name, so that
// the order is the same each time.
func before(a, b *pump) bool {
	if c := a.head[0].At.Compare(b.head[0].At); c != 0 {
		return c < 0
	}
	if a.stream.Pod.Name != b.stream.Pod.Name {
		return a.stream.Pod.Name < b.stream.Pod.Name
	}
	return a.stream.Container < b.stream.Container
}

func (h heads) has(p *pump) bool { return slices.Contains(h, p) }

func (h *heads) push(p *pump) {
	*h = append(*h, p)
	for i := len(*h) - 1; i > 0; {
		up := (i - 1) / 2
		if !before((*h)[i], (*h)[up]) {
			break
		}
		(*h)[i], (*h)[up] = (*h)[up], (*h)[i]
		i = up
	}
}

func (h *heads) pop() *pump {
	old := *h
	top := old[0]
	n := len(old) - 1
	old[0] = old[n]
	old[n] = nil
	*h = old[:n]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if before((*h)[c], (*h)[least]) {
				least = c
			}
		}
		if least == i {
			return top
		}
		(*h)[i], (*h)[least] = (*h)[least], (*h)[i]
		i = least
	}
}
