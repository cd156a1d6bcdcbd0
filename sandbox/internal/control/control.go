// Package control is the sandbox's own API, on loopback: which faults there are,
// and switching them.
//
//	GET    /faults                 all of them, and which are on
//	PUT    /faults/NAME            switches one on; answers when it is in force
//	DELETE /faults/NAME            switches it off
//	PUT    /versions/NS/NAME/TAG   says how a release will behave once it runs
//	DELETE /versions/NS/NAME/TAG   like any other again
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/faults"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// Shop is the shop at work, as far as releases go.
type Shop interface {
	Change(func(*model.Conditions))
}

// fault is one as the API tells it.
type fault struct {
	Name string `json:"name"`
	On   bool   `json:"on"`
	// Asked is what somebody who suffers from it would ask about.
	Asked *faults.Asked `json:"asked,omitempty"`
}

// behaviour is how a release will behave.
type behaviour struct {
	// Errors is the ratio of requests that fail, 0 to 1.
	Errors float64 `json:"errors"`
	// Latency and CPU multiply what a request takes; 0 is as before.
	Latency float64 `json:"latency"`
	CPU     float64 `json:"cpu"`
	// Leak is how many bytes a second a pod does not give back.
	Leak float64 `json:"leak"`
}

// Handler serves the API. shop may be nil, where no traffic is made: releases
// then cannot be told how to behave.
func Handler(set *faults.Set, shop Shop) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) {
		on := map[string]bool{}
		for _, name := range set.Active() {
			on[name] = true
		}
		all := []fault{}
		for _, name := range set.Names() {
			f := fault{Name: name, On: on[name]}
			if asked, ok := set.Asked(name); ok {
				f.Asked = &asked
			}
			all = append(all, f)
		}
		answer(w, http.StatusOK, all)
	})
	mux.HandleFunc("PUT /faults/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if r.URL.Query().Has("ago") {
			refuse(w, http.StatusBadRequest, errors.New("what servers were told already cannot be told anew: a fault begins when it is switched on; for an older one, start the sandbox with --fault and --fault-ago"))
			return
		}
		// Switching goes on when whoever asked has gone: half a fault is worse.
		if err := set.On(context.WithoutCancel(r.Context()), name); err != nil {
			refuse(w, status(err), err)
			return
		}
		answer(w, http.StatusOK, fault{Name: name, On: true})
	})
	mux.HandleFunc("DELETE /faults/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if err := set.Off(context.WithoutCancel(r.Context()), name); err != nil {
			refuse(w, status(err), err)
			return
		}
		answer(w, http.StatusOK, fault{Name: name})
	})
	change := func(f func(*model.Conditions, model.Version, behaviour)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if shop == nil {
				refuse(w, http.StatusConflict, errors.New("the shop is not at work: start the sandbox with a server for its metrics"))
				return
			}
			var b behaviour
			if r.Method == http.MethodPut {
				d := json.NewDecoder(io.LimitReader(r.Body, 1<<16))
				d.DisallowUnknownFields()
				if err := d.Decode(&b); err != nil {
					refuse(w, http.StatusBadRequest, fmt.Errorf("how the release behaves cannot be read: %w", err))
					return
				}
				if b.Errors < 0 || b.Errors > 1 || b.Latency < 0 || b.CPU < 0 || b.Leak < 0 {
					refuse(w, http.StatusBadRequest, errors.New("errors is a ratio from 0 to 1; the others are not negative"))
					return
				}
			}
			v := model.Version{ID: model.ID{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}, Tag: r.PathValue("tag")}
			if model.Sample().Find(v.ID) < 0 {
				refuse(w, http.StatusNotFound, fmt.Errorf("the shop has no service %s", v.ID))
				return
			}
			shop.Change(func(c *model.Conditions) { f(c, v, b) })
			answer(w, http.StatusOK, b)
		}
	}
	mux.HandleFunc("PUT /versions/{namespace}/{name}/{tag}", change(func(c *model.Conditions, v model.Version, b behaviour) {
		model.Set(&c.Versions, v, model.Behaviour{Errors: b.Errors, Latency: b.Latency, CPU: b.CPU, Leak: b.Leak})
	}))
	mux.HandleFunc("DELETE /versions/{namespace}/{name}/{tag}", change(func(c *model.Conditions, v model.Version, _ behaviour) { delete(c.Versions, v) }))
	return onlyLoopback(mux)
}

// onlyLoopback refuses requests that a page in a browser may have been tricked
// into: such a page has another host's name, or sends its origin.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) || r.Header.Get("Origin") != "" {
			refuse(w, http.StatusForbidden, errors.New("this API is for programs on this machine"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func status(err error) int {
	if errors.Is(err, faults.ErrUnknown) {
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

func refuse(w http.ResponseWriter, code int, err error) {
	answer(w, code, map[string]string{"error": err.Error()})
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // whoever asked may be gone
}

// Serve serves the API on a listener until ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
