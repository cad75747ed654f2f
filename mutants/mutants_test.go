package main

import (
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReplacementsFit: each text that a mutant replaces still stands once in its file, and what comes out is Go. Who
// changes such a place changes the mutant with it, or it would break nothing any more.
func TestReplacementsFit(t *testing.T) {
	t.Chdir("..")
	r := runner{dir: t.TempDir()}
	names := map[string]bool{}
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("two mutants are called %s", m.name)
		}
		names[m.name] = true
		if len(m.edits) == 0 || len(m.suites) == 0 || m.rule == "" {
			t.Errorf("mutant %s: nothing is broken, or nothing looks, or nobody knows why", m.name)
		}
		if _, err := r.overlay(m); err != nil {
			t.Error(err)
		}
	}
	broken, err := filepath.Glob(filepath.Join(r.dir, "*.go"))
	if err != nil || len(broken) < len(mutants) {
		t.Fatalf("%d broken files of %d mutants, %v", len(broken), len(mutants), err)
	}
	for _, path := range broken {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := format.Source(text); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}

// TestNoReplacementFits: a text that is not there, or is there twice, is an error and no mutant.
func TestNoReplacementFits(t *testing.T) {
	t.Chdir("..")
	r := runner{dir: t.TempDir()}
	for _, old := range []string{"no such text" + " in this file", "mutant"} {
		if _, err := r.overlay(mutant{name: "x", edits: []edit{{"mutants/table.go", old, "y"}}}); err == nil {
			t.Errorf("%q was replaced", old)
		}
	}
}

var topLevel = regexp.MustCompile(`Test[A-Za-z0-9]+`)

// TestSuitesAreThere: the tests that the table names exist.
func TestSuitesAreThere(t *testing.T) {
	t.Chdir("..")
	for _, m := range mutants {
		for _, s := range m.suites {
			if s.pattern == "" {
				continue
			}
			name := topLevel.FindString(s.pattern)
			files, err := filepath.Glob(filepath.Join(s.pkg, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, path := range files {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				found = found || strings.Contains(string(text), "func "+name+"(")
			}
			if name == "" || !found {
				t.Errorf("mutant %s: there is no test %s in %s", m.name, s.pattern, s.pkg)
			}
		}
	}
}

// TestReason: the first line that says what is wrong is shown. Without one nothing was seen of the mutant.
func TestReason(t *testing.T) {
	for output, want := range map[string]string{
		"=== RUN   TestX\n    order_test.go:96: entry 3 is 4\n    order_test.go:97: more\n":     "entry 3 is 4",
		"12:00:01 cut-commit: 2 nodes are ready\n12:00:09 cut-commit: VIOLATION once: one id\n": "once: one id",
		"panic: boom\n": "",
		"panic: test timed out after 4m30s\n\tservice/order_test.go:96 +0x1d\n": "", // a stack
		"    mariadb.go:61: mysqld did not start\n--- FAIL: TestX (0.00s)\n":    "", // not what the test is about
	} {
		if got := reason(output); got != want {
			t.Errorf("reason of %q: %q, want %q", output, got, want)
		}
	}
}
