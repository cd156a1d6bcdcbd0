package model

import "time"

const (
	ms  = time.Millisecond
	mib = 1 << 20
)

// Sample is the shop of the sandbox's manifests: namespace shop, and a little of
// it in staging. The CPU of a request is such that a pod is busy to about a third
// of its limit at the busiest time of an ordinary day.
func Sample() *Shop {
	s := &Shop{}
	s.production()
	s.staging()
	return s
}

func (s *Shop) production() {
	id := func(name string) ID { return ID{"shop", name} }
	gateway := func(route int, chance float64) Call {
		return Call{To: id("gateway"), Route: route, Timeout: 10 * time.Second, Chance: chance}
	}
	postgres := func(route int, chance float64) Call {
		return Call{To: id("postgres"), Route: route, Timeout: 5 * time.Second, Chance: chance, Setting: "DB_TIMEOUT"}
	}
	redis := Call{To: id("redis-cache"), Timeout: 300 * ms, Optional: true}
	s.Services = append(s.Services,
		Service{ID: id("web"), Container: "web", Port: 80, Workers: 128, Queue: 200, IdleCPU: .008, Memory: 96 * mib, PerRequest: .4 * mib, Warm: 20 * mib, Routes: []Route{
			{Method: "GET", Path: "/", Median: 9 * ms, Spread: .45, CPU: 9 * ms, NotFound: .004, Calls: []Call{gateway(0, 1)}},
			{Method: "GET", Path: "/products/:id", Median: 8 * ms, Spread: .45, CPU: 8 * ms, NotFound: .02, Calls: []Call{gateway(0, 1)}},
			{Method: "POST", Path: "/checkout", Median: 10 * ms, Spread: .4, CPU: 10 * ms, Calls: []Call{gateway(3, 1)}},
		}},
		Service{ID: id("frontend"), Container: "frontend", Port: 80, Workers: 128, Queue: 200, IdleCPU: .012, Memory: 160 * mib, PerRequest: .6 * mib, Warm: 30 * mib, Routes: []Route{
			{Method: "GET", Path: "/app", Median: 11 * ms, Spread: .45, CPU: 6 * ms, NotFound: .005, Calls: []Call{gateway(0, .7)}},
			{Method: "GET", Path: "/app/search", Median: 8 * ms, Spread: .45, CPU: 5 * ms, Calls: []Call{gateway(1, 1)}},
			{Method: "POST", Path: "/app/cart", Median: 8 * ms, Spread: .4, CPU: 5 * ms, Calls: []Call{gateway(2, 1)}},
			{Method: "POST", Path: "/app/checkout", Median: 9 * ms, Spread: .4, CPU: 6 * ms, Calls: []Call{gateway(3, 1)}},
			{Method: "GET", Path: "/app/orders/:id", Median: 7 * ms, Spread: .4, CPU: 5 * ms, NotFound: .01, Calls: []Call{gateway(4, 1)}},
		}},
		Service{ID: id("gateway"), Container: "gateway", Port: 80, Workers: 256, Queue: 400, IdleCPU: .01, Memory: 56 * mib, PerRequest: .1 * mib, Warm: 12 * mib, Routes: []Route{
			{Method: "GET", Path: "/api/catalog", Median: 2200 * time.Microsecond, Spread: .4, CPU: 2 * ms, NotFound: .004, Calls: []Call{{To: id("catalog"), Timeout: 3 * time.Second, Retries: 1}}},
			{Method: "GET", Path: "/api/search", Median: 2200 * time.Microsecond, Spread: .4, CPU: 2 * ms, Calls: []Call{{To: id("search"), Timeout: 4 * time.Second}}},
			{Method: "POST", Path: "/api/cart", Median: 1800 * time.Microsecond, Spread: .4, CPU: 2 * ms, Calls: []Call{{To: id("cart"), Route: 1, Timeout: 4 * time.Second}}},
			{Method: "POST", Path: "/api/checkout", Median: 2 * ms, Spread: .4, CPU: 2 * ms, Calls: []Call{{To: id("checkout"), Timeout: 8 * time.Second}}},
			{Method: "GET", Path: "/api/orders/:id", Median: 1800 * time.Microsecond, Spread: .4, CPU: 2 * ms, NotFound: .01, Calls: []Call{{To: id("checkout"), Route: 1, Timeout: 4 * time.Second}}},
		}},
		Service{ID: id("nginx"), Container: "nginx", Port: 80, Workers: 512, Queue: 512, IdleCPU: .003, Memory: 24 * mib, PerRequest: .05 * mib, Warm: 4 * mib, Routes: []Route{
			{Method: "GET", Path: "/static", Median: 900 * time.Microsecond, Spread: .5, CPU: 600 * time.Microsecond, NotFound: .01},
		}},
		Service{ID: id("web-admin"), Container: "web-admin", Port: 80, Workers: 8, Queue: 50, Pool: 4, Patience: 3 * time.Second, IdleCPU: .01, Memory: 130 * mib, PerRequest: 2 * mib, Warm: 12 * mib, Routes: []Route{
			{Method: "GET", Path: "/admin/orders", Median: 38 * ms, Spread: .5, CPU: 30 * ms, Calls: []Call{postgres(1, 1)}},
		}},
		Service{ID: id("checkout"), Container: "checkout", Port: 80, Workers: 48, Queue: 100, Pool: 6, Patience: 2 * time.Second, IdleCPU: .012, Memory: 128 * mib, PerRequest: 1.2 * mib, Warm: 22 * mib, Routes: []Route{
			{Method: "POST", Path: "/api/checkout", Median: 54 * ms, Spread: .35, CPU: 46 * ms, Broken: .0006, NotFound: .012, Created: true, Calls: []Call{
				{To: id("cart"), Timeout: 2 * time.Second, Retries: 1, Setting: "CART_TIMEOUT"},
				{To: id("payments-api"), Timeout: 3 * time.Second, Retries: 1, Setting: "PAYMENTS_TIMEOUT"},
				postgres(0, 1),
			}},
			{Method: "GET", Path: "/api/orders/:id", Median: 15 * ms, Spread: .35, CPU: 13 * ms, Broken: .0003, NotFound: .01, Calls: []Call{postgres(1, 1)}},
		}},
		Service{ID: id("cart"), Container: "cart", Port: 80, Workers: 24, Queue: 60, IdleCPU: .015, Memory: 96 * mib, PerRequest: .8 * mib, Warm: 24 * mib, Routes: []Route{
			{Method: "GET", Path: "/cart/:id", Median: 10 * ms, Spread: .4, CPU: 9 * ms, Broken: .0004, Calls: []Call{redis, {To: id("catalog"), Route: 1, Timeout: 1500 * ms, Retries: 1}}},
			{Method: "POST", Path: "/cart/items", Median: 12 * ms, Spread: .4, CPU: 10 * ms, Broken: .0004, Calls: []Call{redis, {To: id("catalog"), Route: 1, Timeout: 1500 * ms, Retries: 1}}},
		}},
		Service{ID: id("payments-api"), Container: "payments-api", Port: 80, Workers: 32, Queue: 80, Pool: 10, Patience: 2 * time.Second, IdleCPU: .012, Memory: 140 * mib, PerRequest: 1 * mib, Warm: 20 * mib, Routes: []Route{
			// Most of its own time it waits for the provider of cards.
			{Method: "POST", Path: "/v1/charges", Median: 68 * ms, Spread: .4, CPU: 24 * ms, Broken: .0005, NotFound: .02, Created: true, Calls: []Call{postgres(0, 1)}},
		}},
		Service{ID: id("search"), Container: "search", Port: 80, Workers: 24, Queue: 120, IdleCPU: .03, Memory: 380 * mib, PerRequest: 1.5 * mib, Warm: 30 * mib, Routes: []Route{
			{Method: "GET", Path: "/search", Median: 46 * ms, Spread: .55, CPU: 40 * ms, Broken: .0004, Calls: []Call{redis}},
		}},
		Service{ID: id("catalog"), Container: "catalog", Port: 80, Workers: 40, Queue: 120, Pool: 10, Patience: 2 * time.Second, IdleCPU: .01, Memory: 104 * mib, PerRequest: .8 * mib, Warm: 26 * mib, Routes: []Route{
			{Method: "GET", Path: "/products", Median: 7 * ms, Spread: .4, CPU: 5 * ms, Broken: .0002, NotFound: .008, Calls: []Call{redis, postgres(1, .15)}},
			{Method: "GET", Path: "/prices", Median: 4 * ms, Spread: .4, CPU: 4 * ms, Broken: .0002, Calls: []Call{redis, postgres(1, .15)}},
		}},
		Service{ID: id("order-worker"), Kind: Worker, Container: "order-worker", Workers: 4, Queue: 100000, Pool: 4, Patience: 5 * time.Second, IdleCPU: .02, Memory: 180 * mib, PerRequest: 4 * mib, Warm: 30 * mib, Routes: []Route{
			{Method: "JOB", Path: "fulfil-order", Median: 120 * ms, Spread: .5, CPU: 45 * ms, Broken: .001, Calls: []Call{postgres(0, 1)}},
		}},
		Service{ID: id("redis-cache"), Kind: Cache, Container: "redis", Port: 6379, Workers: 512, Queue: 2000, IdleCPU: .008, Memory: 170 * mib, Warm: 20 * mib, Routes: []Route{
			{Method: "GET", Path: "HGETALL", Median: 500 * time.Microsecond, Spread: .4, CPU: 150 * time.Microsecond},
		}},
		Service{ID: id("postgres"), Kind: Database, Container: "postgres", Port: 5432, Workers: 100, Queue: 400, IdleCPU: .04, Memory: 820 * mib, PerRequest: 6 * mib, Warm: 90 * mib, Routes: []Route{
			{Method: "INSERT", Path: "orders", Median: 5 * ms, Spread: .45, CPU: 5 * ms},
			{Method: "SELECT", Path: "orders", Median: 3 * ms, Spread: .5, CPU: 4 * ms},
		}},
	)
	s.Entries = append(s.Entries,
		Entry{To: id("web"), Route: 0, Rate: 10}, Entry{To: id("web"), Route: 1, Rate: 8},
		Entry{To: id("web"), Route: 2, Rate: 1.6, Orders: true},
		Entry{To: id("frontend"), Route: 0, Rate: 8}, Entry{To: id("frontend"), Route: 1, Rate: 5},
		Entry{To: id("frontend"), Route: 2, Rate: 5, Orders: true}, Entry{To: id("frontend"), Route: 3, Rate: 3.4, Orders: true},
		Entry{To: id("frontend"), Route: 4, Rate: 2, Orders: true},
		Entry{To: id("nginx"), Route: 0, Rate: 12}, Entry{To: id("web-admin"), Route: 0, Rate: .15},
		Entry{To: id("order-worker"), Route: 0, Rate: 4.8, Orders: true},
	)
}

