package bench

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReconnectAgainstASoundService(t *testing.T) {
	f := newFakeService(t)
	f.turnAway = 503
	o := quick(f)
	o.Accounts = new(Accounts)
	for round := range 2 { // the second begins where the first ended
		r := measureOne(t, o, "reconnect")
		if err := r.Err(); err != nil {
			t.Errorf("round %d: %v, errors %v", round, err, r.Errors)
		}
		for name, want := range map[string]float64{"clients": 10, "waiting_each": 7, "unsynced": 0, "refused_503": 10, "refused_otherwise": 0, "sockets_closed": 0, "sent": 3 * 7} {
			if round == 1 && name == "refused_503" {
				want = 0
			}
			if got := value(t, r, name); got != want {
				t.Errorf("round %d: %s is %v, want %v", round, name, got, want)
			}
		}
		if all, last := value(t, r, "all_synced_s"), value(t, r, "synced_max_ms")/1000; all <= 0 || last < all*0.99 || last > all*1.01 {
			t.Errorf("all were synced after %v s, the last one after %v s", all, last)
		}
	}
	f.look()
	for _, u := range f.users {
		if d := u.devices[reconnectDevice]; d == nil || d.acked != len(u.entries) {
			t.Errorf("user %s acked %+v of %d", u.id, d, len(u.entries))
		}
	}
	if len(f.users) != o.ReconnectClients || len(f.groups) != 3 {
		t.Errorf("%d users and %d groups were made, want %d and 3", len(f.users), len(f.groups), o.ReconnectClients)
	}
}

func TestReconnectRidesOutWhatTheContractAllows(t *testing.T) {
	for name, tc := range map[string]struct {
		allowed func(*fakeService)
		figure  string
	}{
		"behind": {func(f *fakeService) { f.goesBehind = true }, "pulls"},
		"cut":    {func(f *fakeService) { f.cutSockets = true }, "sockets_closed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeService(t)
			tc.allowed(f)
			r := measureOne(t, quick(f), "reconnect")
			if err := r.Err(); err != nil || value(t, r, "unsynced") != 0 {
				t.Errorf("%v, %v unsynced, errors %v", err, value(t, r, "unsynced"), r.Errors)
			}
			if got := value(t, r, tc.figure); got != 10 {
				t.Errorf("%s is %v, want one for each client", tc.figure, got)
			}
		})
	}
}

func TestReconnectTellsWhatIsBroken(t *testing.T) {
	for name, tc := range map[string]struct {
		broken func(*fakeService)
		figure string
	}{
		"lost":    {func(f *fakeService) { f.losePush = 20 }, "lost"},
		"doubled": {func(f *fakeService) { f.doubled = 10 }, "duplicates"},
		"refused": {func(f *fakeService) { f.turnAway = 429 }, "refused_otherwise"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeService(t)
			tc.broken(f)
			o := quick(f)
			if name == "lost" {
				o.ReconnectLimit = 200 * time.Millisecond
			}
			r := measureOne(t, o, "reconnect")
			if value(t, r, tc.figure) == 0 || r.Err() == nil {
				t.Errorf("%s is 0, error %v", tc.figure, r.Err())
			}
			if _, all := r.Value("all_synced_s"); all != (value(t, r, "unsynced") == 0) || all == (name == "lost") {
				t.Errorf("%v unsynced, and all_synced_s is told: %t", value(t, r, "unsynced"), all)
			}
		})
	}
}

func TestRefusedComeBackWhenAsked(t *testing.T) {
	s := newStorm(newBacklog(Options{}, "x", []*User{{}}, nil))
	r := s.returners[0]
	refused := func(status int, after time.Duration) error {
		return &refusal{answer: answer{Status: status, RetryAfter: after}}
	}
	if got := r.wait(refused(503, 4*time.Second), 0); got < 4*time.Second || got >= 4*time.Second+retrySpread {
		t.Errorf("asked for 4 s, comes back after %s", got)
	}
	if got := r.wait(refused(429, 0), 3); got >= 8*backoffStart {
		t.Errorf("the fourth attempt comes after %s", got)
	}
	if got := r.wait(http.ErrServerClosed, 60); got >= backoffMost {
		t.Errorf("a late attempt comes after %s", got)
	}
	r.retry = 7 * time.Second
	if got := r.wait(&closeError{code: 1013}, 0); got != 7*time.Second {
		t.Errorf("bye asked for 7 s, comes back after %s", got)
	}
	if s.refused503.Load() != 1 || s.refusedOther.Load() != 1 || s.broken.Load() != 1 || s.closed.Load() != 1 {
		t.Errorf("counted %d, %d, %d, %d", s.refused503.Load(), s.refusedOther.Load(), s.broken.Load(), s.closed.Load())
	}
}

