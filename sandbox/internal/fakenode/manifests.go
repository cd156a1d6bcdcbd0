package fakenode

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed manifests
var manifests embed.FS

// neverPulled is a regular expression for images that the registry does not have:
// those that say so, and version numbers with a letter for a digit.
const neverPulled = `:([^/]*-bad|v?[0-9.]*[Ol][0-9.Ol]*)$`

// includeLine is a line "# include: name" with the text before it on the line.
var includeLine = regexp.MustCompile(`(?m)^([ \t]*)# include: ([a-z-]+)$`)

// renderManifests returns KWOK's objects as one YAML file.
func renderManifests(opts Options, logs *logBook) ([]byte, error) {
	var out bytes.Buffer
	for _, name := range []string{"stages-node", "stages-pod", "usage", "metrics"} {
		text, err := readManifest("manifests/"+name+".yaml", 0)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "---\n%s\n", strings.TrimSpace(text))
	}
	fmt.Fprintf(&out, "---\n%s", logs.clusterLogs())
	return []byte(strings.NewReplacer(
		"[[CPUS]]", "32",
		"[[MEMORY]]", "128Gi",
		"[[PODS]]", fmt.Sprint(opts.PodsPerNode),
		"[[VERSION]]", opts.Version,
		"[[BAD]]", neverPulled,
		"[[UNSTARTABLE]]", unstartable(),
	).Replace(out.String())), nil
}

// readManifest reads an embedded file and puts the partials in, indented as the
// line that names them. Go templates have "define" for that, but KWOK renders
// every template on its own.
func readManifest(path string, depth int) (string, error) {
	if depth > 4 {
		return "", fmt.Errorf("%s: partials include each other", path)
	}
	b, err := manifests.ReadFile(path)
	if err != nil {
		return "", err
	}
	var failed error
	text := includeLine.ReplaceAllStringFunc(string(b), func(line string) string {
		m := includeLine.FindStringSubmatch(line)
		part, err := readManifest("manifests/partials/"+m[2]+".yaml", depth+1)
		if err != nil {
			failed = err
			return line
		}
		lines := strings.Split(strings.TrimRight(part, "\n"), "\n")
		return m[1] + strings.Join(lines, "\n"+m[1])
	})
	return text, failed
}
