package dialogue

import "sync"

// Hub hands events to whoever listens to a conversation in this process.
// A listener that does not keep up loses progress, never an outcome: outcomes
// are kept by the store for those who come back.
type Hub struct {
	mu   sync.Mutex
	subs map[string]map[*Subscription]struct{}
	also []func(conversation string, e Event) // who else is told of what was pushed in this process
}

// NewHub returns a hub without listeners.
func NewHub() *Hub { return &Hub{subs: map[string]map[*Subscription]struct{}{}} }

// Subscription receives the events of one conversation until Close.
type Subscription struct {
	C    <-chan Event
	c    chan Event
	hub  *Hub
	conv string
}

// subscriptionBuffer is how many events a listener may lag behind.
const subscriptionBuffer = 64

// Subscribe starts to listen; the caller must Close.
func (h *Hub) Subscribe(conversation string) *Subscription {
	s := &Subscription{c: make(chan Event, subscriptionBuffer), hub: h, conv: conversation}
	s.C = s.c
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs[conversation] == nil {
		h.subs[conversation] = map[*Subscription]struct{}{}
	}
	h.subs[conversation][s] = struct{}{}
	return s
}

// Close ends the subscription; C gets no more events and is closed.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	subs := s.hub.subs[s.conv]
	if _, ok := subs[s]; !ok {
		return
	}
	delete(subs, s)
	if len(subs) == 0 {
		delete(s.hub.subs, s.conv)
	}
	close(s.c)
}

func (h *Hub) publish(conversation string, e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[conversation] {
		select {
		case s.c <- e:
			continue
		default:
		}
		if e.Kind == EventProgress {
			continue
		}
		// An outcome takes the place of the oldest progress.
		for {
			select {
			case <-s.c:
			default:
			}
			select {
			case s.c <- e:
			default:
				continue
			}
			break
		}
	}
}
