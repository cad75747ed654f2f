package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Figure is one measured number; its unit is the end of its name.
type Figure struct {
	Name  string
	Value float64
}

// Report is what one scenario measured.
type Report struct {
	Scenario string
	Started  time.Time
	Figures  []Figure
	Errors   map[string]int64 // answers other than success, broken connections, closed sockets
	Runs     int              // more than 1 when the figures are medians
}

// Promises that the service makes and the ledger checks; any of them above zero fails the run.
var broken = []string{"lost", "duplicates", "disorder", "wrong_positions", "refused_otherwise"}

// Value returns a figure by name.
func (r *Report) Value(name string) (float64, bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}

func (r *Report) add(name string, value float64) {
	r.Figures = append(r.Figures, Figure{Name: name, Value: value})
}

// Err is an error when a message was lost, shown twice or pushed out of order, or another promise was broken.
func (r *Report) Err() error {
	var counts []string
	for _, name := range broken {
		if v, _ := r.Value(name); v > 0 {
			counts = append(counts, fmt.Sprintf("%.0f %s", v, strings.ReplaceAll(name, "_", " ")))
		}
	}
	if len(counts) == 0 {
		return nil
	}
	return fmt.Errorf("%s: the service broke its promise: %s", r.Scenario, strings.Join(counts, ", "))
}

// WriteTable prints the figures as aligned text.
func (r *Report) WriteTable(w io.Writer) error {
	title := r.Scenario
	if r.Runs > 1 {
		title += fmt.Sprintf(" (medians of %d)", r.Runs)
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", title); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, f := range r.Figures {
		if _, err := fmt.Fprintf(table, "  %s\t%s\t\n", f.Name, formatValue(f.Value)); err != nil {
			return err
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.Errors) > 0 {
		if _, err := fmt.Fprintf(w, "  errors: %s\n", tallyText(r.Errors)); err != nil {
			return err
		}
	}
	return nil
}

// formatValue prints whole numbers as such and others with the digits that mean something.
func formatValue(v float64) string {
	switch {
	case v == float64(int64(v)):
		return strconv.FormatInt(int64(v), 10)
	case v >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
}

type reportJSON struct {
	Scenario string             `json:"scenario"`
	Started  time.Time          `json:"started"`
	Runs     int                `json:"runs"`
	Figures  map[string]float64 `json:"figures"`
	Errors   map[string]int64   `json:"errors"`
}

// MarshalJSON gives the figures as one object by name.
func (r *Report) MarshalJSON() ([]byte, error) {
	out := reportJSON{Scenario: r.Scenario, Started: r.Started.UTC(), Runs: max(r.Runs, 1), Figures: map[string]float64{}, Errors: r.Errors}
	for _, f := range r.Figures {
		out.Figures[f.Name] = f.Value
	}
	if out.Errors == nil {
		out.Errors = map[string]int64{}
	}
	return json.Marshal(out)
}

// WriteJSON writes reports as a JSON array to a file, making its folder when it isn't there.
func WriteJSON(path string, reports []*Report) error {
	text, err := json.MarshalIndent(reports, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Median folds runs of one scenario into one report: each figure's median over the runs that have it, the errors added up,
// and of lost, duplicates and disorder the worst, because one bad run is not made good by four others.
func Median(runs []*Report) *Report {
	if len(runs) == 0 {
		return nil
	}
	out := &Report{Scenario: runs[0].Scenario, Started: runs[0].Started, Runs: len(runs), Errors: map[string]int64{}}
	for _, f := range runs[0].Figures {
		var values []float64
		for _, r := range runs {
			if v, ok := r.Value(f.Name); ok {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		value := values[len(values)/2]
		switch {
		case slices.Contains(broken, f.Name):
			value = values[len(values)-1]
		case len(values)%2 == 0:
			value = (values[len(values)/2-1] + value) / 2
		}
		out.add(f.Name, value)
	}
	for _, r := range runs {
		for name, n := range r.Errors {
			out.Errors[name] += n
		}
	}
	return out
}
