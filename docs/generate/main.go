// Command generate writes docs/sentences.md from the catalogue of intents.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
)

func main() {
	c, err := intents.English()
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
	fmt.Print(page(c))
}

// page lists what can be said.
func page(c *intents.Catalogue) string {
	var b strings.Builder
	b.WriteString("# What you can say\n\nMade from `intents/en/` by `make generate`. These are examples: many other ways to say the same are understood.\n\n| you want to | say | it may |\n|---|---|---|\n")
	does := map[intents.Risk]string{intents.RiskNone: "only talk", intents.RiskRead: "look", intents.RiskWrite: "propose a change, and ask first"}
	for _, s := range c.Specs() {
		if s.Help == "" || len(s.Examples) == 0 || s.Name == "chain" { // chains are understood, but not done yet
			continue
		}
		quoted := make([]string, len(s.Examples))
		for i, e := range s.Examples {
			quoted[i] = "“" + e + "”"
		}
		fmt.Fprintf(&b, "| %s (`%s`) | %s | %s |\n", s.Help, s.Name, strings.Join(quoted, ", "), does[s.Risk])
	}
	return b.String()
}
