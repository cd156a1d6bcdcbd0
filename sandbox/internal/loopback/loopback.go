// Package loopback finds free ports on 127.0.0.1.
package loopback

import (
	"fmt"
	"net"
)

// FreePorts returns n different ports that nobody listens on. Somebody else may
// take one before it is used; then the component that wanted it says so.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		// Held until all are found, so that they differ.
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
