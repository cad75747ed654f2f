// Command mutants builds Ackbox with one rule broken at a time and shows that the suites notice: a suite that stays
// green on a broken server proves nothing. Nothing of it is in the product: a mutant is a replacement of text in a source
// file, which the compiler is given as an overlay (go help build, -overlay).
//
// Exit codes: 0 when every suite found its mutant and passed on the unbroken server, 1 when not, 2 when it could not run (a
// replacement that no longer fits its file, a mutant that does not compile).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// suiteTime bounds one suite on one mutant; a broken server may well hang.
const suiteTime = 5 * time.Minute

func main() { os.Exit(run()) }

// run is the command, and its exit code.
func run() int {
	only := flag.String("only", "", "names of mutants, comma separated; empty: all")
	control := flag.Bool("control", true, "run the suites on the unbroken server first")
	logs := flag.String("logs", "", "folder for the suites' output; empty: a temporary one that is named at the end")
	list := flag.Bool("list", false, "list the mutants and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := runner{logs: *logs, out: os.Stdout}
	chosen, err := choose(*only)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		return 2
	case *list:
		for _, m := range chosen {
			fmt.Printf("%-22s %s\n", m.name, m.rule)
		}
		return 0
	}
	good, err := r.run(ctx, chosen, *control)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		return 2
	}
	if !good {
		return 1
	}
	return 0
}

// choose picks mutants by their names.
func choose(names string) ([]mutant, error) {
	if names == "" {
		return mutants, nil
	}
	var chosen []mutant
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %q; see -list", name)
		}
		chosen = append(chosen, mutants[i])
	}
	return chosen, nil
}

type runner struct {
	logs string
	dir  string // of binaries and overlays
	out  *os.File
}

// verdict is what a suite said of a server.
type verdict struct {
	mutant, suite string
	word          string // green, RED, or NOT RUN when nothing was judged
	why           string // the first line that says what is wrong
	took          time.Duration
}

const (
	green  = "green"
	red    = "RED"
	notRun = "NOT RUN"
)

