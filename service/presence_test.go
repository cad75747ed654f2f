package service

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ackbox/internal/testenv"
	"ackbox/model"

	"github.com/redis/go-redis/v9"
)

// watched is a node with a presence whose worker is the test.
type watched struct {
	*node
	*Presence
	clock *handClock
}

func watch(t tester, store *model.Store, client redis.UniversalClient, name string, clock *handClock) *watched {
	t.Helper()
	n := newNode(t, store, standard, clock.now)
	p := watchPresence(PresenceOptions{Store: store, Delivery: n.delivery, Redis: client, Installation: "here", Node: name, Clock: clock.now, Log: quiet})
	return &watched{n, p, clock}
}

// friends have written to each other.
func (w *watched) friends(t tester) (a, b model.UserID) {
	t.Helper()
	audience, a, b := w.pair(t)
	w.write(t, audience, a, 1)
	return a, b
}

func (w *watched) device(t tester, user model.UserID, name model.DeviceID) *end {
	t.Helper()
	return w.connect(t, model.DeviceKey{UserID: user, DeviceID: name}, nil)
}

// after runs the worker once, a time later.
func (w *watched) after(t tester, d time.Duration) {
	t.Helper()
	w.clock.step(d)
	w.round(within(t))
}

// told reads what a device was told of presences, as "user online" or "user gone".
func (e *end) told() (list []string) {
	e.t.Helper()
	e.node.settled(e.t)
	for text := e.line.read(); text != nil; text = e.line.read() {
		e.session.Written()
		f := decodePresence(e.t, text)
		switch {
		case f.Type != "presence":
		case f.Online:
			list = append(list, fmt.Sprint(f.UserID, " online"))
		default:
			list = append(list, fmt.Sprint(f.UserID, " gone at ", f.LastSeenAt))
		}
	}
	return list
}

func decodePresence(t tester, text []byte) (f struct {
	Type       string
	UserID     model.UserID `json:"user_id"`
	Online     bool
	LastSeenAt string `json:"last_seen_at"`
}) {
	t.Helper()
	must(t, json.Unmarshal(text, &f))
	return f
}

func (w *watched) sees(t tester, me model.UserID, users ...model.UserID) (list []PresenceState) {
	t.Helper()
	list, err := w.Of(within(t), me, users)
	must(t, err)
	return list
}

// TestPresence: who comes and goes, and how often that is told.
func TestPresence(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		w := watch(t, store, nil, "0", newHandClock())
		alice, bob := w.friends(t)
		phone := w.device(t, alice, "phone")
		w.after(t, 0)
		phone.told()
		expect := func(what string, want ...string) {
			t.Helper()
			if got := phone.told(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s: told %v, want %v", what, got, want)
			}
		}
		online, gone := fmt.Sprint(bob, " online"), func() string { return fmt.Sprint(bob, " gone at ", w.clock.now().UTC().Format(model.TimeFormat)) }

		equal(t, "never seen", w.sees(t, alice, bob)[0], PresenceState{UserID: bob})
		first := w.device(t, bob, "laptop")
		expect("before the worker has run")
		w.after(t, time.Second)
		expect("a first session", online)
		equal(t, "online", w.sees(t, alice, bob)[0], PresenceState{bob, true, model.MillisOf(w.clock.now())})

		second := w.device(t, bob, "phone")
		w.after(t, time.Second)
		first.leave()
		w.after(t, time.Minute)
		expect("another session, which stays")

		second.leave()
		w.after(t, 0)
		w.after(t, presenceGrace-time.Millisecond)
		equal(t, "online within the grace", w.sees(t, alice, bob)[0].Online, true)
		again := w.device(t, bob, "phone")
		w.after(t, time.Minute)
		expect("a reconnect")

		again.leave()
		last := gone()
		leftAt := model.MillisOf(w.clock.now())
		w.after(t, 0)
		w.after(t, presenceGrace)
		expect("gone", last)
		equal(t, "offline", w.sees(t, alice, bob)[0], PresenceState{bob, false, leftAt})
		w.after(t, time.Hour)
		expect("still gone")

		blink := w.device(t, bob, "phone") // came and went before the worker looked
		blink.leave()
		w.after(t, time.Second)
		w.after(t, presenceGrace)
		expect("a blink")
	})
}

