package main

import (
	"os"
	"reflect"
	"testing"
)

func TestLaunchers(t *testing.T) {
	type proc struct {
		name string
		ppid int
	}
	for what, c := range map[string]struct {
		procs map[int]proc
		want  []int
	}{
		"a shell":                {map[int]proc{10: {"bash", 9}, 9: {"sshd", 1}}, []int{}},
		"go run in a shell":      {map[int]proc{10: {"go", 9}, 9: {"bash", 1}}, []int{10}},
		"make":                   {map[int]proc{10: {"make", 9}, 9: {"bash", 1}}, []int{10}},
		"make, a shell, go run":  {map[int]proc{10: {"go", 9}, 9: {"sh", 8}, 8: {"make", 7}, 7: {"bash", 1}}, []int{10, 9, 8}},
		"a shell under go (odd)": {map[int]proc{10: {"bash", 9}, 9: {"go", 1}}, []int{}},
		"nobody":                 {nil, []int{}},
	} {
		ppid := 10
		if c.procs == nil {
			ppid = 1
		}
		got := launchers(ppid, func(pid int) (string, int) { return c.procs[pid].name, c.procs[pid].ppid })
		if len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

func TestAncestor(t *testing.T) {
	if _, ppid := ancestor(os.Getpid()); ppid != os.Getppid() {
		t.Errorf("the parent is %d, want %d", ppid, os.Getppid())
	}
	if !intact(os.Getppid(), []int{os.Getppid()}) || intact(os.Getppid(), []int{-1}) {
		t.Error("intact() is wrong about the parent")
	}
}
