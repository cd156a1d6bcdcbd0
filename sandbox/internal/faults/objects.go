package faults

import "k8s.io/client-go/rest"

// Objects are the faults that are wrong objects and nothing else: what a person
// did to the shop that they should not have done.
func Objects(rc *rest.Config) (map[string]Fault, error) {
	return map[string]Fault{}, nil
}