// TestPresenceIsForSome: strangers, and those who are blocked, neither ask nor hear.
func TestPresenceIsForSome(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		w := watch(t, store, nil, "0", newHandClock())
		alice, bob := w.friends(t)
		blocked, silent, stranger, large, left := w.user(t), w.user(t), w.user(t), w.user(t), w.user(t)
		withBlocked, err := w.conversations.Direct(t.Context(), bob, blocked)
		must(t, err)
		audience, err := w.audiences.Get(t.Context(), withBlocked)
		must(t, err)
		w.write(t, audience, bob, 1)
		must(t, w.conversations.SetBlock(t.Context(), bob, blocked, true))
		for _, b := range []bool{true, false} { // a conversation in which nothing was said
			must(t, w.conversations.SetBlock(t.Context(), silent, bob, b))
		}
		small := NewGroups(store, w.ids, w.writer, w.conversations, w.delivery, 3, 100, w.clock.now)
		if _, _, err = small.Create(within(t), bob, "", "log", []model.UserID{large, w.user(t), w.user(t)}); err != nil {
			t.Fatal(err)
		}
		group, _, err := small.Create(within(t), bob, "", "mailbox", []model.UserID{left})
		must(t, err)
		must(t, small.Remove(within(t), left, group.Conversation.ID, left))

		hears := map[model.UserID]*end{}
		for _, user := range []model.UserID{alice, blocked, silent, stranger, large, left} {
			hears[user] = w.device(t, user, "phone")
		}
		w.after(t, time.Second)
		for _, e := range hears {
			e.told()
		}
		w.device(t, bob, "phone")
		w.after(t, time.Second)
		for user, want := range map[model.UserID]struct{ told, asks int }{alice: {1, 1}, blocked: {0, 0}, silent: {0, 0}, stranger: {0, 0}, large: {0, 1}, left: {0, 0}} {
			equal(t, fmt.Sprint("frames to ", user), len(hears[user].told()), want.told)
			equal(t, fmt.Sprint("answers to ", user), len(w.sees(t, user, bob)), want.asks)
		}
		list := w.sees(t, alice, stranger, bob, bob, alice)
		if len(list) != 2 || list[0].UserID != bob || list[1].UserID != alice || !list[1].Online {
			t.Errorf("alice sees %+v", list)
		}
	})
}

