// Package gitops changes what a cluster runs by way of Git: it finds the one
// value of a manifest that a change is about, puts another in its place and
// leaves every other byte as it is, pushes that as a commit on a branch, opens a
// pull request on GitHub, and tells what becomes of it.
package gitops
