package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// clusterWide are the kinds that scripts make and no namespace takes with it.
var clusterWide = []string{"Node", "ClusterRole", "ClusterRoleBinding"}

// leftovers are the objects of no namespace that a script made, as kubectl names
// them: they go when the script ends, however it ends, so that the next one that
// makes them finds none.
type leftovers []string

// note remembers what is in a file of a script that is applied.
func (l *leftovers) note(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var o struct {
			Kind     string `yaml:"kind"`
			Metadata struct {
				Name string `yaml:"name"`
			} `yaml:"metadata"`
		}
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if name := strings.ToLower(o.Kind) + "/" + o.Metadata.Name; slices.Contains(clusterWide, o.Kind) && !slices.Contains(*l, name) {
			*l = append(*l, name)
		}
	}
}

// clear deletes what was noted. The pods of a namespace whose node goes with it
// would stay for a minute, and the namespace with them.
func (l leftovers) clear(namespace string) error {
	if len(l) == 0 {
		return nil
	}
	ctx := context.Background()
	_, gone := kubectl(ctx, "", append([]string{"delete", "--ignore-not-found", "--wait=false"}, l...)...)
	_, pods := kubectl(ctx, "", "-n", namespace, "delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")
	return errors.Join(gone, pods)
}
