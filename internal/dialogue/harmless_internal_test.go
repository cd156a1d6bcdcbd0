package dialogue

import (
	"reflect"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

func TestBlocksAreHarmless(t *testing.T) {
	bad := "a\u202eb\x1b[31mc\u2066d\ne"
	good := "ab[31mcd\ne"
	in := []Block{
		{Type: "text", Text: "fine"},
		{
			Type: "log", Title: bad, Text: bad, Columns: []string{"x", bad}, Rows: [][]string{{"y"}, {bad, "z"}},
			Lines: []observability.LogLine{{Message: "m"}, {Message: bad, Raw: bad, Stack: bad, Fields: []observability.Field{{Key: "k", Value: bad}}}},
		},
	}
	out := harmlessBlocks(in)
	want := []Block{
		{Type: "text", Text: "fine"},
		{
			Type: "log", Title: good, Text: good, Columns: []string{"x", good}, Rows: [][]string{{"y"}, {good, "z"}},
			Lines: []observability.LogLine{{Message: "m"}, {Message: good, Raw: good, Stack: good, Fields: []observability.Field{{Key: "k", Value: good}}}},
		},
	}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("%+v", out)
	}
	if in[1].Rows[1][0] != bad || in[1].Lines[1].Message != bad || in[1].Lines[1].Fields[0].Value != bad || in[1].Columns[1] != bad {
		t.Error("what was handed in is changed")
	}
	if same := harmlessBlocks(out); &same[0] != &out[0] {
		t.Error("copied though nothing changes")
	}
}
