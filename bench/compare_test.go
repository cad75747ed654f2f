package bench

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	a, b, other := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json"), filepath.Join(dir, "other.json")
	for path, r := range map[string]*Report{
		a:     {Scenario: "send", Figures: []Figure{{"sends_per_s", 8000}, {"lost", 0}, {"old", 5}}},
		b:     {Scenario: "send", Runs: 5, Figures: []Figure{{"sends_per_s", 10000}, {"lost", 1}, {"new", 7}}, Errors: map[string]int64{"503 x": 2}},
		other: {Scenario: "idle", Figures: []Figure{{"connections", 1}}},
	} {
		if err := WriteJSON(path, []*Report{r}); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	command := Command{Compare: a, With: b, out: &out}
	if err := command.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	for _, want := range []string{"\n sends_per_s 8000 10000 1.25\n", "\n lost 0 1 –\n", "\n old 5 – –\n", "\n new – 7 –\n", "errors of b: 503 x: 2\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if err := Compare(&out, a, other); err == nil || !strings.Contains(err.Error(), "in common") {
		t.Errorf("got %v for files without a common scenario", err)
	}
	command.With = ""
	if err := command.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "two files") {
		t.Errorf("got %v for one file", err)
	}
	if err := os.WriteFile(other, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Compare(&out, a, other); err == nil || !strings.Contains(err.Error(), "other.json") {
		t.Errorf("got %v for a file of another kind", err)
	}
}
