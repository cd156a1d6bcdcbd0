// Package deploy is how firstmate is installed: a Helm chart, plain manifests made
// from it, a systemd unit and a container image. Its tests hold them to what they
// promise; that firstmate can work under the rights they give, and can do nothing
// else, is in e2e.
package deploy
