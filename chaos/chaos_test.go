package chaos

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestFaults injects the worst faults a time or two. It is a sample: `make chaos` does it for as long as one likes.
func TestFaults(t *testing.T) {
	bin := testenv.Binary(t)
	for name, cycles := range map[string]int{"kill-node": 2, "kill-mariadb": 2, "cut-commit": 2, "redis-down": 2, "lost-tail": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault, err := Find(name)
			if err != nil {
				t.Fatal(err)
			}
			fault.Crowd = Crowd{People: 8, Groups: 1, GroupSize: 4, LogSize: 6, Churn: 0.05}
			fault.Limits.Delay, fault.Limit = time.Minute, time.Minute // the machine may be busy with other tests
			out := t.TempDir()
			report, err := Run(t.Context(), Options{
				Faults: []Fault{fault}, Cycles: cycles, Every: cycles, Seed: 1, Rate: 40, Short: true, Binary: bin, Out: out, Log: t.Output(),
			})
			if err != nil {
				t.Errorf("%v: %s", err, report.Broken)
				logs, globErr := filepath.Glob(filepath.Join(out, "*", "logs", "node1.log"))
				if globErr != nil {
					t.Fatal(globErr)
				}
				for _, path := range logs {
					text, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%s:\n%s", path, text[max(0, len(text)-8<<10):])
				}
				return
			}
			sums := report.Faults[0]
			if name == "lost-tail" && sums.Undone+sums.TakenBack == 0 {
				t.Errorf("nothing was lost: %+v", sums)
			}
			if sums.Cycles != cycles || sums.Accepted == 0 || sums.Deliveries == 0 || len(sums.SendRecovery) == 0 {
				t.Errorf("nothing was tested: %+v", sums)
			}
		})
	}
}

// TestFindUnknown: a fault that there is not is an error that names those that there are.
func TestFindUnknown(t *testing.T) {
	t.Parallel()
	if _, err := Find("gremlins"); err == nil {
		t.Error("gremlins were found")
	}
}

// TestStateResumed: a run goes on where the last one ended, and a new one begins anew.
func TestStateResumed(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	if err := (State{Seed: 7, Rounds: 3, Sums: Sums{Fault: "kill-node", Cycles: 60, Accepted: 9}}).save(out); err != nil {
		t.Fatal(err)
	}
	for resume, want := range map[bool]State{true: {Seed: 7, Rounds: 3, Sums: Sums{Cycles: 60, Accepted: 9}}, false: {Seed: 1}} {
		got, err := loadState(out, "kill-node", 1, resume)
		if err != nil {
			t.Fatal(err)
		}
		if got.Seed != want.Seed || got.Rounds != want.Rounds || got.Sums.Cycles != want.Sums.Cycles || got.Sums.Accepted != want.Sums.Accepted {
			t.Errorf("resume %t: %+v, want %+v", resume, got, want)
		}
	}
}
