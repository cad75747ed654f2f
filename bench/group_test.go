package bench

import (
	"strings"
	"testing"
	"time"
)

func TestGroupAgainstASoundService(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	o.Clients = 5 // groups of 3 among them: every user is in several
	reports, err := Measure(t.Context(), o, []string{"group"}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := reports[0]
	if err := r.Err(); err != nil || len(r.Errors) > 0 {
		t.Errorf("got %v, errors %v", err, r.Errors)
	}
	f.look()
	if len(f.groups) != o.Groups {
		t.Errorf("%d groups were made for two runs, want %d", len(f.groups), o.Groups)
	}
	sent := 0
	for _, g := range f.groups {
		if len(g.members) != o.GroupSize || len(g.messages) < 2 {
			t.Errorf("a group has %d members and %d messages, want %d and some", len(g.members), len(g.messages), o.GroupSize)
		}
		sent += len(g.messages) - 1 // and the notice
	}
	if sent != f.sends {
		t.Errorf("the groups have %d messages, the service had %d sends", sent, f.sends)
	}
	messages, rows := value(t, r, "messages_per_s"), value(t, r, "rows_per_s")
	if messages <= 0 || rows != 3*messages || value(t, r, "pushes_per_s") <= messages {
		t.Errorf("got %+v", r.Figures)
	}
	for _, u := range f.users {
		if u.acked != len(u.entries) {
			t.Errorf("user %s acked %d of %d", u.id, u.acked, len(u.entries))
		}
	}
}

func TestGroupsTellWhatIsBroken(t *testing.T) {
	for _, scenario := range []string{"group", "log"} {
		for _, tc := range []struct {
			name   string
			broken func(*fakeService)
			figure string
		}{
			{"lost", func(f *fakeService) { f.losePush = 60 }, "lost"},
			{"doubled", func(f *fakeService) { f.doubled = 40 }, "duplicates"},
			{"hole", func(f *fakeService) { f.skipPush = 40 }, "disorder"},
		} {
			t.Run(scenario+" "+tc.name, func(t *testing.T) {
				f := newFakeService(t)
				o := quick(f)
				o.Settle = 200 * time.Millisecond
				if scenario == "log" && tc.name == "lost" {
					f.losePush = 64 // the last of all: a hole before others is pulled
				} else {
					tc.broken(f)
				}
				r := measureOne(t, o, scenario)
				f.look()
				if value(t, r, tc.figure) == 0 || r.Err() == nil {
					t.Errorf("%s is 0 after %d sends, error %v", tc.figure, f.sends, r.Err())
				}
			})
		}
	}
}

func TestLogAgainstASoundService(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	o.LogMembers = addMembers + 50 // more than one call adds
	r := measureOne(t, o, "log")
	if err := r.Err(); err != nil || len(r.Errors) > 0 {
		t.Errorf("got %v, errors %v", err, r.Errors)
	}
	f.look()
	if f.sends != 64 || value(t, r, "sent") != 64 || value(t, r, "members") != float64(o.LogMembers) {
		t.Errorf("the service had %d sends, want 4 singles and 2 bursts of 30: %+v", f.sends, r.Figures)
	}
	for _, name := range []string{"last_push_p50_ms", "last_push_p90_ms", "push_p99_ms", "pushes_per_s", "burst_ms"} {
		if value(t, r, name) <= 0 {
			t.Errorf("%s is %v", name, value(t, r, name))
		}
	}
	if last, push := value(t, r, "last_push_max_ms"), value(t, r, "push_max_ms"); last < push*0.99 || last > push*1.01 {
		t.Errorf("the last arrival took %v ms, the slowest push %v ms: they are the same", last, push)
	}
	for _, g := range f.groups {
		for _, u := range g.members {
			if g.acked[u] != len(g.messages) {
				t.Errorf("member %s acked %d of %d", u.id, g.acked[u], len(g.messages))
			}
		}
	}
}

func TestLogRidesOutWhatTheContractAllows(t *testing.T) {
	for _, tc := range []struct {
		name    string
		allowed func(*fakeService)
		figure  string
		error   string
	}{
		{"pushed again", func(f *fakeService) { f.pushTwice = 10 }, "pushed_again", ""},
		{"behind", func(f *fakeService) { f.goesBehind = true }, "pulls", ""},
		{"unavailable once", func(f *fakeService) { f.refuse = 20 }, "sent", "503 unavailable"},
		{"answer lost", func(f *fakeService) { f.hangUp = 20 }, "repeated_answers", "broken connection"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeService(t)
			tc.allowed(f)
			r := measureOne(t, quick(f), "log")
			if err := r.Err(); err != nil {
				t.Error(err)
			}
			f.look()
			if value(t, r, tc.figure) == 0 {
				t.Errorf("%s is 0 after %d sends", tc.figure, f.sends)
			}
			if tc.error != "" && r.Errors[tc.error] == 0 {
				t.Errorf("errors are %v, want some %q", r.Errors, tc.error)
			}
		})
	}
}

// A group of the other kind would be another measurement.
func TestGroupsOfTheOtherKindAreAnError(t *testing.T) {
	f := newFakeService(t)
	for scenario, want := range map[string]string{"group": "by log, not by mailbox", "log": "by mailbox, not by log"} {
		o := quick(f)
		o.Clients, o.GroupSize, o.LogMembers = 10, fakeMailboxLimit+1, fakeMailboxLimit
		if _, err := Measure(t.Context(), o, []string{scenario}, 1, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", scenario, err)
		}
	}
	o := quick(f)
	o.GroupSize = o.Clients + 1
	if _, err := Measure(t.Context(), o, []string{"group"}, 1, nil); err == nil || !strings.Contains(err.Error(), "group-size") {
		t.Errorf("got %v, want an error that names group-size", err)
	}
}

func TestAccountsAreKeptBetweenCalls(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	o.Accounts = new(Accounts)
	for range 2 {
		measureOne(t, o, "send")
		if r := measureOne(t, o, "log"); r.Err() != nil || value(t, r, "pulls") > 0 { // the second goes on where the first ended
			t.Errorf("got %v, %v pulls", r.Err(), value(t, r, "pulls"))
		}
	}
	f.look()
	if len(f.users) != o.Clients+o.LogMembers || len(f.groups) != 1 {
		t.Errorf("%d users and %d groups were made, want %d and 1", len(f.users), len(f.groups), o.Clients+o.LogMembers)
	}
}
