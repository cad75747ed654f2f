package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// The exit codes of `ackbox verify`, beside 0 for a deployment that keeps its promises.
const (
	ExitBroken   = 1 // a promise was broken
	ExitNoResult = 2 // there is no verdict: it could not run, or not to its end
)

// ExitError is an error with the exit code that it asks for.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap is the error itself.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the process' exit code.
func (e *ExitError) ExitCode() int { return e.Code }

// Command is `ackbox verify`.
type Command struct {
	Options
	JSON string `name:"json" type:"path" help:"File for the report as JSON."`
}

// Run verifies and prints the report. Its errors are ExitErrors.
func (c *Command) Run(ctx context.Context, out io.Writer) error {
	report, err := Verify(ctx, c.Options, os.Stderr)
	if err != nil {
		return &ExitError{ExitNoResult, err}
	}
	if err := errors.Join(report.WriteTable(out), c.write(report)); err != nil {
		return &ExitError{ExitNoResult, err}
	}
	if !report.OK() {
		n := len(report.Violations)
		for _, more := range report.More {
			n += more
		}
		return &ExitError{ExitBroken, fmt.Errorf("%d violations: this deployment does not keep its promises", n)}
	}
	return nil
}

// write writes the report's file, if one is wanted.
func (c *Command) write(report *Report) error {
	if c.JSON == "" {
		return nil
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(c.JSON, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// WriteTable prints the report for people.
func (r *Report) WriteTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	s := r.Stats
	fmt.Fprintf(w, "%s: %d users, %d devices, %d groups, %d nodes, %s\n\n", r.Run, r.Users, r.Devices, r.Groups, len(r.Nodes), r.Duration)
	if len(r.Met) > 0 {
		fmt.Fprintf(w, "sockets\t%d\t%s\n", r.Devices, places(r.Met))
	}
	fmt.Fprintf(w, "messages\t%d\taccepted %d, refused %d, never answered %d (%d calls)\n", s.Sends, s.Accepted, s.Refused, s.Unknown, s.Tries)
	fmt.Fprintf(w, "deliveries\t%d\tduplicates dropped %d, connections %d, recalls %d\n", s.Deliveries, s.Duplicates, s.Connects, s.Recalls)
	fmt.Fprintf(w, "lost\t%d\n", s.Lost)
	fmt.Fprintf(w, "doubled\t%d\n", s.Doubled)
	fmt.Fprintf(w, "violations\t%d\n", len(r.Violations))
	if len(s.Paths) > 0 {
		fmt.Fprint(w, "\nsent at\tpushed at\tcount\tp50\tp90\tp99\tmax\n")
		for _, d := range s.Paths {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", d.From, d.To, d.Count, short(d.P50), short(d.P90), short(d.P99), short(d.Max))
		}
	}
	for _, d := range s.Delays {
		fmt.Fprintf(w, "%s\t\t%d\t%s\t%s\t%s\t%s\n", name(d.Fault), d.Count, short(d.P50), short(d.P90), short(d.P99), short(d.Max))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "\nnote: %s\n", note)
	}
	if len(r.Violations) > 0 {
		fmt.Fprintln(w)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(w, "VIOLATION %s\n", v)
	}
	for rule, n := range r.More {
		fmt.Fprintf(w, "VIOLATION %s: and %d more\n", rule, n)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

// name is a fault's name in the table.
func name(fault string) string {
	if fault == "" {
		return "answered until shown"
	}
	return "the same, in " + fault
}

// short is a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}
