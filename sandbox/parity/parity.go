// Package parity holds firstmate's own Loki client against Grafana's: every
// query goes through both to a real Loki, and the answers must be equal. It is a
// module of its own because Grafana's client is AGPL and brings 389 modules,
// neither of which belongs into the program; see docs/seeing.md.
package parity
