// Package oncall is the 3 a.m. call: alerts become incidents, whoever is on call
// is rung, hears what is wrong and why, and says what is to be done; else somebody
// else is rung. The book of incidents is swapped as a whole: what is decided about
// it is pure, and done once, whoever of several replicas hears of it first.
package oncall
