package main

import (
	"log/slog"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/gitops"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// GitOpsConfig is how workloads are changed that Argo CD or Flux keep.
type GitOpsConfig struct {
	Emergency   string        `yaml:"emergency" doc:"allow: whoever asks for it may change directly what Argo CD or Flux keep; what would put it back is held. deny: only by pull requests."`
	ArgoCD      ArgoCDConfig  `yaml:"argocd"`
	GitHub      GitHubConfig  `yaml:"github"`
	Values      ValuesConfig  `yaml:"values"`
	ArriveAfter time.Duration `yaml:"arrive_after" doc:"How long what is merged may take to come to the cluster before it is called stuck."`
}

// ArgoCDConfig is how Argo CD marks what it keeps.
type ArgoCDConfig struct {
	Label     string `yaml:"label" doc:"The label with the name of the Application, where Argo CD tracks by label. app.kubernetes.io/instance is on what every Helm chart makes: name it only if Argo CD uses it."`
	Namespace string `yaml:"namespace" doc:"Where Applications are."`
}

// GitHubConfig is where pull requests are opened.
type GitHubConfig struct {
	URL   string `yaml:"url" doc:"The GitHub, your company's own perhaps. The token is sent to no other."`
	Token Secret `yaml:"token" doc:"With contents and pull requests, read and write, of the repositories that are deployed from. Without one no pull request is opened."`
}

// ValuesConfig is where Helm charts keep what is changed.
type ValuesConfig struct {
	Image    []string `yaml:"image" doc:"Dotted paths of Helm values with the whole image; {name} stands for the workload."`
	Tag      []string `yaml:"tag" doc:"Dotted paths of Helm values with the image's tag."`
	Replicas []string `yaml:"replicas" doc:"Dotted paths of Helm values with the number of replicas."`
}

func gitOpsDefaults() GitOpsConfig {
	return GitOpsConfig{
		Emergency: "deny", ArriveAfter: 30 * time.Minute,
		ArgoCD: ArgoCDConfig{Label: "argocd.argoproj.io/instance", Namespace: "argocd"},
		GitHub: GitHubConfig{URL: "https://github.com"},
		Values: ValuesConfig{
			Image: []string{"image", "{name}.image"}, Tag: []string{"image.tag", "{name}.image.tag"},
			Replicas: []string{"replicaCount", "replicas", "{name}.replicaCount", "{name}.replicas"},
		},
	}
}

func (c GitOpsConfig) check() error {
	switch {
	case c.Emergency != "allow" && c.Emergency != "deny":
		return fault.New(fault.Usage, "gitops.emergency is allow or deny, not %q.", c.Emergency)
	case c.ArriveAfter <= 0:
		return fault.New(fault.Usage, "gitops.arrive_after is a duration like 30m.")
	}
	return nil
}

// argo is how objects of Argo CD are recognised.
func (c GitOpsConfig) argo() kube.ArgoOptions {
	return kube.ArgoOptions{Label: c.ArgoCD.Label, Namespace: c.ArgoCD.Namespace}
}

// skills is what may be done about what is kept.
func (c GitOpsConfig) skills() skill.GitOps {
	return skill.GitOps{Pulls: c.GitHub.Token != "", Emergency: c.Emergency == "allow"}
}

// before puts who opens pull requests before the Writer of the clusters.
func (c GitOpsConfig) before(w action.Writer, look gitops.Looker, log *slog.Logger) (action.Writer, error) {
	if c.GitHub.Token == "" {
		return w, nil
	}
	return gitops.NewDesk(w, look, gitops.Options{
		URL: c.GitHub.URL, Token: string(c.GitHub.Token), Arrival: c.ArriveAfter,
		Values: gitops.Values{Image: c.Values.Image, Tag: c.Values.Tag, Replicas: c.Values.Replicas},
	}, log)
}
