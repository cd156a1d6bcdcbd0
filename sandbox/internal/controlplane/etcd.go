package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// RunEtcd runs etcd until ctx ends.
func RunEtcd(ctx context.Context, c Config) error {
	cfg := embed.NewConfig()
	cfg.Dir = c.EtcdDir
	cfg.LogLevel = "error"
	// Unix sockets, because this etcd asks nobody for a password. The listener
	// for peers is needed even without any; nobody dials the advertised URLs.
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: c.EtcdSocket}}
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Path: c.EtcdPeerSocket}}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// A sandbox's data may be lost in a power cut, and one member holds no real
	// election: both would only make the start slower.
	cfg.UnsafeNoFsync = true
	cfg.TickMs, cfg.ElectionMs = 10, 50

	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(60 * time.Second):
		e.Close()
		return fmt.Errorf("not ready after 60 s")
	case <-ctx.Done():
	}
	select {
	case err := <-e.Err():
		e.Close()
		return err
	case <-ctx.Done():
		// Closes the data files. Close would first wait seconds for clients to
		// hang up, and the API server may be slow to do so.
		e.Server.HardStop()
		return nil
	}
}

// EtcdHealthy asks etcd whether it can serve.
func EtcdHealthy(ctx context.Context, c Config) bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.EtcdSocket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://etcd/health", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var health struct{ Health string }
	return json.NewDecoder(resp.Body).Decode(&health) == nil && health.Health == "true"
}