func TestSlow(t *testing.T) {
	for _, cut := range []bool{false, true} {
		f := newFakeService(t)
		f.cutSockets = cut
		r := measureOne(t, quick(f), "slow")
		if err := r.Err(); err != nil || len(r.Errors) > 0 {
			t.Errorf("got %v, errors %v", err, r.Errors)
		}
		want := map[string]float64{"slow_sockets": 5, "slow_closed_by_server": 0, "sent": 44, "slow_failed": 0, "dropped": 0}
		if cut {
			want["slow_closed_by_server"] = 5
		}
		for name, want := range want {
			if got := value(t, r, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		with, without := value(t, r, "with_push_p99_ms"), value(t, r, "without_push_p99_ms")
		if ratio := value(t, r, "ratio_push_p99"); with <= 0 || without <= 0 || ratio != with/without {
			t.Errorf("with %v, without %v, ratio %v", with, without, ratio)
		}
		if reading := value(t, r, "reading_push_p99_ms"); reading <= 0 || value(t, r, "ratio_to_reading_push_p99") != with/reading {
			t.Errorf("with %v, reading %v", with, reading)
		}
		f.look()
		if value(t, r, "slow_messages") == 0 || f.sends <= 2*44 {
			t.Errorf("%v messages to slow sockets, %d sends in all", value(t, r, "slow_messages"), f.sends)
		}
	}
}

func TestAcks(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	o.Waiting, o.Warmup = 45, 0 // two blocks and a part of one
	r := measureOne(t, o, "acks")
	if err := r.Err(); err != nil || len(r.Errors) > 0 {
		t.Errorf("got %v, errors %v", err, r.Errors)
	}
	// A user has 3 devices with 22 single acks and 3 positions each, and may not have come to all of them.
	if got := value(t, r, "acks"); got <= 0 || got > 4*3*25 || (value(t, r, "ran_out") == 4) != (got == 4*3*25) {
		t.Errorf("%v acks, %v users ran out", got, value(t, r, "ran_out"))
	}
	for _, name := range []string{"acks_per_s", "single_p50_ms"} {
		if value(t, r, name) <= 0 {
			t.Errorf("%s is %v", name, value(t, r, name))
		}
	}
	f.look()
	for _, u := range f.users {
		if len(u.devices) != 4 { // and the one that read what came
			t.Errorf("user %s has %d devices", u.id, len(u.devices))
		}
	}
}

func TestAcksTellWrongPositions(t *testing.T) {
	f := newFakeService(t)
	f.wrongAcks = 30
	if r := measureOne(t, quick(f), "acks"); value(t, r, "wrong_positions") == 0 || r.Err() == nil || !strings.Contains(r.Err().Error(), "wrong positions") {
		t.Errorf("got %v, %v", value(t, r, "wrong_positions"), r.Err())
	}
}

// What one scenario leaves in the mailboxes of users must not disturb the next.
func TestScenariosInAnyOrder(t *testing.T) {
	f := newFakeService(t)
	f.newest = 3
	o := quick(f)
	o.Accounts = new(Accounts)
	for _, scenario := range []string{"acks", "rate", "acks", "reconnect", "slow", "log", "reconnect"} {
		r := measureOne(t, o, scenario)
		if err := r.Err(); err != nil {
			t.Errorf("%s: %v, errors %v", scenario, err, r.Errors)
		}
	}
	f.look()
	if len(f.users) != o.LogMembers+o.Clients {
		t.Errorf("%d users were made, want %d", len(f.users), o.LogMembers+o.Clients)
	}
}
