package skill

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// create plans to run something new.
func (c *Crew) create(ctx context.Context, t *dialogue.Turn, _ [][]kube.Change) (plan, error) {
	in := t.Intent.Slots
	ns := c.namespace(ctx, t)
	if !slices.Contains(c.cluster.Namespaces(ctx, c.where(t)), ns) {
		return plan{}, fault.New(fault.NotFound, "There is no namespace %s.", ns)
	}
	image, err := imageSaid(in.String("image"), in.String("version"))
	if err != nil {
		return plan{}, err
	}
	replicas := int32(1)
	if in.Has("replicas") {
		if replicas, err = wanted(in, 0); err != nil {
			return plan{}, err
		}
	}
	port, said := in.Int("port")
	if in.Has("port") && (!said || port < 1 || port > 65535) {
		return plan{}, fault.New(fault.NotUnderstood, "There is no port %s: ports go from 1 to 65535.", in.String("port"))
	}
	repo := kube.Repository(image)
	name := cmp.Or(in.String("name"), repo[strings.LastIndex(repo, "/")+1:])
	name = strings.ToLower(strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '_' || r == '.' }), "-"))
	there, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: ns, Name: name})
	if err != nil {
		return plan{}, err
	}
	if len(there) > 0 {
		return plan{}, fault.New(fault.Refused, "There is a %s %s in %s already. Give the new one another name, or say “roll out %s of %s” to change that one.", there[0].Ref.Kind, name, ns, kube.Tag(image), name)
	}
	changes, err := kube.Program{
		Cluster: c.where(t), Namespace: ns, Name: name, Image: image, Replicas: replicas, Port: int32(port), //nolint:gosec // checked above
		Cause: cause(t.Request.Speaker, t.Request.Text),
	}.Creations()
	if err != nil {
		return plan{}, err
	}
	p := plan{changes: changes}
	if !strings.ContainsAny(image[len(repo):], ":@") {
		say, err := c.catalogue.Say("create.untagged", dialogue.Data{"Image": image})
		if err != nil {
			return plan{}, err
		}
		p.warnings = append(p.warnings, say)
	}
	return p, nil
}

// imageSaid is the image that was said, with the version where that was said
// apart from it.
func imageSaid(image, version string) (string, error) {
	image = strings.ToLower(strings.ReplaceAll(image, " ", "-"))
	if repo := kube.Repository(image); version != "" && repo == image {
		image = kube.WithVersion(image, version, nil)
	}
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		return "", fault.New(fault.NotUnderstood, "%q is not an image.", image)
	}
	return image, nil
}