// staging has a few people who try things out.
func (s *Shop) staging() {
	id := func(name string) ID { return ID{"staging", name} }
	s.Services = append(s.Services,
		Service{ID: id("web"), Container: "web", Port: 80, Workers: 128, Queue: 200, IdleCPU: .008, Memory: 80 * mib, PerRequest: .4 * mib, Warm: 8 * mib, Routes: []Route{
			{Method: "GET", Path: "/", Median: 10 * ms, Spread: .45, CPU: 9 * ms, NotFound: .02, Calls: []Call{{To: id("cart"), Timeout: 4 * time.Second, Chance: .5, Optional: true}}},
			{Method: "POST", Path: "/checkout", Median: 10 * ms, Spread: .4, CPU: 10 * ms, Calls: []Call{{To: id("checkout"), Timeout: 8 * time.Second}}},
		}},
		Service{ID: id("checkout"), Container: "checkout", Port: 80, Workers: 48, Queue: 100, IdleCPU: .006, Memory: 88 * mib, PerRequest: 1.2 * mib, Warm: 8 * mib, Routes: []Route{
			{Method: "POST", Path: "/api/checkout", Median: 54 * ms, Spread: .35, CPU: 46 * ms, Created: true, Calls: []Call{{To: id("cart"), Timeout: 2 * time.Second, Retries: 1}}},
		}},
		Service{ID: id("cart"), Container: "cart", Port: 80, Workers: 24, Queue: 60, IdleCPU: .006, Memory: 76 * mib, PerRequest: 1.5 * mib, Warm: 8 * mib, Routes: []Route{
			{Method: "GET", Path: "/cart/:id", Median: 8 * ms, Spread: .4, CPU: 9 * ms},
		}},
	)
	s.Entries = append(s.Entries, Entry{To: id("web"), Route: 0, Rate: .25}, Entry{To: id("web"), Route: 1, Rate: .05})
}
