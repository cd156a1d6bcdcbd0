// Package archtest holds the rules of the house as tests: who may import whom,
// what may be global, what must be documented. ARCHITECTURE.md says why.
package archtest