func (r *runner) run(ctx context.Context, chosen []mutant, control bool) (good bool, err error) {
	if r.dir, err = os.MkdirTemp("", "ackbox-mutants-"); err != nil {
		return false, fmt.Errorf("a folder for the binaries: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.logs == "" {
		if r.logs, err = os.MkdirTemp("", "ackbox-mutant-logs-"); err != nil {
			return false, fmt.Errorf("a folder for the output: %w", err)
		}
	}
	if err := os.MkdirAll(r.logs, 0o750); err != nil {
		return false, fmt.Errorf("a folder for the output: %w", err)
	}
	if err := build(ctx, filepath.Join(r.dir, "chaos"), "./chaos/cmd/chaos"); err != nil {
		return false, err
	}
	good = true
	var table []verdict
	judge := func(m mutant, s suite, want string) error {
		v, err := r.try(ctx, m, s)
		if err != nil {
			return err
		}
		fmt.Fprintf(r.out, "%s: %s: %s %s\n", m.name, s.name(), v.word, v.why)
		good = good && v.word == want
		table = append(table, v)
		return nil
	}
	if control {
		var done []string
		for _, m := range chosen {
			for _, s := range m.suites {
				if slices.Contains(done, s.name()) {
					continue
				}
				done = append(done, s.name())
				if err := judge(mutant{name: "none", rule: "the unbroken server"}, s, green); err != nil {
					return false, err
				}
			}
		}
	}
	for _, m := range chosen {
		for _, s := range m.suites {
			if err := judge(m, s, red); err != nil {
				return false, err
			}
		}
	}
	if err := r.print(table); err != nil {
		return false, err
	}
	fmt.Fprintln(r.out, "\noutput of the suites:", r.logs)
	return good, nil
}

// try builds a mutant and runs one suite on it.
func (r *runner) try(parent context.Context, m mutant, s suite) (verdict, error) {
	ctx, cancel := context.WithTimeout(parent, suiteTime)
	defer cancel()
	overlay, err := r.overlay(m)
	if err != nil {
		return verdict{}, err
	}
	binary := filepath.Join(r.dir, m.name)
	if s.outside() {
		if err := build(ctx, binary, ".", "-overlay="+overlay); err != nil {
			return verdict{}, fmt.Errorf("mutant %s does not compile: %w", m.name, err)
		}
	}
	cmd := s.command(ctx, builds{overlay: overlay, server: binary, chaos: filepath.Join(r.dir, "chaos"), left: filepath.Join(r.logs, m.name+"-"+s.file())})
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now()
	err = cmd.Run()
	v := verdict{mutant: m.name, suite: s.name(), word: red, took: time.Since(start)}
	if writeErr := os.WriteFile(filepath.Join(r.logs, m.name+"-"+s.file()+".log"), output.Bytes(), 0o600); writeErr != nil {
		return verdict{}, fmt.Errorf("keep the output: %w", writeErr)
	}
	var exit *exec.ExitError
	switch {
	case parent.Err() != nil:
		return verdict{}, fmt.Errorf("run %s: %w", s.name(), parent.Err())
	case err == nil && s.ran(output.Bytes()):
		v.word = green
	case err == nil:
		v.word, v.why = notRun, "no test fits the pattern"
	case ctx.Err() != nil:
		v.word, v.why = notRun, "it did not end"
	case errors.As(err, &exit) && s.judged(exit, output.Bytes()) && reason(output.String()) != "":
		v.why = reason(output.String())
	case errors.As(err, &exit): // also a test that hung, or whose database did not start: it has seen nothing of the mutant
		v.word, v.why = notRun, "see its output"
	default:
		return verdict{}, fmt.Errorf("run %s: %w", s.name(), err)
	}
	return v, nil
}

// build compiles a command of this module.
func build(ctx context.Context, binary, pkg string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-buildvcs=false", "-o", binary}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, output)
	}
	return nil
}

// overlay writes the broken files and the list of them that the compiler wants.
func (r *runner) overlay(m mutant) (string, error) {
	replace := map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(e.file)
		if err != nil {
			return "", fmt.Errorf("path of %s: %w", e.file, err)
		}
		from := path
		if broken, again := replace[path]; again {
			from = broken
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", fmt.Errorf("mutant %s: %w (run it in the repository's root)", m.name, err)
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return "", fmt.Errorf("mutant %s: its text stands %d times in %s, want once:\n%s", m.name, n, e.file, e.old)
		}
		broken := filepath.Join(r.dir, m.name+"-"+strings.ReplaceAll(e.file, "/", "-"))
		if err := os.WriteFile(broken, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			return "", fmt.Errorf("write a mutant: %w", err)
		}
		replace[path] = broken
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("encode an overlay: %w", err)
	}
	path := filepath.Join(r.dir, m.name+".json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("write an overlay: %w", err)
	}
	return path, nil
}

// reason is the first line of a suite's output in which a test or the checker tells what is wrong; empty when none does.
func reason(output string) string {
	for line := range strings.SplitSeq(output, "\n") {
		line = strings.TrimSpace(line)
		if _, text, found := strings.Cut(line, "_test.go:"); found {
			if _, text, found = strings.Cut(text, ": "); found { // else it is of a stack
				return shorten(text)
			}
		}
		if _, text, found := strings.Cut(line, ": VIOLATION "); found { // chaos names the fault before it
			return shorten(text)
		}
	}
	return ""
}

func shorten(text string) string {
	if r := []rune(text); len(r) > 90 {
		return string(r[:90]) + "…"
	}
	return text
}

func (r *runner) print(table []verdict) error {
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nmutant\tsuite\tverdict\tseconds\twhat it saw")
	for _, v := range table {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%s\n", v.mutant, v.suite, v.word, v.took.Seconds(), v.why)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
