// Package loopback finds free ports on 127.0.0.1.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are looked for below those that systems give to outgoing connections
// (from 32768 on Linux): among those, any connection made meanwhile may take one.
const (
	lowest  = 15000
	highest = 32000
	tries   = 200
)

// FreePorts returns n different ports that nobody listens on. Somebody else may
// take one before it is used; then the component that wanted it says so.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	var last error
	for range tries * n {
		if len(ports) == n {
			return ports, nil
		}
		port := lowest + rand.IntN(highest-lowest) //nolint:gosec // a port is no secret
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			last = err
			continue
		}
		// Held until all are found, so that they differ.
		defer l.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("looking for a free port: %w", errors.Join(last, errors.New("there seems to be none")))
}
