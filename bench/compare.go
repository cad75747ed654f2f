package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// ReadJSON reads the reports that WriteJSON wrote. Their figures are in the order of their names.
func ReadJSON(path string) ([]*Report, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	var list []reportJSON
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s holds no reports of a bench: %w", path, err)
	}
	reports := make([]*Report, len(list))
	for i, in := range list {
		reports[i] = &Report{Scenario: in.Scenario, Started: in.Started, Runs: in.Runs, Errors: in.Errors}
		for _, name := range slices.Sorted(maps.Keys(in.Figures)) {
			reports[i].add(name, in.Figures[name])
		}
	}
	return reports, nil
}

// Compare prints the figures of two files side by side, with the second's ratio to the first, for the scenarios that both
// have. Having none in common is an error.
func Compare(w io.Writer, first, second string) error {
	before, err := ReadJSON(first)
	if err != nil {
		return err
	}
	after, err := ReadJSON(second)
	if err != nil {
		return err
	}
	common := false
	for _, a := range before {
		for _, b := range after {
			if b.Scenario != a.Scenario {
				continue
			}
			common = true
			if err := compareReports(w, a, b); err != nil {
				return err
			}
			break
		}
	}
	if !common {
		return errors.New("the two files have no scenario in common")
	}
	return nil
}

func compareReports(w io.Writer, a, b *Report) error {
	if _, err := fmt.Fprintf(w, "\n%s (a: %s, %d runs; b: %s, %d runs)\n", a.Scenario, a.Started.Format("2006-01-02 15:04"), a.Runs, b.Started.Format("2006-01-02 15:04"), b.Runs); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) error {
		_, err := fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t\n", cells...)
		return err
	}
	err := row("", "a", "b", "b / a")
	cell := func(r *Report, name string) (float64, string) {
		v, ok := r.Value(name)
		if !ok {
			return 0, "–"
		}
		return v, formatValue(v)
	}
	names := map[string]bool{}
	for _, r := range []*Report{a, b} {
		for _, f := range r.Figures {
			names[f.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, left := cell(a, name)
		after, right := cell(b, name)
		ratio := "–"
		if before != 0 && right != "–" {
			ratio = fmt.Sprintf("%.2f", after/before)
		}
		err = errors.Join(err, row(name, left, right, ratio))
	}
	err = errors.Join(err, table.Flush())
	for i, r := range []*Report{a, b} {
		if len(r.Errors) > 0 {
			_, writeErr := fmt.Fprintf(w, "  errors of %c: %s\n", 'a'+i, tallyText(r.Errors))
			err = errors.Join(err, writeErr)
		}
	}
	return err
}