// TestPresenceOverNodes: one user on two nodes; a node that stops, and one that is killed.
func TestPresenceOverNodes(t *testing.T) {
	t.Parallel()
	store, clock := sqliteStore(t), newHandClock()
	server := testenv.StartRedis(t)
	client := redisClient(t, server.URL())
	one, two := watch(t, store, client, "1", clock), watch(t, store, client, "2", clock)
	alice, bob := one.friends(t)
	onOne, onTwo := one.device(t, alice, "on-one"), two.device(t, alice, "on-two")
	both := func(d time.Duration) {
		t.Helper()
		clock.step(d)
		one.round(within(t))
		two.round(within(t))
	}
	expect := func(what string, here, there int) {
		t.Helper()
		equal(t, what+": frames from one", len(onOne.told()), here)
		equal(t, what+": frames from two", len(onTwo.told()), there)
	}
	online := func(what string, want bool) {
		t.Helper()
		for _, w := range []*watched{one, two} {
			equal(t, fmt.Sprint(what, ": online, asked at ", w.Node), w.sees(t, alice, bob)[0].Online, want)
		}
	}
	both(0)
	expect("alice herself", 0, 0)

	laptop := one.device(t, bob, "laptop")
	must(t, one.Refresh(within(t))) // before the worker has looked
	both(time.Second)
	expect("came to one", 1, 0)
	phone := two.device(t, bob, "phone")
	both(time.Second)
	expect("came to two as well", 0, 0)
	online("on both", true)
	devices := one.DevicesOf(within(t), bob)
	if len(devices) != 2 || !devices["phone"] || !devices["laptop"] {
		t.Errorf("devices %v", devices)
	}
	laptop.leave()
	both(0)
	both(presenceGrace)
	expect("left one", 0, 0)
	online("on two", true)
	phone.leave()
	both(0)
	laptop = one.device(t, bob, "laptop") // within the grace, to the other node
	both(presenceGrace)
	expect("moved to one", 0, 0)
	online("moved", true)
	laptop.leave()
	both(0)
	both(presenceGrace)
	expect("left altogether", 1, 0)
	online("left", false)

	// Killed: nothing renews its word.
	two.device(t, bob, "phone")
	both(0)
	expect("came to two", 0, 1)
	for range 3 {
		clock.step(presenceTTL - time.Second)
		must(t, two.Refresh(within(t)))
		must(t, one.Refresh(within(t)))
	}
	clock.step(presenceTTL - time.Second)
	equal(t, "before the word of a killed node ends", one.sees(t, alice, bob)[0].Online, true)
	clock.step(2 * time.Second)
	equal(t, "after it", one.sees(t, alice, bob)[0].Online, false)

	// Stopped in order: it ends after the grace.
	must(t, two.Refresh(within(t)))
	equal(t, "renewed", one.sees(t, alice, bob)[0].Online, true)
	must(t, two.Stop(within(t)))
	clock.step(presenceGrace - time.Second)
	equal(t, "within the grace of a stopped node", one.sees(t, alice, bob)[0].Online, true)
	clock.step(2 * time.Second)
	equal(t, "after it", one.sees(t, alice, bob)[0].Online, false)

	// Without Redis each node goes by what it has.
	server.Kill()
	one.device(t, bob, "tablet")
	one.round(within(t))
	if len(onOne.told()) != 1 || !one.sees(t, alice, bob)[0].Online {
		t.Error("without Redis a node does not even know its own")
	}
	must(t, one.Stop(within(t)))
}

// TestPresenceIsBounded: with more changes than there is room for, the refresh makes up.
func TestPresenceIsBounded(t *testing.T) {
	t.Parallel()
	w := watch(t, sqliteStore(t), nil, "0", newHandClock())
	alice, bob := w.friends(t)
	w.device(t, alice, "phone")
	w.round(within(t))
	for len(w.changed) < presenceCapacity {
		w.note(model.DeviceKey{UserID: model.UserID(rand.Int64()), DeviceID: "d"}, true)
	}
	bobs := w.device(t, bob, "phone")
	equal(t, "notes", len(w.changed), presenceCapacity)
	w.round(within(t))
	if w.present[bob] != nil {
		t.Fatal("there was room")
	}
	must(t, w.Refresh(within(t)))
	w.round(within(t))
	if w.present[bob] == nil {
		t.Fatal("the refresh has not made up for it")
	}
	for len(w.changed) < presenceCapacity {
		w.note(model.DeviceKey{UserID: model.UserID(rand.Int64()), DeviceID: "d"}, true)
	}
	bobs.leave()
	w.round(within(t))
	must(t, w.Refresh(within(t)))
	w.round(within(t))
	w.after(t, presenceGrace)
	equal(t, "online after all", w.sees(t, alice, bob)[0].Online, false)
	equal(t, "users remembered", len(w.present), 1) // alice
}

// TestPresenceWorker: the worker runs by itself, and its end is awaited.
func TestPresenceWorker(t *testing.T) {
	t.Parallel()
	n := newNode(t, sqliteStore(t), standard, time.Now)
	p := NewPresence(PresenceOptions{Store: n.store, Delivery: n.delivery, Installation: "here", Node: "0", Grace: time.Millisecond, Clock: time.Now, Log: quiet})
	w := &watched{node: n, Presence: p}
	alice, bob := w.friends(t)
	phone := w.device(t, alice, "phone")
	laptop := w.device(t, bob, "laptop")
	for _, want := range []bool{true, false} {
		eventually(t, "a frame", func() bool {
			text := phone.line.read()
			if text == nil {
				return false
			}
			phone.session.Written()
			f := decodePresence(t, text)
			return f.Type == "presence" && f.UserID == bob && f.Online == want
		})
		if want {
			laptop.leave()
		}
	}
	must(t, p.Stop(within(t)))
	must(t, p.Stop(within(t))) // again
}
