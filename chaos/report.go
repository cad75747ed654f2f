package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ackbox/verify"
)

// Sums are what the cycles of one fault came to, over all rounds and resumptions.
type Sums struct {
	Fault      string        `json:"fault"`
	Cycles     int           `json:"cycles"`
	Took       time.Duration `json:"took_ns"`    // with start-up and checks
	Sending    time.Duration `json:"sending_ns"` // under load
	Accepted   int           `json:"accepted"`   // keys that were answered with a message
	Unknown    int           `json:"unknown"`    // keys that never got an answer that says
	Refused    int           `json:"refused"`
	Tries      int           `json:"tries"` // of all keys
	Deliveries int           `json:"deliveries"`
	Duplicates int           `json:"duplicates"` // pushed or pulled again and dropped by the device
	TakenBack  int           `json:"taken_back"` // read by others, then lost by the database, never accepted
	Undone     int           `json:"undone"`     // accepted, and gone with the last moments of a database that was put back
	Resets     int           `json:"resets"`     // steps back of devices
	Lost       int           `json:"lost"`
	Doubled    int           `json:"doubled"`
	Violations int           `json:"violations"`
	Deadlocks  int           `json:"deadlocks"` // that the database broke, and the node's retry hid
	// From each injection to the end of the first send that began after it and was answered, and to the first push of a
	// message sent after it; of the node that was hit, or of any when it was a store.
	SendRecovery     []time.Duration `json:"send_recovery_ns"`
	DeliveryRecovery []time.Duration `json:"delivery_recovery_ns"`
	// Longest delay from a send's answer to the push, of deliveries that a fault touched and of those that none did.
	SlowestUnder time.Duration `json:"slowest_under_ns"`
	SlowestClear time.Duration `json:"slowest_clear_ns"`
}

func (s *Sums) add(result verify.Result, took recovery) {
	stats := result.Stats
	s.Accepted += stats.Accepted
	s.Unknown += stats.Unknown
	s.Refused += stats.Refused
	s.Tries += stats.Tries
	s.Deliveries += stats.Deliveries
	s.Duplicates += stats.Duplicates
	s.TakenBack += stats.TakenBack
	s.Undone += stats.Undone
	s.Resets += stats.Resets
	s.Lost += stats.Lost
	s.Doubled += stats.Doubled
	s.Violations += len(result.Violations)
	for _, more := range result.More {
		s.Violations += more
	}
	for _, delay := range stats.Delays {
		if delay.Fault == "" {
			s.SlowestClear = max(s.SlowestClear, delay.Max)
		} else {
			s.SlowestUnder = max(s.SlowestUnder, delay.Max)
		}
	}
	s.SendRecovery = append(s.SendRecovery, took.sends...)
	s.DeliveryRecovery = append(s.DeliveryRecovery, took.deliveries...)
}

// Report is what a run has found, one line a fault.
type Report struct {
	Seed    uint64    `json:"seed"`
	At      time.Time `json:"at"`
	Machine Machine   `json:"machine"`
	Faults  []Sums    `json:"faults"`
	// Broken says what the first fault that broke a promise did, and where its history is.
	Broken string `json:"broken,omitempty"`
}

// Machine says how fast the machine was, and how busy when the run ended.
type Machine struct {
	CPUs int    `json:"cpus"`
	Load string `json:"load"` // of 1, 5 and 15 minutes
	Go   string `json:"go"`
}

func machine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Load: "unknown", Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil { // elsewhere than on Linux there is none
		m.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	return m
}

// Table writes the report for people.
func (r Report) Table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\tcycles\tsends ok\tunknown\trefused\tsends/s\tdelivered\tundone\tsteps back\tlost\tdoubled\tviolations\tsend again p50\tmax\tdelivery again p50\tmax\t")
	for _, s := range r.Faults {
		rate := 0.0
		if s.Sending > 0 {
			rate = float64(s.Accepted) / s.Sending.Seconds()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t\n", s.Fault, s.Cycles, s.Accepted, s.Unknown, s.Refused, rate,
			s.Deliveries, s.Undone, s.Resets, s.Lost, s.Doubled, s.Violations, median(s.SendRecovery), longest(s.SendRecovery), median(s.DeliveryRecovery), longest(s.DeliveryRecovery))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	fmt.Fprintf(out, "seed %d, %d CPUs, load %s, %s\n", r.Seed, r.Machine.CPUs, r.Machine.Load, r.Machine.Go)
	if r.Broken != "" {
		fmt.Fprintln(out, "BROKEN: "+r.Broken)
	}
	return nil
}

func median(list []time.Duration) string {
	if len(list) == 0 {
		return "-"
	}
	sorted := slices.Sorted(slices.Values(list))
	return shown(sorted[len(sorted)/2])
}

func longest(list []time.Duration) string {
	if len(list) == 0 {
		return "-"
	}
	return shown(slices.Max(list))
}

func shown(d time.Duration) string { return d.Round(time.Millisecond).String() }

// State is what a run keeps so that another can go on after it.
type State struct {
	Seed   uint64 `json:"seed"`
	Rounds int    `json:"rounds"` // the next round's number: it makes moments that no round had before
	Sums   Sums   `json:"sums"`
}

func statePath(out, fault string) string { return filepath.Join(out, "state-"+fault+".json") }

// loadState reads the state of a fault's run, or makes that of a new one.
func loadState(out, fault string, seed uint64, resume bool) (State, error) {
	fresh := State{Seed: seed, Sums: Sums{Fault: fault}}
	if !resume {
		return fresh, nil
	}
	text, err := os.ReadFile(statePath(out, fault))
	if os.IsNotExist(err) {
		return fresh, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("resume: %w", err)
	}
	var state State
	if err := json.Unmarshal(text, &state); err != nil {
		return State{}, fmt.Errorf("resume from %s: %w", statePath(out, fault), err)
	}
	return state, nil
}

func (s State) save(out string) error { return writeJSON(statePath(out, s.Sums.Fault), s) }

// writeJSON replaces a file as a whole: a run that is killed leaves the old one.
func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		err = os.WriteFile(path+".new", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Save writes the report as JSON.
func (r Report) Save(path string) error { return writeJSON(path, r) }
