package model

import (
	"testing"
	"time"
)

// TestServersMet: what is known of the database is kept, and another one, or a mark, is told.
func TestServersMet(t *testing.T) {
	t.Parallel()
	at := MillisOf(time.Now())
	later := MillisOf(at.Time().Add(2 * startTolerance))
	type meeting struct {
		now  Identity
		told bool
	}
	for name, meetings := range map[string][]meeting{
		"the same":                     {{Identity{Server: "a", Started: at}, false}, {Identity{Server: "a", Started: at + 2_000}, false}, {Identity{Server: "a", Started: at - 500}, false}},
		"it has started again":         {{Identity{Server: "a", Started: at}, false}, {Identity{Server: "a", Started: later}, true}, {Identity{Server: "a", Started: later}, false}},
		"another one":                  {{Identity{Server: "a", Started: at}, false}, {Identity{Server: "b", Started: at}, true}, {Identity{Server: "b", Started: at}, false}},
		"a mark":                       {{Identity{Restored: "x"}, false}, {Identity{Restored: "y"}, true}, {Identity{Restored: "y"}, false}},
		"the mark is not always asked": {{Identity{Server: "a", Started: at, Restored: "x"}, false}, {Identity{Server: "a", Started: at}, false}, {Identity{Server: "a", Started: at, Restored: "x"}, false}, {Identity{Server: "a", Started: at, Restored: "y"}, true}},
		"nothing is known":             {{Identity{}, false}, {Identity{Server: "a", Started: at}, false}, {Identity{}, false}, {Identity{Server: "a", Started: at}, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, told := &servers{}, 0
			s.tell(func() { told++ })
			for i, m := range meetings {
				before, runs := told, s.runs.Load()
				s.met(m.now)
				if (told > before) != m.told || (s.runs.Load() > runs) != m.told {
					t.Errorf("meeting %d: told %d times, want %t", i+1, told-before, m.told)
				}
			}
		})
	}
}
