package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"ackbox/bench"
)

// result is all that was measured, one dimension after the other, as it is kept in growth.json.
type result struct {
	Dimensions []*dimension `json:"dimensions"`
}

// dimension is what becomes of the figures as one thing grows.
type dimension struct {
	Name    string            `json:"name"`
	What    string            `json:"what"` // that grows, with its unit
	Started time.Time         `json:"started"`
	Setup   map[string]string `json:"setup"`
	Steps   []*step           `json:"steps"`
}

// step is one size. Its figures are named scenario/figure.
type step struct {
	Size    float64            `json:"size"`
	Label   string             `json:"label"`
	Figures map[string]float64 `json:"figures"`
	Errors  map[string]int64   `json:"errors,omitempty"`
}

func newStep(size int, label string) *step {
	return &step{Size: float64(size), Label: label, Figures: map[string]float64{}, Errors: map[string]int64{}}
}

// take adds a report's figures. The CPU of several nodes is added up, as server.
func (s *step) take(r *bench.Report) {
	for _, f := range r.Figures {
		name := f.Name
		if rest, ok := strings.CutPrefix(name, "server"); ok && strings.Contains(rest, "_cpu_us_a_") {
			name = "server" + strings.TrimLeft(rest, "0123456789")
		}
		s.Figures[r.Scenario+"/"+name] += f.Value
	}
	for name, n := range r.Errors {
		s.Errors[r.Scenario+": "+name] += n
	}
}

// takeRedis adds what a counter of Redis rose by in so many runs of a scenario, for each message that was sent in them.
func (s *step) takeRedis(scenario, counter string, rise float64, runs int) {
	names := map[string]string{"total_commands_processed": "redis_commands_a_message", "total_net_input_bytes": "redis_bytes_in_a_message", "total_net_output_bytes": "redis_bytes_out_a_message"}
	if sent := s.Figures[scenario+"/sent"] * float64(runs); sent > 0 {
		s.Figures[scenario+"/"+names[counter]] = rise / sent
	}
}

// sense says which way a figure is good.
type sense int

const (
	higher sense = iota // a speed
	lower               // a cost or a time
	either              // neither: it describes
)

// figure is one that is shown.
type figure struct {
	name, title string
	sense       sense
}

// limit is how much of its start a figure has to keep. A cost keeps it while it is at most the start divided by it.
const limit = 0.8

// kept is how much of the start is left: of a speed the ratio, of a cost its inverse. ok is false where that has no meaning.
func (f figure) kept(start, now float64) (share float64, ok bool) {
	switch {
	case f.sense == either || start <= 0 || now <= 0:
		return 0, false
	case f.sense == higher:
		return now / start, true
	default:
		return start / now, true
	}
}

// fallen lists the figures that have kept less than the limit of their start at any step, worst first.
func (d *dimension) fallen(figures []figure) []string {
	type loss struct {
		share float64
		text  string
	}
	var losses []loss
	for _, f := range figures {
		worst := loss{share: limit}
		for _, s := range d.Steps[1:] {
			start, ok1 := d.Steps[0].Figures[f.name]
			now, ok2 := s.Figures[f.name]
			if share, ok := f.kept(start, now); ok && ok1 && ok2 && share < worst.share {
				worst = loss{share, fmt.Sprintf("%s at %s: %s, was %s (%.0f%% kept)", f.title, s.Label, digits(now), digits(start), 100*share)}
			}
		}
		if worst.text != "" {
			losses = append(losses, worst)
		}
	}
	slices.SortFunc(losses, func(a, b loss) int {
		switch {
		case a.share < b.share:
			return -1
		case a.share > b.share:
			return 1
		}
		return strings.Compare(a.text, b.text)
	})
	var list []string
	for _, l := range losses {
		list = append(list, l.text)
	}
	return list
}

// readResult reads what an earlier run has kept; none is an empty result.
func readResult(path string) (*result, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return new(result), nil
	}
	if err != nil {
		return nil, err
	}
	r := new(result)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s holds no result of growth: %w", path, err)
	}
	return r, nil
}

func (r *result) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// put adds a dimension, in place of an earlier one of its name, in the order of names.
func (r *result) put(d *dimension, order []string) {
	r.Dimensions = slices.DeleteFunc(r.Dimensions, func(old *dimension) bool { return old.Name == d.Name })
	r.Dimensions = append(r.Dimensions, d)
	slices.SortStableFunc(r.Dimensions, func(a, b *dimension) int {
		return slices.Index(order, a.Name) - slices.Index(order, b.Name)
	})
}

// errorText lists a step's errors.
func (s *step) errorText() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s.Errors)) {
		list = append(list, fmt.Sprintf("%s: %d", name, s.Errors[name]))
	}
	return strings.Join(list, ", ")
}
